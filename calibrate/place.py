"""Where a result is written: checked before an hour of work, not after."""

from __future__ import annotations

import os
from pathlib import Path


def check_folder(path: str | Path, name: str = "out") -> None:
    """A folder that is there or can be made; raises ValueError, naming the quantity, otherwise."""
    path = Path(path)
    for place in (path, *path.parents):
        if place.is_dir():
            if not os.access(place, os.W_OK):
                raise ValueError(f"{name} must be a folder that can be written, got {place}")
            return
        if place.exists():
            raise ValueError(f"{name} must be a folder, got the file {place}")


def record_place(out: str | Path, kind: str) -> tuple[Path, str]:
    """(folder, name without .json) of a record: a .json is its file, anything else its folder.

    kind: what the file is called in a folder. Raises ValueError where it cannot be written.
    """
    path = Path(out)
    if path.is_dir() or path.suffix != ".json":
        if path.suffix == ".gz":
            raise ValueError(f"out must be a .json file or a folder, got {out}")
        check_folder(path)
        return path, kind
    check_folder(path.parent)
    return path.parent, path.stem
