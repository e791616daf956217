r"""One law for a whole ladder of drafts, fitted to the latencies of all of them.

    1 - alpha(s) = exp(a) s^-beta,   k(s) = k_0 + k_1 s,   overhead and decay shared

Six numbers for a ladder of any length: where a fit draft by draft leaves every alpha on its own
ridge, the law ties the drafts together, which is what a best size rests on.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from ..theory import AffineCost, DepthAcceptance, tokens_by_gamma
from .grid import Priors
from .latency import LatencyPoints

Floats = NDArray[np.float64]
# Exponents of published ladders lie between 0.1 and 0.3; the prior is wide around them.
EXPONENT_PRIOR = (0.2, 0.3)
_LOW = np.array([-9.0, 0.0, 0.0, 0.0, 0.0, -0.4])
_HIGH = np.array([0.0, 2.0, 2.0, 4.0, 1.6, 0.4])


@dataclass(frozen=True)
class LadderFit:
    """Sample of the ladder law, arrays of shape (draws,); draw 0 is the least-squares fit itself.

    level: a; exponent: beta; cost_floor, cost_slope: k_0, k_1 [target step]; overhead [target
    step]; decay. rms: relative residual of the least-squares fit.
    """

    level: Floats
    exponent: Floats
    cost_floor: Floats
    cost_slope: Floats
    overhead: Floats
    decay: Floats
    rms: float

    def laws(self, scale: Floats) -> tuple[DepthAcceptance, AffineCost]:
        """Laws of drafts of the given scales, arrays of shape (draws, scales).

        scale: in (0, 1]. Where the power law exceeds 1, acceptance is 0.
        """
        s = np.asarray(scale, dtype=float)
        if not ((s > 0) & (s <= 1)).all():
            raise ValueError("scale must be in (0, 1]")
        rejection = np.exp(self.level[:, None] - self.exponent[:, None] * np.log(s))
        cost = self.cost_floor[:, None] + self.cost_slope[:, None] * s
        return (
            DepthAcceptance(np.maximum(1.0 - rejection, 0.0), self.decay[:, None]),
            AffineCost(cost, overhead=self.overhead[:, None]),
        )


def _predict(parameters: Floats, scale: Floats, gamma_max: int) -> Floats:
    """Relative latency, shape (scales, gamma_max + 1)."""
    a, b, floor, slope, overhead, log_decay = parameters[:, None]
    one = LadderFit(a, b, floor, slope, overhead, np.exp(log_decay), 0.0)
    acceptance, cost = one.laws(scale)
    curves = cost.round_time(gamma_max) / tokens_by_gamma(acceptance, gamma_max)
    return np.asarray(curves[0])


def fit_ladder(
    points: Sequence[LatencyPoints],
    scale: Floats,
    rng: np.random.Generator,
    *,
    draws: int = 200,
    priors: Priors = Priors(),  # noqa: B008 - frozen
    progress: Callable[[str, int, int], None] | None = None,
) -> LadderFit:
    """Fit the ladder law by bounded least squares, and sample its uncertainty.

    points: one entry a draft, at least three; scale: draft / target parameters, shape (drafts,), in
    (0, 1]; draws: size of the sample. Each draw refits data moved by the residual scatter, drafts
    weighted at random (a Bayesian bootstrap over the ladder: few sizes are the larger uncertainty)
    and priors moved by their own width. Raises ValueError for fewer drafts.
    """
    if len(points) < 3 or scale.shape != (len(points),):
        raise ValueError(
            f"a ladder law needs 3 drafts or more, each with its scale, got {len(points)}"
        )
    sigma = priors.scatter
    ones = np.ones(len(points))
    starts = [(-2.0, 0.2), (-3.0, 0.5), (-1.5, 0.1)]
    fits = [
        _solve(points, scale, np.array([a, b, 0.15, 0.4, 0.2, -0.03]), sigma, ones, priors, None)
        for a, b in starts
    ]
    best, _ = min(fits, key=lambda f: f[1])
    residual = np.concatenate(_errors(best, points, scale, None))
    freedom = max(residual.size - best.size, 1)
    sigma = float(np.sqrt((residual**2).sum() / freedom))
    sample = [best]
    for i in range(draws - 1):
        weight = rng.dirichlet(ones) * len(points)
        sample.append(_solve(points, scale, best, sigma, weight, priors, rng)[0])
        if progress:
            progress("ladder law", i + 2, draws)
    a, b, floor, slope, overhead, log_decay = np.array(sample).T
    rms = float(np.sqrt((residual**2).mean()))
    return LadderFit(a, b, floor, slope, overhead, np.exp(log_decay), rms)


def _errors(
    parameters: Floats, points: Sequence[LatencyPoints], scale: Floats, moved: list[Floats] | None
) -> list[Floats]:
    """Relative errors of every draft's points; ``moved`` are the data to fit instead."""
    curves = _predict(parameters, scale, max(int(p.gammas.max()) for p in points))
    data = moved or [p.relative for p in points]
    return [c[p.gammas] / y - 1.0 for c, p, y in zip(curves, points, data, strict=True)]


def _solve(
    points: Sequence[LatencyPoints],
    scale: Floats,
    start: Floats,
    sigma: float,
    weight: Floats,
    priors: Priors,
    rng: np.random.Generator | None,
) -> tuple[Floats, float]:
    """One penalised least-squares fit, of moved data and priors where ``rng`` is given."""
    from scipy.optimize import least_squares

    mean, spread = EXPONENT_PRIOR
    shift, moved = np.zeros(3), None
    if rng is not None:
        shift = rng.standard_normal(3)
        moved = [p.relative * np.exp(sigma * rng.standard_normal(p.gammas.size)) for p in points]
    share = np.sqrt(weight)

    def residuals(q: Floats) -> Floats:
        data = [e * w / sigma for e, w in zip(_errors(q, points, scale, moved), share, strict=True)]
        prior = np.array([(q[1] - mean) / spread, q[4] / priors.overhead, q[5] / priors.log_decay])
        return np.concatenate([*data, prior - shift])

    inside = np.clip(start, _LOW + 1e-6, _HIGH - 1e-6)
    solved = least_squares(residuals, inside, bounds=(_LOW, _HIGH))
    return np.asarray(solved.x), float(solved.cost)
