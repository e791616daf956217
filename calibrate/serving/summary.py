"""A record of a server in a few rows, one a level of load."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from ..records import Record
from .served import Served, Wave


@dataclass(frozen=True)
class Level:
    """One configuration at one batch size, means over its waves.

    configuration: in words; first_token_ms: median time to the first token; token_ms: time of a
    token of one sequence while all decode; gap_95_ms: between pieces of an answer, 95th percentile;
    tokens_per_s: of all sequences while all decode; step_ms: time of a step of the target;
    tokens_per_step, coverage, survival: tokens per step, share of steps that drafted, share of
    steps that accepted draft token k; None where the server tells nothing of it.
    """

    configuration: str
    batch: int
    requests: int
    tokens: int
    first_token_ms: float
    token_ms: float
    gap_95_ms: float
    tokens_per_s: float
    step_ms: float | None
    tokens_per_step: float | None
    coverage: float | None
    survival: tuple[float, ...] | None


def levels_of(record: Record) -> tuple[Level, ...]:
    """The levels of a record of kind "serving", by configuration and batch."""
    found = Served((record,))
    return tuple(
        _level(what.called, batch, waves)
        for what, levels in found.waves.items()
        for batch, waves in levels.items()
    )


def _level(called: str, batch: int, waves: list[Wave]) -> Level:
    time_s = sum(w.window_s for w in waves)
    tokens = sum(w.window_tokens for w in waves)
    token_s = time_s * batch / tokens
    gaps = np.concatenate([w.gaps_s for w in waves])
    known = [w for w in waves if w.tokens_per_step is not None]
    steps = sum(w.steps or 0 for w in known)
    per_step = 1.0 + sum(w.accepted or 0 for w in known) / steps if steps else None
    gamma = int(waves[0].point["gamma"])
    rounds = [w.point["rounds"] for w in known]
    counted = gamma and rounds and None not in rounds
    placed = [w.reached for w in known if w.reached is not None]
    kept = np.sum(np.array(placed), axis=0) if placed else None
    return Level(
        called, batch, sum(len(w.point["tokens"]) for w in waves), sum(w.tokens for w in waves),
        1e3 * float(np.median(np.concatenate([w.first_s for w in waves]))), 1e3 * token_s,
        1e3 * float(np.quantile(gaps, 0.95)) if gaps.size else 0.0, batch / token_s,
        None if per_step is None else 1e3 * token_s * per_step, per_step,
        min(sum(rounds) / steps, 1.0) if counted else None,
        None if kept is None else tuple(float(n) for n in kept / steps),
    )  # fmt: skip
