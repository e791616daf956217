r"""Where a pair stops paying: batch, context and load at which no gamma beats plain decoding.

A server at token load x keeps b sequences in flight with x = b S(b) / T_1(b), S the speed-up at
that batch. Where S = 1 both ways of decoding have one batch, so the load at which speculation
stops paying is that of plain decoding at the batch where it stops:

    x* = b* / T_1(b*)

Assumes: Little's law with the batch at its mean.
Wrong when: the batch varies so much that the mean does not stand for it.
Source: the mean-field latency of `howspec.theory.costs`, for any cost law; derived here.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

import numpy as np

from ..calibrate.prior.costs import PredictedCost
from ..theory.domain import Floats
from .choice import choose

Quantity = Literal["batch", "context", "load"]


@dataclass(frozen=True)
class Crossing:
    """Where the best gamma becomes 0 as one quantity rises.

    values: where it was looked at; gamma, speedup, low, high, probability_gain: there. at: the
    first value from which on it stays 0, None where it pays to the last of the values; low, high:
    interval over the draws, None where that end lies beyond the values. pays: whether it pays
    anywhere; starts: the first value at which it pays, where that is not the first of them.
    """

    quantity: Quantity
    values: tuple[float, ...]
    gamma: tuple[int, ...]
    speedup: tuple[float, ...]
    speedup_low: tuple[float, ...]
    speedup_high: tuple[float, ...]
    probability_gain: tuple[float, ...]
    at: float | None
    low: float | None
    high: float | None
    pays: bool
    starts: float | None


def batches_up_to(largest: int, *, per_doubling: int = 3) -> tuple[float, ...]:
    """Whole batches from 1 to ``largest``, evenly spaced in their logarithm."""
    if largest < 1:
        return (1.0,)
    count = max(2, 1 + int(np.ceil(np.log2(max(largest, 2)) * per_doubling)))
    return tuple(float(b) for b in np.unique(np.rint(np.geomspace(1.0, largest, count))))


def crossings(
    tokens: Floats,
    law: PredictedCost,
    *,
    batches: Sequence[float],
    contexts: Sequence[float],
    batch: float,
    context: float,
    level: float = 0.9,
) -> dict[Quantity, Crossing]:
    """Crossings in batch (at ``context``), context (at ``batch``) and load (at ``context``).

    tokens: of rounds of gamma = 0.., shape (draws, gammas); batches, contexts: rising, where to
    look; level: of the intervals.
    """
    tables = [_table(tokens, law, batch=b, context=context) for b in batches]
    plain = np.stack([law.plain_step(batch=b, context=context) for b in batches])
    loads = np.asarray(batches, dtype=float)[:, None] / plain
    at_batch = [_table(tokens, law, batch=batch, context=c) for c in contexts]
    return {
        "batch": _crossing("batch", np.asarray(batches, float), tables, level),
        "context": _crossing("context", np.asarray(contexts, float), at_batch, level),
        "load": _crossing("load", loads, tables, level),
    }


def _table(tokens: Floats, law: PredictedCost, *, batch: float, context: float) -> Floats:
    times = law.round_time(tokens.shape[-1] - 1, batch=batch, context=context)
    return np.asarray(tokens * (times[:, :1] / times))


def _crossing(
    quantity: Quantity, values: Floats, tables: Sequence[Floats], level: float
) -> Crossing:
    """values: (points,), or (points, draws) where each draw has its own."""
    choices = [choose(t, level=level) for t in tables]
    excess = np.array([t[:, 1:].mean(axis=0).max() for t in tables]) - 1.0
    # Each draw would choose its own gamma, once it is known which draw is true.
    own = np.stack([t[:, 1:].max(axis=1) for t in tables]) - 1.0
    middle = values if values.ndim == 1 else np.median(values, axis=1)
    ends = np.array(
        [_end(values if values.ndim == 1 else values[:, i], own[:, i]) for i in range(own.shape[1])]
    )
    low, high = np.quantile(
        ends, [0.5 * (1.0 - level), 0.5 * (1.0 + level)], method="closest_observation"
    )
    at = _end(middle, excess)
    paying = np.flatnonzero(excess > 0.0)
    late = paying.size > 0 and paying[0] > 0
    return Crossing(
        quantity,
        tuple(float(v) for v in middle),
        tuple(c.gamma for c in choices),
        tuple(c.speedup for c in choices),
        tuple(c.low for c in choices),
        tuple(c.high for c in choices),
        tuple(c.probability_gain for c in choices),
        _finite(at),
        _finite(float(low)),
        _finite(float(high)),
        bool(paying.size),
        float(middle[paying[0]]) if late else None,
    )


def _end(values: Floats, excess: Floats) -> float:
    """Where the excess falls to 0 for good: inf where it ends above, the first value where it never
    is above; between two values by a straight line.
    """
    above = np.flatnonzero(excess > 0.0)
    if above.size == 0:
        return float(values[0])
    last = int(above[-1])
    if last == len(values) - 1:
        return float("inf")
    share = excess[last] / (excess[last] - excess[last + 1])
    return float(values[last] + share * (values[last + 1] - values[last]))


def _finite(value: float) -> float | None:
    return value if np.isfinite(value) else None
