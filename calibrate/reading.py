"""What readers of files share."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path


@contextmanager
def utf8(path: str | Path) -> Iterator[None]:
    """Name the file whose bytes are no text."""
    try:
        yield
    except UnicodeDecodeError as error:
        byte = error.object[error.start]
        raise ValueError(f"{path}: must be UTF-8 text, got the byte 0x{byte:02x}") from None
