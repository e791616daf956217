r"""What a measurement is expected to leave of interval and regret, told before it is made.

Of draws i of what may be true, each shows s_i in a measurement, in units of its error. For an
outcome y = s_t + e, with t drawn as the truth and e standard normal, the other draws weigh

    w_i = exp(-|y - s_i|^2 / 2),

the choice is made under these weights, and its interval and its expected regret are averaged over
outcomes. The truth itself has no weight in its own outcome, and draws that are equal to it (after
resampling) have none either: with them, the sample would know what no measurement says.
Assumes: the sample holds draws near every outcome. Where fewer than `LEAST` have a weight, the
error is taken larger until as many have; what is said is then too wide, not too narrow.
Source: preposterior analysis (Raiffa, Schlaifer 1961, Applied Statistical Decision Theory) by
importance weights; derived here.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike, NDArray

from ..domain import Floats, as_floats
from ..interval import check_level, ends
from .samples import Objective, _sample, _score, worst_losses

Weights = NDArray[np.float32]  # two digits of an answer need no more
LEAST = 24.0  # effective draws behind the weights of a typical outcome
_TRIED = 32  # outcomes that the error is set by


@dataclass(frozen=True)
class Ahead:
    """Before a measurement: low, high: mean ends of the interval of the speed-up at the gamma that
    is chosen after it; regret: mean expected regret of that choice, a share of the best speed-up.
    """

    low: float
    high: float
    regret: float


def at_hand(
    speedup: ArrayLike, *, objective: Objective = "latency", level: float = 0.9
) -> tuple[int, Ahead]:
    """(the choice, its interval and expected regret) of draws x choices as they are.

    speedup: > 0, shape (draws, choices); level: of the interval, in (0, 1). Raises ValueError
    outside these ranges.
    """
    check_level(level)
    table, w = _sample(speedup, None)
    best = int(_score(table, w, objective).argmax())
    low, high = ends(table[:, best], level)
    return best, Ahead(float(low), float(high), float(w @ _loss(table)[:, best]))


def expected_after(
    rng: np.random.Generator,
    speedups: Sequence[ArrayLike],
    shown: ArrayLike,
    *,
    objective: Objective = "latency",
    level: float = 0.9,
    outcomes: int = 192,
) -> Ahead:
    """Interval and expected regret after a measurement, averaged over what it may show.

    speedups: one or more tables > 0 of shape (draws, choices), a choice being made in each of them;
    the interval is that of the first, the regret the mean over all. shown: what each draw shows, in
    standard deviations of the error, shape (draws,) or (draws, numbers); outcomes: >= 1, that are
    averaged over. Raises ValueError outside these ranges.
    """
    check_level(level)
    if not speedups:
        raise ValueError("speedups must hold one table or more, got none")
    tables = [_sample(s, None)[0] for s in speedups]
    signal = as_floats("shown", shown).reshape(len(tables[0]), -1)
    if not np.isfinite(signal).all():
        raise ValueError("shown must be numbers in (-inf, inf), got others")
    if outcomes < 1:
        raise ValueError(f"outcomes must be a whole number >= 1, got {outcomes}")
    tables, signal, count = _distinct(rng, tables, signal)
    prior = count / count.sum()
    truths = _truths(rng, tables[0], prior, objective, outcomes)
    seen = signal[truths] + rng.standard_normal((truths.size, signal.shape[1]))
    weights = _weights(signal, seen, truths, count)
    chosen = [_choices(t, weights, objective) for t in tables]
    left = [_regret(t, prior, weights, objective, c) for t, c in zip(tables, chosen, strict=True)]
    low, high = _ends(tables[0], weights, chosen[0], level)
    return Ahead(low, high, float(np.mean(left)))


def _loss(table: Floats) -> Floats:
    return np.asarray(1.0 - table / table.max(axis=1, keepdims=True))


def _distinct(
    rng: np.random.Generator, tables: Sequence[Floats], signal: Floats
) -> tuple[list[Floats], Floats, Floats]:
    """Each draw once, with how often it was there."""
    key = signal @ rng.random(signal.shape[1])
    for table in tables:
        key = key + np.log(table) @ rng.random(table.shape[1])
    _, at, count = np.unique(key, return_index=True, return_counts=True)
    return [t[at] for t in tables], signal[at], count.astype(np.float64)


def _truths(
    rng: np.random.Generator, table: Floats, prior: Floats, objective: Objective, outcomes: int
) -> NDArray[np.intp]:
    """Draws as truths, one from each of equal parts of the speed-up's range."""
    best = int(_score(table, prior, objective).argmax())
    order = table[:, best].argsort()
    at = (np.arange(outcomes) + rng.random(outcomes)) / outcomes
    found = np.searchsorted(np.cumsum(prior[order]), at)
    return np.asarray(order[np.minimum(found, order.size - 1)])


def _weights(signal: Floats, seen: Floats, truths: NDArray[np.intp], count: Floats) -> Weights:
    """Weights of the draws under each outcome, (outcomes, draws), rows of sum 1."""
    far = np.zeros((len(seen), len(signal)), dtype=np.float32)
    for own, other in zip(signal.T, seen.T, strict=True):
        far += np.square(np.subtract.outer(other, own).astype(np.float32))
    if len(signal) > 1:
        far[np.arange(len(seen)), truths] = np.inf
    far -= far.min(axis=1, keepdims=True)
    some = far[:: max(1, len(far) // _TRIED)]
    sharp, least = 0.5, min(LEAST, 0.25 * len(signal))
    while sharp > 1e-9 and _effective(some, count, sharp) < least:
        sharp *= 0.7
    weights = np.exp(-sharp * far) * count.astype(np.float32)
    return np.asarray(weights / weights.sum(axis=1, keepdims=True))


def _effective(far: Weights, count: Floats, sharp: float) -> float:
    """Median over outcomes of the effective number of draws."""
    w = np.exp(-sharp * far) * count
    return float(np.median(w.sum(axis=1) ** 2 / np.square(w).sum(axis=1)))


def _regret(
    table: Floats,
    prior: Floats,
    weights: Weights,
    objective: Objective,
    chosen: NDArray[np.intp],
) -> float:
    """Expected regret after, as what the outcomes remove from that of the choice now."""
    loss = _loss(table)
    now = int(_score(table, prior, objective).argmax())
    then = weights @ loss.astype(np.float32)
    removed = then[:, now] - then[np.arange(len(then)), chosen]
    return float(prior @ loss[:, now] - removed.mean())


def _choices(table: Floats, weights: Weights, objective: Objective) -> NDArray[np.intp]:
    if objective == "latency":
        return np.asarray((weights @ (1.0 / table).astype(np.float32)).argmin(axis=1))
    if objective == "safe":
        return np.asarray(worst_losses(_loss(table), weights).argmin(axis=1))
    value = table if objective == "throughput" else 1.0 - _loss(table)
    return np.asarray((weights @ value.astype(np.float32)).argmax(axis=1))


def _ends(
    table: Floats, weights: Weights, chosen: NDArray[np.intp], level: float
) -> tuple[float, float]:
    """Mean ends of the interval at the choice of each outcome."""
    low, high = np.empty((2, len(weights)))
    for choice in np.unique(chosen):
        mine = chosen == choice
        order = table[:, choice].argsort()
        below = np.cumsum(weights.T[order][:, mine], axis=0)
        for edge, share in ((low, 0.5 * (1.0 - level)), (high, 0.5 * (1.0 + level))):
            at = (below < share).sum(axis=0)
            edge[mine] = table[order[np.minimum(at, order.size - 1)], choice]
    return float(low.mean()), float(high.mean())
