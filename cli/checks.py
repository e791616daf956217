"""Checks of options that the verbs share; each raises ValueError before anything is computed."""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

GAMMA_LIMIT = 10_000  # beyond, tables take minutes and no engine drafts so far


def check_seed(seed: int) -> None:
    """A seed that every generator takes."""
    if seed < 0:
        raise ValueError(f"--seed must be an integer in [0, inf), got {seed}")


def check_level(level: float) -> None:
    """A level that an interval can have."""
    if not 0.0 < level < 1.0:
        raise ValueError(f"--level must be in (0, 1), got {level:g}")


def check_gamma_max(gamma_max: int, most: int = GAMMA_LIMIT) -> None:
    """A largest gamma that can be tabulated."""
    if not 1 <= gamma_max <= most:
        raise ValueError(f"--gamma-max must be an integer in [1, {most}], got {gamma_max}")


def check_load(batch: float, context: float) -> None:
    """A batch and a context that a pass can have."""
    if not 1.0 <= batch < math.inf:
        raise ValueError(f"--batch must be in [1, inf), got {batch:g}")
    if not 0.0 <= context < math.inf:
        raise ValueError(f"--context must be in [0, inf), got {context:g}")


def check_folder(path: Path) -> None:
    """A folder that is there or can be made: known before an hour of work, not after."""
    for place in (path, *path.parents):
        if place.is_dir():
            return
        if place.exists():
            raise ValueError(f"--out must be a folder, got the file {place}")


def spelled(given: str, known: Sequence[str]) -> str:
    """The known name that was meant, whatever its case and separators; any other as given."""

    def folded(name: str) -> str:
        return "".join(c for c in name.casefold() if c not in "-_. ")

    return next((name for name in known if folded(name) == folded(given)), given)


@contextmanager
def utf8(path: str | Path) -> Iterator[None]:
    """Name the file whose bytes are no text."""
    try:
        yield
    except UnicodeDecodeError as error:
        byte = error.object[error.start]
        raise ValueError(f"{path}: must be UTF-8 text, got the byte 0x{byte:02x}") from None
