"""Number formats of weights and caches: bytes of a number, and the arithmetic that uses it.

A format says which weights it holds. Formats of engines hold the matrices of the layers and leave
embedding and output matrix in 16 bits; those of files for llama.cpp and MLX hold everything; a
format for experts leaves the rest of the model in 16 bits. Scales are counted in.
"""

from __future__ import annotations

import csv
import re
import struct
from collections.abc import Container, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO, Literal

from ..tables.nearest import nearest_first
from ..tables.schema import table_lines

Holds = Literal["all", "layers", "experts"]
Arithmetic = Literal["fp32", "bf16", "fp16", "fp8", "int8", "fp4"]


@dataclass(frozen=True)
class NumberFormat:
    """A format of stored numbers.

    bits: bits of one number with its share of the scales; arithmetic: the rate of a device that
    applies (weight-only formats are unpacked and multiplied in 16 bits); holds: which weights are
    stored in it, the others taking 16 bits.
    """

    name: str
    bits: float
    arithmetic: Arithmetic
    holds: Holds = "all"

    @property
    def kernel(self) -> str:
        """Class of the kernels that multiply it: "plain", "scaled" (the stored numbers themselves
        on units of 8 or 4 bits), "blocks" (llama.cpp: blocks against 8-bit activations) or
        "unpacked" (weights alone, multiplied in 16 bits).
        """
        if self.bits in (16, 32):
            return "plain"
        if self.arithmetic == "bf16" or self.name.startswith("mlx"):
            return "unpacked"
        return "blocks" if self.holds == "all" else "scaled"

    @property
    def nested(self) -> bool:
        """Whether llama.cpp packs the scales of its blocks too, or looks numbers up in a table."""
        return "_k" in self.name or self.name.startswith("iq")

    @property
    def bytes(self) -> float:
        """Bytes of one number, scales included."""
        return self.bits / 8.0


def _formats() -> tuple[dict[str, NumberFormat], dict[str, str]]:
    """(formats by name, names by alias) of `formats.csv`.

    Bits of the llama.cpp types are those of their blocks; the mixtures (_K_M) are averages over
    models of the LLaMA family, good to a few percent; those of ik_llama.cpp are bytes of its
    blocks, without the scales of rows. llama.cpp multiplies blocks in 8 bits where it can, but
    scales every block of 32 in more, so that with many tokens it is no faster than with 16 bits
    (NVIDIA's, AMD's and Apple's alike).
    """
    formats, aliases = {}, {}
    for row in csv.DictReader(table_lines(__package__, "formats")):
        name, arithmetic, holds = row["name"], row["arithmetic"], row["holds"]
        formats[name] = NumberFormat(name, float(row["bits"]), arithmetic, holds)  # type: ignore[arg-type]
        aliases.update(dict.fromkeys(filter(None, row["aliases"].split(";")), name))
    return formats, aliases


FORMATS, ALIASES = _formats()


# What llama.cpp stores in place of blocks of 256 numbers where rows are no multiple of that.
_SHORT_ROWS = {"q2_k": "iq4_nl", "q4_k": "q5_0", "q5_k": "q5_1", "q6_k": "q8_0"}
_LONG_BLOCK = 256


# Weights of any mean width: "4.65bpw", as of EXL2 and EXL3, which leave the embedding in 16 bits.
_REPACKED = re.compile(r"_r[48]$")  # rows side by side, as ik_llama.cpp stores them for CPUs
_PER_WEIGHT = re.compile(r"(\d(?:\.\d+)?)-?bpw")


def _known(name: str) -> NumberFormat | None:
    key = name.strip().casefold()
    width = _PER_WEIGHT.fullmatch(key)
    if width and float(width[1]) >= 1:
        return NumberFormat(f"{float(width[1]):g}bpw", float(width[1]), "bf16", "layers")
    key = ALIASES.get(key, key)
    return FORMATS.get(_REPACKED.sub("", key))


def as_stored(name: str, row: int, quantity: str = "dtype") -> NumberFormat:
    """The format that matrices of so many numbers a row are stored in where ``name`` is asked for.

    Raises ValueError as `number_format` does.
    """
    form = number_format(name, quantity)
    if not form.nested or form.name == "iq4_nl" or row % _LONG_BLOCK == 0:
        return form
    return FORMATS[_SHORT_ROWS.get(form.name[:4], "iq4_nl")]


def format_in(name: str) -> tuple[str, str]:
    """(model, format) of a name such as ``Qwen2.5-1.5B:q4``; the format "" where none is known."""
    model, _, ending = name.rpartition(":")
    form = _known(ending)
    return (model.strip(), form.name) if model and form else (name, "")


def number_format(name: str, quantity: str = "dtype") -> NumberFormat:
    """The format of that name (or alias), whatever its case.

    quantity: what it is a format of, in messages. Raises ValueError naming the formats nearest to
    an unknown name first.
    """
    form = _known(name)
    if form is None:
        listed = ", ".join(nearest_first(name.strip().casefold(), FORMATS))
        raise ValueError(f"{quantity} must be one of {listed}, got {name!r}")
    return form


def computed_in(
    form: NumberFormat, rates: Container[str], *, widens: bool
) -> tuple[Arithmetic, ...]:
    """The arithmetic that a format may be computed in, the preferred one first.

    rates: what the device computes in; widens: whether it widens 16-bit numbers on the way from
    memory where it has no units for them, as CPUs do: the traffic is still 16-bit. An old GPU does
    so with the 16-bit numbers that it can at least convert.
    """
    wanted: tuple[Arithmetic, ...] = (form.arithmetic,)
    if form.name not in ("fp32", "bf16", "fp16", "fp8", "w8a8", "nvfp4"):
        wanted = (form.arithmetic, "bf16", "fp16", "fp32")
    if widens and form.arithmetic in ("bf16", "fp16"):
        return (*wanted, "bf16", "fp32")
    if form.name == "fp16" and "bf16" not in rates:
        return (*wanted, "fp32")
    return wanted


# What the head of a file of GGUF holds (github ggml-org/ggml, docs/gguf.md): the key of the format,
# and kinds of values with their bytes.
_KEY = "general.file_type"
_STRING, _ARRAY, _UINT32 = 8, 9, 4
_SIZES = {0: 1, 1: 1, 2: 2, 3: 2, 4: 4, 5: 4, 6: 4, 7: 1, 10: 8, 11: 8, 12: 8}


def gguf_format(path: str | Path) -> str:
    """The format of most weights of a file of GGUF, such as q4_k_m; "" where it says none known.

    Read from the head of the file alone: gguf's own reader takes seconds for a vocabulary of 50
    thousand.
    """
    from gguf import LlamaFileType

    with Path(path).open("rb") as file:
        try:
            said = next((n for key, n in _whole_numbers(file) if key == _KEY), None)
            name = "" if said is None else LlamaFileType(said).name.casefold()
            return number_format(name.removeprefix("mostly_").removeprefix("all_")).name
        except (ValueError, KeyError, struct.error):
            return ""


def _whole_numbers(file: BinaryIO) -> Iterator[tuple[str, int]]:
    """Keys with the values that are unsigned numbers of 32 bits."""
    if file.read(4) != b"GGUF":
        return
    _, _, entries = struct.unpack("<IQQ", file.read(20))
    for _ in range(entries):
        key = _text(file).decode("utf-8", "replace")
        (kind,) = struct.unpack("<I", file.read(4))
        if kind == _UINT32:
            yield key, struct.unpack("<I", file.read(4))[0]
        else:
            _skip(file, kind)


def _text(file: BinaryIO) -> bytes:
    (length,) = struct.unpack("<Q", file.read(8))
    return file.read(length)


def _skip(file: BinaryIO, kind: int) -> None:
    if kind == _STRING:
        _text(file)
    elif kind == _ARRAY:
        inner, count = struct.unpack("<IQ", file.read(12))
        if inner in _SIZES:
            file.seek(_SIZES[inner] * count, 1)
        else:
            for _ in range(count):
                _skip(file, inner)
    else:
        file.seek(_SIZES[kind], 1)
