"""Accelerators and CPUs of the table, several of them together, and what was measured on them."""

from __future__ import annotations

import csv
import math
import re
from collections.abc import Mapping
from dataclasses import dataclass, replace
from functools import cache
from types import MappingProxyType

from ..tables.nearest import nearest
from ..tables.schema import columns_of, table_lines
from .formats import Arithmetic, computed_in, number_format
from .names import MARKS, device_key, device_words

_RATES = ("fp32", "tf32", "bf16", "fp16", "fp8", "int8", "fp4")
_STATED = frozenset({*_RATES, "bandwidth", "memory", "link", "kind"})
_TIMES = r"\s*[x×*]\s*"
_COUNTED = re.compile(rf"^\s*(\d{{1,4}})(?:{_TIMES}|\s+(?=[a-z]))(.+?)\s*$", re.IGNORECASE)
# The x of "H100 x4" and "H100x4" follows no letter: that of "RTX 4000" does.
_COUNTED_AFTER = re.compile(rf"^\s*(.+?)(?<![a-z]){_TIMES}(\d{{1,4}})\s*$", re.IGNORECASE)
_MEMORY = re.compile(r"\b(\d{1,4})\s*gi?b\b", re.IGNORECASE)
# What follows a name in parentheses, or how several devices share a pass.
_ASIDE = re.compile(
    r"\([^()]*\)|\btp\d+(\+\w+)*|\+\s*1 draft gpu|(workstation|server|founders) edition|"
    r"macbook (pro|air)|developer kit",
    re.IGNORECASE,
)
_BRANDS = ("rtx", "rx", "arc")  # left out by people: a 4090, a 7900 XTX
_FORMS = {"sxm": "sxm", "hgx": "sxm", "sxm5": "sxm", "pcie": "pcie", "nvl": "nvl"}
_SLICE = re.compile(r"^\s*(tpu[ -]?v[56]e)-(\d{1,3})\s*$", re.IGNORECASE)  # of so many chips
# A line of CPUs that no row names in full: words of it, and the row that stands for it.
_LINES = (
    (re.compile(r"\bxeon\b"), "Generic Xeon"), (re.compile(r"\bepyc\b"), "Generic EPYC"),
    (re.compile(r"\b(ryzen|threadripper)\b"), "Generic Ryzen"),
    (re.compile(r"\b(core (ultra )?\d|i[3579] ?\d{4,5}|core i[3579])"), "Generic Core"),
)  # fmt: skip

# Formats of scaled numbers, and those of their bits whose weights alone are packed.
_UNPACKED = {"fp8": "int8", "w8a8": "int8", "nvfp4": "int4"}


@dataclass(frozen=True)
class Device:
    """Peak rates of one device, and how many of them share each pass.

    rates: dense operations per second by arithmetic [op/s]; bandwidth: [byte/s]; memory: [byte];
    link: to the other devices, both directions together [byte/s]; count: devices that split every
    matrix (tensor parallel), >= 1. memories: the sizes that it is sold with, where several [byte].
    remarks: what the asked-for name left open, and which device is meant. measured_bandwidth,
    measured_launch: what a calibration of this very machine found [byte/s], [s per layer]; None
    where nothing was measured.
    """

    name: str
    kind: str
    rates: MappingProxyType[str, float]
    bandwidth: float
    memory: float
    link: float
    source: str
    notes: str = ""
    memories: tuple[float, ...] = ()
    count: int = 1
    remarks: tuple[str, ...] = ()
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
        for kind in computed_in(form, self.rates, widens=self.kind == "cpu"):
            if kind in self.rates:
                return kind
        has = ", ".join(self.rates)
        instead = _UNPACKED.get(form.name)
        hint = "" if instead is None else f"; weights alone, multiplied in 16 bits, are {instead}"
        raise ValueError(
            f"dtype must be one that {self.name} computes in ({has}), got {dtype!r}{hint}"
        )

    def runs(self, dtype: str) -> str:
        """The format in which engines run weights that are released in this one: the same bits,
        unpacked and multiplied in 16, where the device does not compute in it.
        """
        form = number_format(dtype)
        lacks = form.arithmetic not in self.rates
        return _UNPACKED.get(form.name, form.name) if lacks else form.name

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


def _device(row: Mapping[str, str]) -> Device:
    """The device of cells as the table has them, by column; those that are absent are empty."""
    return Device(
        name=row["name"],
        kind=row["kind"],
        rates=MappingProxyType({n: float(row[n]) * 1e12 for n in _RATES if row.get(n)}),
        bandwidth=float(row["bandwidth"]) * 1e9,
        memory=float(row["memory"]) * 1e9,
        link=float(row["link"]) * 1e9,
        source=row["source"],
        notes=row.get("notes", ""),
        memories=tuple(float(m) * 1e9 for m in row.get("memories", "").split(";") if m),
    )


@cache
def _table() -> MappingProxyType[str, Mapping[str, str]]:
    """The cells of every row by name, unread."""
    rows = csv.DictReader(table_lines(__package__, "devices"))
    return MappingProxyType({row["name"]: row for row in rows})


@cache
def _machines() -> dict[str, tuple[int, str]]:
    """What a machine to rent holds: how many of which device."""
    rows = csv.DictReader(table_lines(__package__, "machines"))
    return {row["name"]: (int(row["count"]), row["device"]) for row in rows}


@cache
def _entry(name: str) -> Device:
    return _device(_table()[name])


def devices() -> MappingProxyType[str, Device]:
    """All devices of the table by name, in its order."""
    return MappingProxyType({name: _entry(name) for name in _table()})


@cache
def _keys() -> MappingProxyType[str, str]:
    found = {}
    for name, row in _table().items():
        for other in row["aliases"].split(";"):
            found[device_key(other)] = name
    found.update({device_key(name): name for name in _table()})
    found.pop("", None)
    return MappingProxyType(found)


def device(name: str) -> Device:
    """The device of a name such as ``H100``, ``4x A100 80GB``, ``H100 x4``, ``M4 16 GB``, ``4090``
    or what a driver prints, e.g. ``NVIDIA RTX 6000 Ada Generation``; or one that no table has, by
    its data in units of the table: ``bandwidth=320, memory=16, fp16=51``, with ``2x`` before it
    for two of them.

    Case, maker, separators and remarks in parentheses do not matter; a memory in the name replaces
    the table's. What the name leaves open is said in ``remarks``. A CPU that no row names is the
    usual one of its line. Raises ValueError naming the nearest devices for an unknown name, and for
    a count outside [1, 9999].
    """
    found = find_device(name)
    if found is not None:
        return found
    near = nearest(device_key(_ASIDE.sub(" ", _trials(name)[-1][1])), _keys())
    raise ValueError(
        f"device must be a name of the table, nearest: {near}; got {name!r}; "
        "`howspec devices` lists them"
    )


def find_device(name: str) -> Device | None:
    """The device of a name as `device` finds it, None for an unknown name."""
    trials = _trials(name)
    if "=" in name:
        return _by_data(*trials[-1][::-1])
    for count, wanted in trials:
        found = _named(wanted)
        if found is not None:
            return replace(found, count=count * found.count)
    return None


def _trials(name: str) -> list[tuple[int, str]]:
    """What a name may mean: how many, and of what."""
    counted, after = _COUNTED.match(name), _COUNTED_AFTER.match(name)
    trials = [(1, name)]
    trials += [(int(counted[1]), counted[2])] if counted else []
    trials += [(int(after[2]), after[1])] if after else []
    part = _SLICE.match(name)
    trials += [(int(part[2]), part[1])] if part else []
    held = _machines().get(name.strip().casefold())
    return [*trials, held] if held else trials


def _by_data(wanted: str, count: int) -> Device:
    """Devices of columns of the table: ``bandwidth=320, memory=16, fp16=51``."""
    fields = [[side.strip() for side in part.partition("=")[::2]] for part in wanted.split(",")]
    columns = {c.name: c for c in columns_of("devices") if c.name in _STATED}
    row = {"name": wanted.strip(), "kind": "gpu", "link": "32", "source": "stated"}
    for name, cell in fields:
        if name not in columns:
            raise ValueError(f"device must state {', '.join(columns)} as name=value, got {name!r}")
        try:
            row[name] = str(replace(columns[name], nullable=False).parse(cell))
        except ValueError as error:
            raise ValueError(f"device: {name} {error}") from None
    if not {"bandwidth", "memory"} <= row.keys() or not row.keys() & set(_RATES):
        raise ValueError(
            "device must state bandwidth [GB/s], memory [GB] and a rate of "
            f"{', '.join(_RATES)} [Top/s], got {wanted.strip()!r}"
        )
    return replace(_device(row), count=count)


def _named(wanted: str) -> Device | None:
    """The device of a name without a count, with remarks on what it leaves open; None unknown."""
    bare = _ASIDE.sub(" ", MARKS.sub(" ", wanted))
    inside = " ".join(re.findall(r"\(([^()]*)\)", wanted))
    form = next((_FORMS[w] for w in device_words(inside) if w in _FORMS), "")
    stated = _MEMORY.search(bare)
    short = _MEMORY.sub(" ", bare)
    for spelled, size in ((bare, None), (short, stated)):
        for key in _spellings(spelled, form):
            if key in _keys():
                found = _entry(_keys()[key])
                if size and float(size[1]) * 1e9 != found.memory:
                    found = replace(found, memory=float(size[1]) * 1e9)
                return replace(found, remarks=_left_open(found, wanted, key, bool(stated)))
    parts = [p for p in re.split(r"\s[/+]\s|[,;]|\bwith\b|\bw/", bare) if p.strip()]
    if len(parts) > 1:  # a processor and its graphics, or a machine and its card
        known = [find_device(part) for part in parts]
        cards = [d for d in known if d is not None and d.kind != "cpu"]
        # Several kinds that share a model are no device; beside a plus, all must be known.
        if len(cards) > 1 or (None in known and " + " in bare):
            return None
        if cards:
            return cards[0]
    line = next((row for words, row in _LINES if words.search(" ".join(device_words(bare)))), None)
    if line is None:
        return None
    found = _entry(line)
    remark = f"{wanted.strip()} is not in the table: {line} stands for it, {found.source}"
    return replace(found, remarks=(remark,))


def _spellings(name: str, form: str) -> list[str]:
    """Keys to look for: with the form factor of a remark, as written, and with its brand."""
    words = device_words(name)
    key = "".join(words)
    first = [f"{key}{form}", "".join((words[0], form, *words[1:]))] if form and words else []
    branded = [f"{b}{key}" for b in _BRANDS] if key[:4].isdigit() else []
    return [k for k in (*first, key, *branded) if k]


def _left_open(found: Device, wanted: str, key: str, memory_stated: bool) -> tuple[str, ...]:
    """What a name leaves open: the kind, where other rows share its words, and the memory."""
    name, words = wanted.strip(), set(device_words(wanted))
    meant = f"{found.name} with {found.memory / 1e9:g} GB is meant"
    others = [
        f"{other} ({float(row['memory']):g} GB)"
        for other, row in _table().items()
        if other != found.name and row["kind"] != "cpu" and words <= set(device_words(other))
    ]
    if others and key != device_key(found.name):
        return (f"{name} leaves the kind open: {meant}, not {', '.join(others)}",)
    if found.memories and not memory_stated:
        sizes = ", ".join(f"{m / 1e9:g}" for m in found.memories)
        return (f"{name} leaves the memory open: {meant}, of {sizes} GB",)
    return ()
