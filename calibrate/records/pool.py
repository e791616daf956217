"""Cost records of several runs as one: the repeats of a point are put behind one another.

A shared machine changes its state from one quarter of an hour to the next, and with it what a pass
over many tokens takes beside a pass over one. Runs at different times, pooled, stand for the mix.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

from .merge import difference
from .points import Point, point_key
from .provenance import runs_of, split
from .record import Record, read_record, write_record


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
    first = records[0]
    for number, other in enumerate(records, start=1):
        if other.kind != "costs":
            raise ValueError(f"records must be of kind costs, got {other.kind} as record {number}")
        differs = difference({"key": list(first.key)}, {"key": list(other.key)}) or difference(
            split(first.provenance)[0], split(other.provenance)[0], "provenance."
        )
        if differs:
            raise ValueError(f"records 1 and {number} cannot be pooled: {differs}")
    found: dict[tuple[Any, ...], Point] = {}
    for record in records:
        for point in record.points:
            key = point_key(record.key, point)
            found[key] = _joined(found[key], point) if key in found else dict(point)
    widest = max(records, key=lambda r: len(r.points))
    runs = []
    for record in records:
        runs += [run for run in runs_of(record.provenance) if run not in runs]
    about = {**split(widest.provenance)[0], "runs": runs}
    settings = {**widest.settings, "pooled_runs": len(records)}
    return Record("costs", settings, about, tuple(found.values()), first.key)


def _joined(one: Point, other: Point) -> Point:
    if not other.get("times_s"):
        return one
    if not one.get("times_s"):
        return dict(other)
    lists = {name for name in one if isinstance(one[name], list)}
    if lists != {name for name in other if isinstance(other[name], list)}:
        raise ValueError(f"points cannot be pooled, their lists differ: {sorted(lists)}")
    return {name: one[name] + other[name] if name in lists else one[name] for name in one}
