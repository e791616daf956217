"""From laws to an answer: which gamma, what speed-up, how sure, how flat.

Laws with arrays are a posterior sample; a single law has nothing to be unsure of. The best gamma is
the one that an objective chooses from the sample (`choice`), 0 (do not speculate) included.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike, NDArray

from ..theory import (
    AcceptanceLaw,
    AffineCost,
    CostLaw,
    DepthAcceptance,
    optimal_gamma,
    optimal_speedup,
    tokens_by_gamma,
)
from ..theory.domain import Floats
from ..theory.interval import Interval, ends
from .choice import DEFAULT_OBJECTIVE, Choice, Objective, choose

UNSEEN = 0.02  # probability at the largest gamma tried from which on it is said


@dataclass(frozen=True)
class Prediction:
    """The answer.

    gamma: best whole number of draft tokens under the objective, 0 for plain decoding [token].
    objective: what was made largest; every estimate is the mean that belongs to it.
    speedup: at that gamma, over plain decoding (exactly 1 at gamma 0).
    speedup_by_gamma, low_by_gamma, high_by_gamma: index = gamma, shape (gamma_max + 1,).
    gamma_real: real optimum, None where it grows without bound.
    score: what the objective makes largest, (gamma_max + 1,).
    gamma_window: gammas whose speed-up is no more than ``tolerance`` below that of the best.
    By gamma, (gamma_max + 1,): probability_best, share of the sample in which it is the fastest;
    probability_within, in which it gives up no more than 5 % of the fastest; expected_regret, mean
    share of the time that knowing the truth would save.
    probability_gain: share of the sample in which the best gamma beats plain decoding.
    notes: what to know before relying on it.
    """

    gamma: int
    objective: Objective
    speedup: Interval
    score: Floats
    speedup_by_gamma: Floats
    low_by_gamma: Floats
    high_by_gamma: Floats
    gamma_real: float | None
    gamma_window: tuple[int, ...]
    tolerance: float
    probability_best: Floats
    probability_within: Floats
    expected_regret: Floats
    probability_gain: float
    notes: tuple[str, ...]

    @property
    def within(self) -> float:
        """Probability that the best gamma gives up no more than 5 % of the fastest."""
        return float(self.probability_within[self.gamma])

    @property
    def regret(self) -> float:
        """Mean share of the time that knowing the truth would save, at the best gamma."""
        return float(self.expected_regret[self.gamma])


def speedup_table(
    acceptance: AcceptanceLaw,
    cost: CostLaw,
    gamma_max: int,
    *,
    batch: float = 1,
    context: float = 0,
) -> Floats:
    """Speed-up at gamma = 0..gamma_max on the last axis, the laws' shapes broadcast in front."""
    times = cost.round_time(gamma_max, batch=batch, context=context)
    return np.asarray(tokens_by_gamma(acceptance, gamma_max) * times[..., :1] / times)


def predict(
    acceptance: AcceptanceLaw,
    cost: CostLaw,
    *,
    gamma_max: int = 32,
    objective: Objective = DEFAULT_OBJECTIVE,
    level: float = 0.9,
    tolerance: float = 0.01,
    scatter: ArrayLike = 0.0,
    rng: np.random.Generator | None = None,
    batch: float = 1,
    context: float = 0,
) -> Prediction:
    """Predict the best gamma and its speed-up under any acceptance law and any cost law.

    gamma_max: >= 1 [token]; objective: what is made largest, one of `OBJECTIVES`; level: of the
    intervals, in (0, 1); tolerance: of the window, in (0, 1); scatter: relative scatter of a single
    measurement (a number or one a draw), which widens the intervals and the probabilities of being
    the fastest and of a gain to those of a measurement, and needs rng. Raises ValueError outside
    these ranges.
    """
    for name, value in (("level", level), ("tolerance", tolerance)):
        if not 0.0 < value < 1.0:
            raise ValueError(f"{name} must be in (0, 1), got {value}")
    if int(gamma_max) != gamma_max or gamma_max < 1:
        raise ValueError(f"gamma_max must be an integer in [1, inf), got {gamma_max}")
    table = speedup_table(acceptance, cost, gamma_max, batch=batch, context=context)
    sample = table.reshape(-1, gamma_max + 1)
    moved = _with_scatter(sample, np.asarray(scatter, dtype=float), rng)
    low, high = ends(moved, level)
    plain = np.asarray(cost.round_time(0, batch=batch, context=context))[..., 0]
    plain = np.broadcast_to(plain, table.shape[:-1]).ravel()
    chosen = choose(sample, objective=objective, level=level, plain=plain)
    return summarised(acceptance, cost, chosen, low, high, moved, tolerance=tolerance)


def summarised(
    acceptance: AcceptanceLaw,
    cost: CostLaw,
    chosen: Choice,
    low: Floats,
    high: Floats,
    sample: Floats,
    *,
    center: Floats | None = None,
    tolerance: float = 0.01,
) -> Prediction:
    """The answer from a choice among gamma = 0..gamma_max.

    low, high: ends of the intervals, (gamma_max + 1,); sample: what a measurement would show, from
    which the probabilities of being the fastest and of a gain are, (draws, gamma_max + 1); center:
    estimates in place of the mean that belongs to the objective.
    """
    center = chosen.by_gamma if center is None else center
    best, gamma_max = chosen.gamma, center.size - 1
    wins = np.bincount(sample.argmax(axis=1), minlength=center.size) / len(sample)
    window = chosen.window(tolerance)
    return Prediction(
        gamma=best,
        objective=chosen.objective,
        speedup=Interval(float(center[best]), float(low[best]), float(high[best]), chosen.level),
        score=chosen.score,
        speedup_by_gamma=center,
        low_by_gamma=low,
        high_by_gamma=high,
        gamma_real=_real_optimum(acceptance, cost, center),
        gamma_window=window,
        tolerance=tolerance,
        probability_best=wins,
        probability_within=chosen.probability_within,
        expected_regret=chosen.expected_regret,
        probability_gain=float((sample[:, best] > 1.0).mean()) if best else 0.0,
        notes=tuple(_notes(center, best, window, wins, gamma_max, tolerance)),
    )


def _with_scatter(sample: Floats, scatter: Floats, rng: np.random.Generator | None) -> Floats:
    """The sample moved by the scatter of a measurement, which is also the misfit of the law.

    Plain decoding against itself stays exactly 1.
    """
    if not scatter.any():
        return sample
    if rng is None:
        raise ValueError("scatter needs a random generator, got rng=None")
    moved = sample * np.exp(rng.standard_normal(sample.shape) * scatter.reshape(-1, 1))
    moved[:, 0] = 1.0
    return np.asarray(moved)


def _real_optimum(acceptance: AcceptanceLaw, cost: CostLaw, center: Floats) -> float | None:
    """Closed form for independent acceptance and affine cost; else the vertex through three points.

    Of the three whole gammas around the best, in ln S. None where the optimum is unbounded.
    """
    if (
        isinstance(acceptance, DepthAcceptance)
        and isinstance(cost, AffineCost)
        and np.all(np.asarray(acceptance.decay) == 1.0)
    ):
        star = optimal_gamma(
            acceptance.alpha,
            cost.cost_ratio,
            verify_slope=cost.verify_slope,
            overhead=cost.overhead,
        )
        # With overhead the best speculative round can still lose to plain decoding.
        gains = optimal_speedup(
            acceptance.alpha,
            cost.cost_ratio,
            verify_slope=cost.verify_slope,
            overhead=cost.overhead,
        )
        value = float(np.median(np.where(np.asarray(gains) > 1.0, star, 0.0)))
        return value if np.isfinite(value) else None
    best = int(center.argmax())
    if best == 0 or best == center.size - 1:
        return float(best)
    if not center[best - 1] > 0.0:  # plain decoding was not measured
        return float(best)
    left, mid, right = np.log(center[best - 1 : best + 2])
    bend = left - 2 * mid + right
    return float(best + 0.5 * (left - right) / bend) if bend < 0 else float(best)


def _notes(
    center: Floats,
    best: int,
    window: tuple[int, ...],
    wins: Floats,
    gamma_max: int,
    tolerance: float,
) -> list[str]:
    notes = []
    if best == 0 and center.max() > 1.0:
        at = int(center.argmax())
        notes.append(
            f"do not speculate: what may be lost outweighs what may be gained (most: "
            f"{center[at]:.3f}x at gamma {at})"
        )
    elif best == 0:
        notes.append(
            f"do not speculate: no gamma up to {gamma_max} is faster than plain decoding "
            f"(closest: {center[1:].max():.3f}x at gamma {1 + int(center[1:].argmax())})"
        )
    elif best == gamma_max:
        notes.append(
            f"the best gamma is the largest one tried, {gamma_max} or more: the optimum may lie "
            "beyond"
        )
    if best and len(window) > 1:
        notes.append(
            f"flat optimum: gamma {window[0]} to {window[-1]} are within {100 * tolerance:g} % "
            "of the best"
        )
    if best and 0 in window:
        notes.append(f"the gain is below {100 * tolerance:g} %: plain decoding is as good")
    if best < gamma_max and wins[-1] >= UNSEEN:
        notes.append(
            f"gamma {gamma_max} or more is the fastest with probability {100 * wins[-1]:.0f} %: "
            "larger ones were not tried"
        )
    return notes


def break_even(cost: CostLaw, *, decay: float = 1.0, gamma_max: int = 32) -> float | None:
    """The alpha of the first draft token above which some gamma in 1..gamma_max pays.

    cost: a single cost law; decay: of the acceptance with depth, > 0. None where not even alpha = 1
    pays. By search, the speed-up of every gamma rising in alpha. Raises ValueError for arrays.
    """
    if cost.shape != ():
        raise ValueError("break_even takes a single cost law, got arrays of parameters")

    times = cost.round_time(gamma_max)

    def pays(alpha: Floats) -> NDArray[np.bool_]:
        tokens = tokens_by_gamma(DepthAcceptance(alpha, decay), gamma_max)
        return np.asarray((tokens * times[0] / times)[:, 1:].max(axis=1) > 1.0)

    if not pays(np.ones(1))[0]:
        return None
    # Digits of alpha to the base 16, every value of one at once: 13 of them are a float's.
    low, unit, digits = 0.0, 1.0, np.arange(1.0, 16.0)
    for _ in range(13):
        unit /= 16.0
        low += unit * float(np.sum(~pays(low + unit * digits)))
    return low + unit
