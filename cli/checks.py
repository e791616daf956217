"""Checks of options that the verbs share; each raises ValueError before anything is computed."""

from __future__ import annotations

import math
import os
from collections.abc import Iterable, Sequence
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


def check_folder(path: Path, option: str = "--out") -> None:
    """A folder that is there or can be made: known before an hour of work, not after."""
    for place in (path, *path.parents):
        if place.is_dir():
            if not os.access(place, os.W_OK):
                raise ValueError(f"{option} must be a folder that can be written, got {place}")
            return
        if place.exists():
            raise ValueError(f"{option} must be a folder, got the file {place}")


def record_place(out: str, kind: str) -> tuple[Path, str]:
    """(folder, name without .json) of a record: a .json is its file, anything else its folder."""
    path = Path(out)
    if path.is_dir() or path.suffix != ".json":
        if path.suffix == ".gz":
            raise ValueError(f"--out must be a .json file or a folder, got {out}")
        check_folder(path)
        return path, kind
    check_folder(path.parent)
    return path.parent, path.stem


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
    check_folder(path.parent, option)


def names_of(given: Iterable[str] | None) -> list[str]:
    """Names that were given several times or with commas, each once."""
    split = (part.strip() for text in given or () for part in text.split(","))
    return list(dict.fromkeys(name for name in split if name))


def check_seconds(name: str, seconds: float | None) -> None:
    """A time after which a measurement stops."""
    if seconds is not None and not seconds >= 0.0:
        raise ValueError(f"{name} must be in [0, inf), got {seconds:g}")


def spelled(given: str, known: Sequence[str]) -> str:
    """The known name that was meant, whatever its case and separators; any other as given."""

    def folded(name: str) -> str:
        return "".join(c for c in name.casefold() if c not in "-_. ")

    return next((name for name in known if folded(name) == folded(given)), given)
