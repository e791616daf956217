"""The JSON files of a family, and a folder that one run holds at a time."""

from __future__ import annotations

import json
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from ..records.lock import lock
from ..whole import atomic_write


def write_json(path: Path, value: Any) -> None:
    """Write a JSON object, whole or not at all. Raises ValueError for NaN or infinity."""
    text = json.dumps(value, indent=2, ensure_ascii=False, allow_nan=False) + "\n"
    path.parent.mkdir(parents=True, exist_ok=True)
    atomic_write(path, text.encode())


def read_json(path: Path, *needed: str, remedy: str = "delete it to go on") -> dict[str, Any]:
    """A JSON object of a family, with the entries that are needed.

    Raises ValueError naming the file, and what to do, where it is missing or damaged.
    """
    try:
        value = json.loads(path.read_text(encoding="utf-8"))
    except (ValueError, FileNotFoundError):
        value = None
    if not isinstance(value, dict) or not all(name in value for name in needed):
        place = f"{path.parent.name}/{path.name}"
        raise ValueError(f"{place} of the family is damaged or not there: {remedy}")
    return value


def same_settings(kept: dict[str, Any], wanted: dict[str, Any], what: str) -> None:
    """Refuse to go on with other settings, and name the first key that differs."""
    for key in sorted(set(kept) | set(wanted)):
        if kept.get(key) != wanted.get(key):
            raise ValueError(
                f"{what} was begun with {key} {kept.get(key)}, now {wanted.get(key)}:"
                " give the same settings or another --out"
            )


@contextmanager
def held_folder(folder: Path) -> Iterator[None]:
    """Hold a folder for this run; a second run is refused with one line."""
    folder.mkdir(parents=True, exist_ok=True)
    with (folder / ".lock").open("w") as handle:
        if not lock(handle.fileno()):
            raise ValueError(f"another run is training the family in {folder}")
        for half in folder.rglob(".*.part"):
            half.unlink()  # of a run that was killed
        yield
