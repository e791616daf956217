"""What a measurement on disk is, told without its points: is it the one that is meant?"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import Any

from .merge import difference
from .provenance import split
from .record import check_header, parse, read_record

# How the line of a journal begins that marks a run.
RUN = b'{"run": '


@dataclass(frozen=True)
class Origin:
    """A measurement that was finished or begun.

    path: its file; finished: whether that is the record rather than the journal; settings: what was
    asked for; provenance: what all of its runs have in common.
    """

    path: Path
    finished: bool
    kind: str
    settings: dict[str, Any]
    provenance: dict[str, Any]

    def differs(self, kind: str, settings: Mapping[str, Any]) -> str:
        """The first entry of kind and settings in which it is another measurement, or ""."""
        return difference(
            {"kind": kind, "settings": settings}, {"kind": self.kind, "settings": self.settings}
        )


def origin_of(folder: Path, name: str) -> Origin | None:
    """The finished record ``name`` of a folder, else the one begun there, else None.

    A journal without a point holds nothing and counts as none. Raises ValueError naming the file
    for a record or a journal that is damaged or of an unknown version.
    """
    path = Path(folder) / f"{name}.json"
    try:
        found = path.stat()
    except FileNotFoundError:
        return _begun(path.with_name(f"{name}.part.jsonl"))
    return _finished(path, found.st_mtime_ns, found.st_size)


@lru_cache(maxsize=16)
def _finished(path: Path, changed_ns: int, size_bytes: int) -> Origin:
    """Of a record, which may be long; kept for as long as the file stays what it is."""
    record = read_record(path)
    return Origin(path, True, record.kind, record.settings, split(record.provenance)[0])


def _begun(path: Path) -> Origin | None:
    """Of a journal with at least one point: without any it is begun anew."""
    try:
        lines = path.read_bytes().split(b"\n")[:-1]
    except FileNotFoundError:
        return None
    if all(line.startswith(RUN) for line in lines[1:]):
        return None
    try:
        head = parse(lines[0].decode("utf-8", errors="replace"))
        check_header(head)
    except ValueError as error:
        raise ValueError(f"{path}, line 1: {error}") from None
    settings, provenance = head.get("settings"), head.get("provenance")
    if not isinstance(settings, dict) or not isinstance(provenance, dict):
        raise ValueError(f"{path}, line 1: settings and provenance must be objects")
    return Origin(path, False, str(head.get("kind")), settings, split(provenance)[0])
