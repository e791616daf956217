r"""The choice of gamma from a sample of what may be true: one row a draw, one column a gamma.

    latency     least E[1/S_g]     someone who has a fixed amount of work waits E[1/S]
    throughput  largest E[S_g]     someone who has a fixed time gets E[S]
    regret      largest E[S_g/M]   M = max over g of S_g: least expected share lost to not knowing
    safe        least mean of 1 - S_g/M over the tenth of the draws where it is largest

`safe` asks the regret of a gamma where it does worst (conditional value at risk of Rockafellar and
Uryasev, J. Risk 2, 2000, of the regret of Savage, JASA 46, 1951): it does not lean on draws that
are far too good, as the mean of S does, nor on those that are far too bad, as the mean of 1/S does.

Order of the other three (derived here). Let the unknowns be one parameter t with S_g(t) rising in t
and rho = S_h / S_g rising in t for g < h (a better draft wants longer drafts). rho - 1 then changes
its sign once, at t_0, from - to +. h is preferred to g by latency iff E[(rho - 1) / S_h] >= 0, by
regret iff E[(rho - 1) S_g / M] >= 0, by throughput iff E[(rho - 1) S_g] >= 0. Each sum is the one
before it with the terms multiplied by S_g S_h / M, and by M. A positive rising factor raises the
positive terms more than the negative ones, so that who preferred h before prefers it after. M
always rises, hence

    gamma_regret <= gamma_throughput   and   gamma_latency <= gamma_throughput,

and gamma_latency <= gamma_regret where S_g S_h / M rises: where at every t of the sample the
sensitivity d ln S / dt at the optimum is at most the sum of those at g and h. With several unknowns
the same holds where they are independent, S is a product of a factor of each (acceptance over
costs), and each is turned so that S and rho rise in it: multiplying by a rising factor then adds a
covariance of two rising functions of independent variables, which is not negative.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Literal

import numpy as np
from numpy.typing import ArrayLike, NDArray

from ..domain import Floats, as_floats

Objective = Literal["latency", "throughput", "regret", "safe"]
OBJECTIVES: tuple[Objective, ...] = ("latency", "throughput", "regret", "safe")
TAIL = 0.1  # share of the draws that `safe` looks at: those that a 90 % bound leaves
_BLOCK = 32  # draws that are summed at once


@dataclass(frozen=True)
class Decision:
    """The chosen gamma and what each gamma gives; arrays of shape (gammas,), index = gamma.

    gamma: the best under the objective, the smallest of equals.
    objective: that was used.
    mean_speedup: E[S_g]. speedup_of_mean_time: 1 / E[1/S_g], the speed-up of a fixed amount of
    work. expected_regret: E[1 - S_g / M], the mean share of the best speed-up that is lost.
    probability_best: share of the draws in which each gamma is the best. probability_within: share
    in which it loses no more than ``tolerance`` of the best.
    score: what the objective maximises.
    value_of_knowing: what the choice would gain on average if the truth were known, relative to
    what it has: in speed-up for throughput, in time for latency, in share for regret.
    """

    gamma: int
    objective: Objective
    mean_speedup: Floats
    speedup_of_mean_time: Floats
    expected_regret: Floats
    probability_best: Floats
    probability_within: Floats
    tolerance: float
    score: Floats
    value_of_knowing: float


def _sample(speedup: ArrayLike, weights: ArrayLike | None) -> tuple[Floats, Floats]:
    table = np.atleast_2d(as_floats("speedup", speedup))
    if table.ndim != 2 or table.size == 0 or not (np.isfinite(table) & (table > 0.0)).all():
        raise ValueError(
            f"speedup must be (draws, gammas) numbers in (0, inf), got shape {table.shape}"
        )
    if weights is None:
        return table, np.full(len(table), 1.0 / len(table))
    w = as_floats("weights", weights)
    if w.shape != (len(table),) or not (w >= 0.0).all() or not 0.0 < w.sum() < np.inf:
        raise ValueError(f"weights must be {len(table)} numbers in [0, inf) that are not all 0")
    return table, w / w.sum()


def score(speedup: ArrayLike, objective: Objective, *, weights: ArrayLike | None = None) -> Floats:
    """What the objective maximises, by gamma: 1/E[1/S], E[S], E[S/M] or 1 less the mean regret of
    the worst tenth, shape (gammas,).

    speedup: draws in rows, gamma 0, 1, ... in columns, > 0; weights: of the draws, >= 0, equal by
    default. Raises ValueError otherwise.
    """
    return _score(*_sample(speedup, weights), objective)


def _score(table: Floats, w: Floats, objective: Objective, share: Floats | None = None) -> Floats:
    """share: of the fastest of each draw, where it is known already."""
    if objective == "latency":
        return np.asarray(1.0 / (w @ (1.0 / table)))
    if objective == "throughput":
        return np.asarray(w @ table)
    if objective in ("regret", "safe"):
        kept = table / table.max(axis=1, keepdims=True) if share is None else share
        return np.asarray(w @ kept) if objective == "regret" else 1.0 - worst_losses(1.0 - kept, w)
    raise ValueError(f"objective must be one of {', '.join(OBJECTIVES)}, got {objective!r}")


def worst_losses(loss: Floats, w: NDArray[np.floating[Any]]) -> Floats:
    """Mean of each column over the draws of weight `TAIL` where it is largest.

    loss: (draws, columns); w: weights of sum 1, (..., draws). Shape (..., columns).
    """
    if w.ndim == 1 and (w == w[0]).all():  # without sorting
        some = TAIL * len(loss)
        most = int(np.ceil(some))
        worst = np.partition(loss, len(loss) - most, axis=0)[len(loss) - most :]
        return np.asarray((worst.sum(axis=0) - (most - some) * worst.min(axis=0)) / some)
    found = np.empty((*w.shape[:-1], loss.shape[1]))
    by_draw = np.ascontiguousarray(np.moveaxis(w, -1, 0)).reshape(len(loss), -1)
    for i, own in enumerate(loss.T):
        order = own.argsort()[::-1]
        found[..., i] = _first_mean(own[order], by_draw[order]).reshape(w.shape[:-1])
    return found


def _first_mean(values: Floats, weights: NDArray[np.floating[Any]]) -> Floats:
    """Mean of ``values``, (draws,), over the first draws of weight `TAIL`, for each of the columns
    of ``weights``, (draws, columns). Shape (columns,).

    Blocks of draws are summed as products of matrices, and only the one where `TAIL` is reached is
    gone through draw by draw.
    """
    short = -len(values) % _BLOCK
    values = np.pad(values, (0, short)).reshape(-1, _BLOCK)
    weights = np.pad(weights, ((0, short), (0, 0))).reshape(len(values), _BLOCK, -1)
    rows = np.stack([np.ones_like(values), values], axis=1).astype(weights.dtype)
    sums = rows @ weights  # of the weights and of weighted values, (blocks, 2, columns)
    before = np.cumsum(np.concatenate([np.zeros_like(sums[:1]), sums]), axis=0)
    last = np.minimum((before[1:, 0] < TAIL).sum(axis=0), len(values) - 1)
    columns = np.arange(last.size)
    weight, total = before[last, :, columns].T
    taken = np.minimum(np.cumsum(weights[last, :, columns], axis=1), (TAIL - weight)[:, None])
    total = total + (np.diff(taken, axis=1, prepend=0.0) * values[last]).sum(axis=1)
    return np.asarray(total / np.minimum(before[-1, 0], TAIL))


def _known(table: Floats, w: Floats, objective: Objective) -> float:
    """The score of someone who knows the truth of each draw."""
    if objective in ("regret", "safe"):
        return 1.0  # who loses nothing
    return float(_score(table.max(axis=1, keepdims=True), w, objective)[0])


def value_of_knowing(
    speedup: ArrayLike, *, objective: Objective = "latency", weights: ArrayLike | None = None
) -> float:
    """Relative gain of choosing gamma with the truth known over choosing it from the sample, >= 0.

    The most that any measurement can be worth. Arguments and errors as in :func:`score`.
    """
    table, w = _sample(speedup, weights)
    return max(_known(table, w, objective) / float(_score(table, w, objective).max()) - 1.0, 0.0)


def decide(
    speedup: ArrayLike,
    *,
    objective: Objective = "latency",
    weights: ArrayLike | None = None,
    tolerance: float = 0.05,
) -> Decision:
    """The best gamma for a sample of speed-ups, with what is at stake.

    tolerance: share of the best speed-up that "within" may lose, in [0, 1). Other arguments and
    errors as in :func:`score`.
    """
    if not 0.0 <= tolerance < 1.0:
        raise ValueError(f"tolerance must be in [0, 1), got {tolerance}")
    table, w = _sample(speedup, weights)
    share = table / table.max(axis=1, keepdims=True)
    gains = _score(table, w, objective, share)
    best = int(gains.argmax())
    return Decision(
        gamma=best,
        objective=objective,
        mean_speedup=np.asarray(w @ table),
        speedup_of_mean_time=np.asarray(1.0 / (w @ (1.0 / table))),
        expected_regret=np.asarray(w @ (1.0 - share)),
        probability_best=np.bincount(table.argmax(axis=1), w, table.shape[1]).astype(np.float64),
        probability_within=np.asarray(w @ (share >= 1.0 - tolerance)),
        tolerance=tolerance,
        score=gains,
        value_of_knowing=max(_known(table, w, objective) / float(gains[best]) - 1.0, 0.0),
    )


def value_of_measuring(
    rng: np.random.Generator,
    speedup: ArrayLike,
    signal: ArrayLike,
    *,
    noise: float,
    objective: Objective = "latency",
    repeats: int = 4,
) -> float:
    """Relative gain of choosing gamma after a measurement over choosing it from the sample.

    signal: what the measurement would show in each draw without its error, shape (draws,) or
    (draws, k) for k numbers at once; noise: standard deviation of its normal error, > 0, in the
    unit of the signal (scale several signals to one error). Each draw in turn is the truth,
    ``repeats`` times; the others are weighted by the likelihood of what it shows, and the choice
    made under these weights is paid in the draw's own speed-up. Noise-free it is
    :func:`value_of_knowing`; it may come out slightly negative by chance. Raises ValueError outside
    these ranges.
    """
    table, w = _sample(speedup, None)
    shown = as_floats("signal", signal).reshape(len(table), -1)
    if not (np.isfinite(noise) and noise > 0.0):
        raise ValueError(f"noise must be in (0, inf), got {noise}")
    paid: list[Any] = []
    for i in np.repeat(np.arange(len(table)), repeats):
        seen = shown[i] + noise * rng.standard_normal(shown.shape[1])
        far = ((shown - seen) ** 2).sum(axis=1) / (2.0 * noise * noise)
        likely = np.exp(far.min() - far)
        paid.append(table[i, _score(table, likely / likely.sum(), objective).argmax()])
    got: NDArray[np.float64] = np.asarray(paid)
    top = np.repeat(table.max(axis=1), repeats)
    mine = {"latency": 1.0 / np.mean(1.0 / got), "throughput": got.mean(),
            "regret": np.mean(got / top),
            "safe": _score(np.stack([got, top], axis=1), np.full(got.size, 1.0 / got.size),
                           "safe")[0]}[objective]  # fmt: skip
    return float(mine / _score(table, w, objective).max() - 1.0)
