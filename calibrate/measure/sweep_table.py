"""A sweep as a table: speed-up of every setting over plain decoding of the same blocks."""

from __future__ import annotations

from collections import defaultdict
from dataclasses import dataclass
from typing import Any

import numpy as np

from ..records import Record

_Setting = tuple[str | None, str, int, int]


@dataclass(frozen=True)
class SweepRow:
    """One setting. blocks: those that it ran in; latency_s: mean of a batch of requests;
    speedup: mean plain latency over its mean latency in the same blocks; spread: its standard
    error, with blocks as the unit of chance, NaN for one block; tokens_per_round: None where none
    are counted."""

    draft: str | None
    method: str
    gamma: int
    batch: int
    blocks: int
    latency_s: float
    speedup: float
    spread: float
    tokens_per_round: float | None


def sweep_table(record: Record) -> list[SweepRow]:
    """The settings of a sweep, plain decoding first. Points with an error are left out."""
    times: dict[_Setting, dict[int, list[float]]] = defaultdict(lambda: defaultdict(list))
    counts: dict[_Setting, list[tuple[int, int]]] = defaultdict(list)
    for point in record.points:
        if "error" in point:
            continue
        setting = (point.get("draft"), point["method"], point["gamma"], point["batch"])
        times[setting][point["prompt"]].append(point["total_s"])
        if point.get("rounds"):
            rounds = point["rounds"]
            total = sum(rounds) if isinstance(rounds, list) else rounds
            counts[setting].append((total, sum(point["accepted"])))
    found = [_row(s, of, times, counts.get(s)) for s, of in times.items()]
    return sorted(
        (r for r in found if r is not None),
        key=lambda r: (r.batch, r.draft is not None, r.draft or "", r.method, r.gamma),
    )


def _row(
    setting: _Setting,
    blocks: dict[int, list[float]],
    times: dict[_Setting, dict[int, list[float]]],
    counts: list[tuple[int, int]] | None,
) -> SweepRow | None:
    draft, method, gamma, batch = setting
    plain = times.get((None, "plain", 0, batch), {})
    both = [b for b in blocks if b in plain]
    if not both:
        return None
    own = np.array([np.mean(blocks[b]) for b in both])
    base = np.array([np.mean(plain[b]) for b in both])
    speedup = float(base.sum() / own.sum())
    spread = float("nan")
    if len(both) > 1:
        share = (base - speedup * own) / own.mean()
        spread = float(np.std(share, ddof=1) / np.sqrt(len(both)))
    tokens = None
    if counts:
        rounds, accepted = np.sum(counts, axis=0)
        tokens = float(1.0 + accepted / rounds)
    return SweepRow(
        draft, method, gamma, batch, len(both), float(own.mean()), speedup, spread, tokens
    )


def best_gammas(rows: list[SweepRow], method: str = "sps") -> dict[tuple[str, int], SweepRow]:
    """The fastest setting of every (draft, batch) with that method."""
    found: dict[tuple[str, int], Any] = {}
    for row in rows:
        if row.method == method and row.draft is not None:
            key = (row.draft, row.batch)
            if key not in found or row.speedup > found[key].speedup:
                found[key] = row
    return found
