"""Checks of options that the verbs share; each raises ValueError before anything is computed."""

from __future__ import annotations

import os
from collections.abc import Iterable, Sequence
from pathlib import Path


def check_seed(seed: int) -> None:
    """A seed that every generator takes."""
    if seed < 0:
        raise ValueError(f"--seed must be an integer in [0, inf), got {seed}")


def check_outputs(figure: Path | None, html: Path | None) -> None:
    """A figure and a page that can be written: known before any work."""
    check_file(figure, "--figure", (".png", ".pdf", ".svg"))
    check_file(html, "--html", (".html", ".htm"))


def check_file(path: Path | None, option: str, endings: Sequence[str]) -> None:
    """A file that can be written, with one of the endings."""
    if path is None:
        return
    if path.suffix.lower() not in endings:
        *others, last = endings
        raise ValueError(f"{option} must end in {', '.join(others)} or {last}, got {path.name!r}")
    if path.is_dir():
        raise ValueError(f"{option} must be a file, got the folder {path}")
    if path.exists() and not os.access(path, os.W_OK):
        raise ValueError(f"{option} must be a file that can be written, got {path}")
    if not path.parent.is_dir():
        raise ValueError(f"{option} must be in a folder that is there, got {path}")
    from ..calibrate.files import check_folder

    check_folder(path.parent, option)


def names_of(given: Iterable[str] | None) -> list[str]:
    """Names that were given several times or with commas, each once."""
    split = (part.strip() for text in given or () for part in text.split(","))
    return list(dict.fromkeys(name for name in split if name))


def ranges(text: str, name: str) -> tuple[int, ...]:
    """Numbers and ranges with commas: 1-3,8 is 1, 2, 3 and 8."""
    found: set[int] = set()
    for part in text.split(","):
        low, dash, high = part.strip().partition("-")
        if not low.isdecimal() or (dash and not high.isdecimal()):
            raise ValueError(f"{name} must be whole numbers and ranges like 1-9,12, got {text!r}")
        if dash and int(high) < int(low):
            raise ValueError(f"{name} has a range that falls: {part.strip()}")
        found |= set(range(int(low), int(high or low) + 1))
    return tuple(sorted(found))


def spelled(given: str, known: Sequence[str]) -> str:
    """The known name that was meant, whatever its case and separators; any other as given."""

    def folded(name: str) -> str:
        return "".join(c for c in name.casefold() if c not in "-_. ")

    return next((name for name in known if folded(name) == folded(given)), given)
