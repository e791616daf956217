r"""Fit of the time of a round to measured round times.

    time(K) / plain step = 1 + o + K k

Measured directly, or as tokens per round over speed-up: tau / S is the time of a round in plain
steps whatever the acceptance law.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from ..theory import AffineCost
from .grid import (
    Floats,
    Priors,
    draw_above_zero,
    draw_cells,
    log_normal_cdf,
    log_scatter_prior,
    marginals,
    support,
)


@dataclass(frozen=True)
class CostFit:
    """Posterior sample of an affine cost law, arrays of shape (draws,).

    slope: cost_ratio + verify_slope, overhead [target step]; scatter: relative scatter of one
    measured round time. suspect_baseline: the points alone, without o >= 0, put the time of a
    round without drafts clearly below a plain step, so the plain measurement looks too slow.
    """

    slope: Floats
    overhead: Floats
    scatter: Floats
    suspect_baseline: bool

    def law(self) -> AffineCost:
        """The sample as one law with arrays of shape (draws,)."""
        return AffineCost(self.slope, overhead=self.overhead)


def integrate_slope(
    design: Floats, drafted: Floats, overhead: Floats, scatter: Floats, slope_prior: float
) -> tuple[Floats, Floats, Floats]:
    """Integrate the slope k >= 0 out of a likelihood that is normal in the relative error.

    The error of a point is w (1 + o) + w K k - 1. design: w, shape (..., points); drafted: K,
    shape (points,); overhead: shape (overhead,); scatter: shape (scatter,); slope_prior: scale of
    the half-normal prior of k. Returns (log evidence, mean, spread of the normal law of k before
    the cut at 0), each of shape (overhead, ..., scatter).
    """
    x = design * drafted
    o1 = (1.0 + overhead).reshape(-1, *([1] * (design.ndim - 1)))
    sxt = x.sum(-1) - o1 * (x * design).sum(-1)  # x . (1 - w (1 + o))
    stt = drafted.size - 2 * o1 * design.sum(-1) + o1 * o1 * (design * design).sum(-1)
    variance = scatter**2
    precision = (x * x).sum(-1)[..., None] / variance + 1.0 / slope_prior**2
    # In place: these arrays have a million cells each.
    mean = sxt[..., None] / variance
    mean /= precision
    evidence = precision * mean
    evidence *= mean
    evidence -= stt[..., None] / variance
    evidence *= 0.5
    evidence -= drafted.size * np.log(scatter)
    spread = 1.0 / np.sqrt(precision)
    evidence += np.log(spread)
    evidence += log_normal_cdf(mean / spread)
    return evidence, mean, np.broadcast_to(spread, mean.shape)


def fit_round_cost(
    gammas: Sequence[int] | NDArray[np.int64],
    round_time: Sequence[float] | Floats,
    rng: np.random.Generator,
    *,
    draws: int = 2000,
    priors: Priors = Priors(),  # noqa: B008 - frozen
) -> CostFit:
    """Fit (slope, overhead) to round times.

    gammas: shape (points,), >= 1 [token]; round_time: shape (points,), > 0 [target step].
    Raises ValueError outside these ranges.
    """
    k = np.asarray(gammas, dtype=np.float64)
    cost = np.asarray(round_time, dtype=np.float64)
    if k.ndim != 1 or k.shape != cost.shape or not k.size or k.min() < 1:
        raise ValueError(f"gammas must be whole numbers >= 1, one for each round time, got {k}")
    if not (np.isfinite(cost).all() and (cost > 0).all()):
        raise ValueError(f"round_time must be in (0, inf), got {cost[~(cost > 0)][:1]}")
    overhead, scatter = np.linspace(0.0, 2.0, 201), np.geomspace(5e-4, 0.12, 24)
    for last in (False, False, True):
        evidence, mean, spread = integrate_slope(1.0 / cost, k, overhead, scatter, priors.slope)
        weight = evidence - 0.5 * (overhead[:, None] / priors.overhead) ** 2
        weight = weight + log_scatter_prior(scatter, priors)
        if not last:
            of_overhead, of_scatter = marginals(weight)
            overhead = support(of_overhead, overhead)
            scatter = np.exp(support(of_scatter, np.log(scatter)))
    i, s = draw_cells(rng, weight, draws)
    slope = draw_above_zero(rng, mean[i, s], spread[i, s])
    return CostFit(slope, overhead[i], scatter[s], _below_plain_step(k, cost))


def _below_plain_step(k: Floats, cost: Floats, tolerance: float = 0.05) -> bool:
    """Whether the straight line through the points meets K = 0 clearly below one plain step."""
    if np.unique(k).size < 2:
        return False
    return bool(np.polyfit(k, cost, 1)[1] < 1.0 - tolerance)
