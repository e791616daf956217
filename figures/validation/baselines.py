"""Rows against the plain decoding of the same work, where a file states that in rows of its own."""

from __future__ import annotations

import math
from collections.abc import Iterable
from dataclasses import replace

from .measured import PLAIN_DECODING, Measured, squeezed

REPEATED = "the row repeats another"


def work_of(row: Measured) -> tuple[object, ...]:
    """What plain decoding and drafting must share to be compared."""
    names = tuple(squeezed(n) for n in (row.target, row.task, row.engine, row.hardware))
    batch = row.batch_size
    return (*names, squeezed(row.batch) if math.isnan(batch) else batch)


def against_plain(rows: Iterable[Measured]) -> list[Measured]:
    """The rows with speed-ups over the plain decoding of the same work, where rows state that.

    A row without a speed-up has the ratio of the two speeds; a speed-up of plain decoding other
    than 1 is that of another baseline, and the others are divided by it.
    """
    listed = list(rows)
    plain: dict[tuple[object, ...], list[Measured]] = {}
    for row in listed:
        if row.method == PLAIN_DECODING and not row.objection:
            plain.setdefault(work_of(row), []).append(row)
    return [_against(row, plain.get(work_of(row), [])) for row in listed]


def _against(row: Measured, plain: list[Measured]) -> Measured:
    if row.method == PLAIN_DECODING or row.objection:
        return row
    alike = [p for p in plain if (p.precision, p.temperature) == (row.precision, row.temperature)]
    speeds = {p.base_rate for p in alike or plain if p.base_rate > 0.0}
    gains = {p.speedup for p in alike or plain if p.speedup > 0.0}
    if math.isfinite(row.speedup):
        return replace(row, speedup=row.speedup / gains.pop()) if len(gains) == 1 else row
    if len(speeds) == 1 and row.spec_rate > 0.0:
        return replace(row, speedup=row.spec_rate / speeds.pop())
    return row


# Of what may be stated of the same rounds, what is closest to their tokens first.
_CLOSEST = ("", "accepted_over_drafted", "alpha_conditional", "overlap")


def closest(rows: Iterable[Measured]) -> list[Measured]:
    """The rows with one of those that state the acceptance of the same rounds in several ways.

    The others are marked as not to be used.
    """
    listed = list(rows)
    best: dict[tuple[object, ...], int] = {}
    for i, row in enumerate(listed):
        if not row.objection:
            key = _measurement(row)
            kept = best.setdefault(key, i)
            if _rank(row) < _rank(listed[kept]):
                best[key] = i
    chosen = set(best.values())
    return [
        row if row.objection or i in chosen else replace(row, objection=REPEATED)
        for i, row in enumerate(listed)
    ]


def _measurement(row: Measured) -> tuple[object, ...]:
    names = (row.draft, row.method, row.precision, row.temperature)
    return (*work_of(row), *(squeezed(n) for n in names), row.gamma, row.speedup, row.study)


def _rank(row: Measured) -> int:
    if math.isfinite(row.tau):
        return 0
    known = row.alpha_kind in _CLOSEST and math.isfinite(row.alpha)
    return _CLOSEST.index(row.alpha_kind) + 1 if known else len(_CLOSEST) + 1


def once(rows: Iterable[Measured]) -> list[Measured]:
    """Rows that say again what another says are marked as such."""
    seen: set[str] = set()
    out = []
    for row in rows:
        said = repr(replace(row, id="", source=""))
        repeated = said in seen and not row.objection
        out.append(replace(row, objection=REPEATED) if repeated else row)
        seen.add(said)
    return out
