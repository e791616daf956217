"""The number format that a file of GGUF says it is in.

Read from the head of the file alone: gguf's own reader takes seconds for a vocabulary of 50
thousand. Layout: github ggml-org/ggml, docs/gguf.md.
"""

from __future__ import annotations

import struct
from collections.abc import Iterator
from pathlib import Path
from typing import BinaryIO

from .formats import number_format

_KEY = "general.file_type"
_STRING, _ARRAY, _UINT32 = 8, 9, 4
_SIZES = {0: 1, 1: 1, 2: 2, 3: 2, 4: 4, 5: 4, 6: 4, 7: 1, 10: 8, 11: 8, 12: 8}


def gguf_format(path: str | Path) -> str:
    """The format of most weights, such as q4_k_m; "" where the file says none that is known."""
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
