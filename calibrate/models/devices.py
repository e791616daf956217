"""Accelerators and CPUs of the table, several of them together, and what was measured on them."""

from __future__ import annotations

import math
import re
from dataclasses import dataclass, replace
from functools import cache
from importlib import resources
from types import MappingProxyType

from ..library.load import nearest_first
from ..library.read import parse_table
from ..library.schema import Row, number, text
from .columns import DEVICES
from .formats import Arithmetic, number_format

_RATES = ("fp32", "tf32", "bf16", "fp16", "fp8", "int8", "fp4")
_COUNTED = re.compile(r"^\s*(\d{1,4})\s*[x×*]\s*(.+?)\s*$", re.IGNORECASE)
_MAKERS = ("nvidia", "amd", "google", "intel", "apple", "aws", "amazon", "tesla", "geforce")
_MEMORY = re.compile(r"\b(\d{1,4})\s*gi?b\b", re.IGNORECASE)
# What follows a name in parentheses, or how several devices share a pass.
_ASIDE = re.compile(r"\([^()]*\)|\btp\d+(\+\w+)*", re.IGNORECASE)
_NOISE = re.compile(r"[\s_\-–/()]+")


@dataclass(frozen=True)
class Device:
    """Peak rates of one device, and how many of them share each pass.

    rates: dense operations per second by arithmetic [op/s]; bandwidth: [byte/s]; memory: [byte];
    link: to the other devices, both directions together [byte/s]; count: devices that split every
    matrix (tensor parallel), >= 1. measured_bandwidth, measured_launch: what a calibration of this
    very machine found [byte/s], [s per layer]; None where nothing was measured.
    """

    name: str
    kind: str
    rates: MappingProxyType[str, float]
    bandwidth: float
    memory: float
    link: float
    source: str
    notes: str = ""
    count: int = 1
    measured_bandwidth: float | None = None
    measured_launch: float | None = None

    def __post_init__(self) -> None:
        if isinstance(self.count, bool) or not 1 <= self.count <= 9999:
            raise ValueError(f"devices must be a whole number in [1, 9999], got {self.count!r}")
        for label in ("bandwidth", "memory", "measured_bandwidth", "measured_launch"):
            value = getattr(self, label)
            if value is not None and not (math.isfinite(value) and value > 0.0):
                raise ValueError(f"{self.name}: {label} must be in (0, inf), got {value!r}")

    @property
    def label(self) -> str:
        """The name with the number of devices, e.g. ``4x H100 SXM``."""
        return self.name if self.count == 1 else f"{self.count}x {self.name}"

    @property
    def total_memory(self) -> float:
        """Memory of all devices together [byte]."""
        return self.memory * self.count

    def arithmetic(self, dtype: str) -> Arithmetic:
        """The arithmetic in which a format is computed here.

        A weight-only format is unpacked to whichever 16-bit arithmetic the device has, or to 32
        bits where it has none. Raises ValueError where the device lacks the arithmetic of a format
        that names it, listing what it has.
        """
        form = number_format(dtype)
        wanted: tuple[Arithmetic, ...] = (form.arithmetic,)
        if form.name not in ("fp32", "bf16", "fp16", "fp8", "w8a8", "nvfp4"):
            wanted = (form.arithmetic, "bf16", "fp16", "fp32")
        # A CPU without 16-bit units widens on the way from memory: the traffic is still 16-bit.
        if self.kind == "cpu" and form.arithmetic in ("bf16", "fp16"):
            wanted = (*wanted, "bf16", "fp32")
        for kind in wanted:
            if kind in self.rates:
                return kind
        has = ", ".join(self.rates)
        instead = {"fp8": "int8", "nvfp4": "int4"}.get(form.name)
        hint = "" if instead is None else f"; weights alone, multiplied in 16 bits, are {instead}"
        raise ValueError(
            f"dtype must be one that {self.name} computes in ({has}), got {dtype!r}{hint}"
        )

    def rate(self, dtype: str) -> float:
        """Peak operations per second of one device in the arithmetic of a format [op/s]."""
        return self.rates[self.arithmetic(dtype)]

    def measured(self, *, bandwidth: float | None = None, launch: float | None = None) -> Device:
        """This device with what a calibration of it found: copy bandwidth [byte/s], launch of one
        layer [s]. They replace the table's bandwidth and the expected launch.
        """
        return replace(
            self,
            measured_bandwidth=self.measured_bandwidth if bandwidth is None else bandwidth,
            measured_launch=self.measured_launch if launch is None else launch,
        )


def _key(name: str) -> str:
    words = [w for w in _NOISE.split(name.casefold()) if w and w not in _MAKERS]
    return "".join(words)


def _device(row: Row) -> Device:
    rates = {name: number(row, name) * 1e12 for name in _RATES}
    return Device(
        name=text(row, "name"),
        kind=text(row, "kind"),
        rates=MappingProxyType({n: v for n, v in rates.items() if not math.isnan(v)}),
        bandwidth=number(row, "bandwidth") * 1e9,
        memory=number(row, "memory") * 1e9,
        link=number(row, "link") * 1e9,
        source=text(row, "source"),
        notes=text(row, "notes"),
    )


@cache
def _table() -> tuple[Row, ...]:
    data = resources.files(__package__).joinpath("devices.csv").read_bytes()
    return parse_table(data, "devices.csv", DEVICES).rows


@cache
def devices() -> MappingProxyType[str, Device]:
    """All devices of the table by name, in its order."""
    return MappingProxyType({text(row, "name"): _device(row) for row in _table()})


@cache
def _keys() -> MappingProxyType[str, str]:
    found = {}
    for row in _table():
        for other in text(row, "aliases").split(";"):
            found[_key(other)] = text(row, "name")
    found.update({_key(name): name for name in devices()})
    found.pop("", None)
    return MappingProxyType(found)


def device(name: str) -> Device:
    """The device of a name such as ``H100``, ``nvidia l4``, ``4x A100 80GB`` or ``M4 16 GB``.

    Case, maker, separators and remarks in parentheses do not matter; a memory in the name replaces
    the table's. Raises ValueError naming the nearest devices for an unknown name, and for a count
    outside [1, 9999].
    """
    counted = _COUNTED.match(name)
    count, wanted = (int(counted[1]), counted[2]) if counted else (1, name)
    bare = _ASIDE.sub(" ", wanted)
    stated = _MEMORY.search(bare)
    for key, size in ((_key(bare), None), (_key(_MEMORY.sub(" ", bare)), stated)):
        if key in _keys():
            found = replace(devices()[_keys()[key]], count=count)
            return replace(found, memory=float(size[1]) * 1e9) if size else found
    near: list[str] = []
    for other in nearest_first(_key(bare), _keys()):
        if _keys()[other] not in near:
            near.append(_keys()[other])
    listed = ", ".join(near[:5])
    raise ValueError(f"device must be a name of the table, nearest: {listed}; got {name!r}")
