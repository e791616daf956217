"""Which records belong together: same kind, machine, models, number format and settings.

A measurement on disk is told without its points. Cost records of several runs are pooled to one:
the repeats of a point are put behind one another. A shared machine changes its state from one
quarter of an hour to the next, and with it what a pass over many tokens takes beside a pass over
one. Runs at different times, pooled, stand for the mix.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import Any

from .points import Point, point_key
from .provenance import runs_of, split
from .record import Record, parse_head, read_record, write_record


def difference(mine: Mapping[str, Any], other: Mapping[str, Any], place: str = "") -> str:
    """The first entry in which two objects differ, with both values, or "" where none does.

    Compared as JSON would store them: a tuple is a list.
    """
    for name in [*mine, *(n for n in other if n not in mine)]:
        here, there = _plain(mine.get(name)), _plain(other.get(name))
        if here == there:
            continue
        if _objects(here) and _objects(there) and len(here) == len(there):
            here, there = ({f"[{i}]": v for i, v in enumerate(x)} for x in (here, there))
            found = difference(here, there, f"{place}{name}")
        elif isinstance(here, dict) and isinstance(there, dict):
            found = difference(here, there, f"{place}{name}.")
        else:
            found = f"{place}{name} is {_short(here)} here and {_short(there)} there"
        # Objects may differ by an entry that is null in one and absent in the other.
        if found:
            return found
    return ""


def same_origin(settings: Mapping[str, Any], provenance: Mapping[str, Any], other: Record) -> str:
    """How ``other`` differs from these settings and this provenance, "" where it may be joined."""
    differs = difference(settings, other.settings, "settings.")
    return differs or difference(split(provenance)[0], split(other.provenance)[0], "provenance.")


def _objects(value: Any) -> bool:
    return isinstance(value, list) and all(isinstance(v, dict) for v in value)


def _plain(value: Any) -> Any:
    return json.loads(json.dumps(value)) if value is not None else None


def _short(value: Any) -> str:
    text = json.dumps(value, ensure_ascii=False)
    entries = f" ({len(value)} entries)" if isinstance(value, list | dict) else ""
    return text if len(text) <= 80 else text[:77] + "..." + entries


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
    head = parse_head(lines[0].decode("utf-8", errors="replace"), f"{path}, line 1")
    settings, provenance = head.get("settings"), head.get("provenance")
    if not isinstance(settings, dict) or not isinstance(provenance, dict):
        raise ValueError(f"{path}, line 1: settings and provenance must be objects")
    return Origin(path, False, str(head.get("kind")), settings, split(provenance)[0])


def pool_files(files: Sequence[str | Path], out: str | Path) -> Record:
    """Pool cost records by their files and write what comes of it; see `pool`.

    out: .json or .json.gz, another file than those that are pooled, else ValueError.
    """
    if not str(out).endswith((".json", ".json.gz")):
        raise ValueError(f"--out must be a .json or .json.gz file, given {out}")
    if Path(out).resolve() in {Path(file).resolve() for file in files}:
        raise ValueError(f"--out must be another file than those that are pooled, given {out}")
    found = pool([read_record(file) for file in files])
    write_record(found, out)
    return found


def pool(records: Sequence[Record]) -> Record:
    """One cost record with all repeats of every point, in the order of the records.

    Settings may differ and are those of the record with the most points, with ``pooled_runs``; a
    point that only some records hold is kept, and one that failed in some has the times of the
    rest. Raises ValueError for another kind, and naming the entry in which machine, models or
    number format differ.
    """
    if len(records) < 2:
        raise ValueError(f"records must be at least 2 to be pooled, got {len(records)}")
    for number, other in enumerate(records, start=1):
        if other.kind != "costs":
            raise ValueError(f"records must be of kind costs, got {other.kind} as record {number}")
    origin = _joined_origin(records)
    found: dict[tuple[Any, ...], Point] = {}
    for record in records:
        for point in record.points:
            key = point_key(record.key, point)
            found[key] = _joined(found[key], point) if key in found else dict(point)
    widest = max(records, key=lambda r: len(r.points))
    settings = {**widest.settings, "pooled_runs": len(records)}
    return Record("costs", settings, origin, tuple(found.values()), widest.key)


def _joined_origin(records: Sequence[Record]) -> dict[str, Any]:
    """The provenance of several records with the runs of all.

    Raises ValueError naming the first entry in which key, machine, models or number format differ.
    """
    first = records[0]
    runs: list[dict[str, Any]] = []
    for number, other in enumerate(records, start=1):
        differs = difference({"key": first.key}, {"key": other.key}) or same_origin(
            other.settings, first.provenance, other
        )
        if differs:
            raise ValueError(f"records 1 and {number} cannot be pooled: {differs}")
        runs += [run for run in runs_of(other.provenance) if run not in runs]
    return {**split(first.provenance)[0], "runs": runs}


def _joined(one: Point, other: Point) -> Point:
    if not other.get("times_s"):
        return one
    if not one.get("times_s"):
        return dict(other)
    lists = {name for name in one if isinstance(one[name], list)}
    if lists != {name for name in other if isinstance(other[name], list)}:
        raise ValueError(f"points cannot be pooled, their lists differ: {sorted(lists)}")
    return {name: one[name] + other[name] if name in lists else one[name] for name in one}
