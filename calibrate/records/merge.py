"""Which records belong together: same kind, machine, models, number format and settings."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from typing import Any

from .provenance import runs_of, split
from .record import Record


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


def merge(records: Sequence[Record]) -> Record:
    """One record of all points, in the order given.

    Raises ValueError naming the first key in which kind, settings, machine, models or number
    format differ, and for a point that two records hold.
    """
    if not records:
        raise ValueError("records must hold at least one record, got none")
    first = records[0]
    for number, other in enumerate(records[1:], start=2):
        differs = difference(
            {"kind": first.kind, "key": first.key}, {"kind": other.kind, "key": other.key}
        ) or same_origin(first.settings, first.provenance, other)
        if differs:
            raise ValueError(f"records 1 and {number} cannot be merged: {differs}")
    fixed = split(first.provenance)[0]
    runs = []
    for record in records:
        runs += [run for run in runs_of(record.provenance) if run not in runs]
    points = tuple(point for record in records for point in record.points)
    return Record(first.kind, first.settings, {**fixed, "runs": runs}, points, first.key)


def _objects(value: Any) -> bool:
    return isinstance(value, list) and all(isinstance(v, dict) for v in value)


def _plain(value: Any) -> Any:
    return json.loads(json.dumps(value)) if value is not None else None


def _short(value: Any) -> str:
    text = json.dumps(value, ensure_ascii=False)
    entries = f" ({len(value)} entries)" if isinstance(value, list | dict) else ""
    return text if len(text) <= 80 else text[:77] + "..." + entries
