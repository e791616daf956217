r"""One law for a whole ladder of drafts, fitted to the latencies of all of them.

    1 - alpha(s) = exp(a) s^-beta,   k(s) = k_0 + k_1 s,   overhead and decay shared

Six numbers for a ladder of any length: where a fit draft by draft leaves every alpha on its own
ridge, the law ties the drafts together, which is what a best size rests on.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np

from ..theory import AffineCost, DepthAcceptance, tokens_by_gamma
from ..theory.domain import Floats
from .grid import Priors
from .latency import LatencyPoints

# Exponents of published ladders lie between 0.1 and 0.3; the prior is wide around them.
EXPONENT_PRIOR = (0.2, 0.3)
_LOW = np.array([-9.0, 0.0, 0.0, 0.0, 0.0, -0.4])
_HIGH = np.array([0.0, 2.0, 2.0, 4.0, 1.6, 0.4])
_STEP = float(np.sqrt(np.finfo(float).eps))


@dataclass(frozen=True)
class LadderFit:
    """Sample of the ladder law, arrays of shape (draws,); draw 0 is the least-squares fit itself.

    level: a; exponent: beta; cost_floor, cost_slope: k_0, k_1 [target step]; overhead [target
    step]; decay. rms: relative residual of the least-squares fit; draft_scatter: relative error of
    a draft that is left out.
    """

    level: Floats
    exponent: Floats
    cost_floor: Floats
    cost_slope: Floats
    overhead: Floats
    decay: Floats
    rms: float
    draft_scatter: float

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
    """Relative latency, shape (laws, scales, gamma_max + 1); parameters: shape (laws, 6)."""
    a, b, floor, slope, overhead, log_decay = parameters.T
    sample = LadderFit(a, b, floor, slope, overhead, np.exp(log_decay), 0.0, 0.0)
    acceptance, cost = sample.laws(scale)
    return np.asarray(cost.round_time(gamma_max) / tokens_by_gamma(acceptance, gamma_max))


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
    (0, 1]; draws: size of the sample. Each draw refits data moved by the scatter of a point, by
    that of a whole draft around the law (how far each is missed when left out: with few sizes the
    larger uncertainty), and priors moved by their own width. Raises ValueError for fewer drafts.
    """
    if len(points) < 3 or scale.shape != (len(points),):
        raise ValueError(
            f"a ladder law needs 3 drafts or more, each with its scale, got {len(points)}"
        )
    sigma = priors.scatter
    starts = [(-2.0, 0.2), (-3.0, 0.5), (-1.5, 0.1)]
    fits = [
        _solve(points, scale, np.array([a, b, 0.15, 0.4, 0.2, -0.03]), sigma, priors)
        for a, b in starts
    ]
    best, _ = min(fits, key=lambda f: f[1])
    (residual,) = _errors(best[None], points, scale)
    freedom = max(residual.size - best.size, 1)
    sigma = float(np.sqrt((residual**2).sum() / freedom))
    apart = _draft_scatter(points, scale, best, sigma, priors)
    sample = [best]
    for i in range(draws - 1):
        moved = [_moved(p, apart, sigma, rng) for p in points]
        shift = rng.standard_normal(3)
        sample.append(_solve(moved, scale, best, sigma, priors, shift=shift)[0])
        if progress:
            progress("ladder law", i + 2, draws)
    a, b, floor, slope, overhead, log_decay = np.array(sample).T
    rms = float(np.sqrt((residual**2).mean()))
    return LadderFit(a, b, floor, slope, overhead, np.exp(log_decay), rms, apart)


def _moved(
    points: LatencyPoints, apart: float, sigma: float, rng: np.random.Generator
) -> LatencyPoints:
    """The points moved together by the scatter of a draft and one by one by that of a point."""
    error = apart * rng.standard_normal() + sigma * rng.standard_normal(points.gammas.size)
    return LatencyPoints(points.draft, points.gammas, points.relative * np.exp(error))


def _draft_scatter(
    points: Sequence[LatencyPoints], scale: Floats, best: Floats, sigma: float, priors: Priors
) -> float:
    """Root mean square of the mean relative error of a draft that was left out of the fit."""
    missed = []
    for i in range(len(points)):
        kept = [j for j in range(len(points)) if j != i]
        law, _ = _solve([points[j] for j in kept], scale[kept], best, sigma, priors)
        missed.append(_errors(law[None], points[i : i + 1], scale[i : i + 1]).mean())
    return float(np.sqrt(np.mean(np.square(missed))))


def _errors(parameters: Floats, points: Sequence[LatencyPoints], scale: Floats) -> Floats:
    """Relative errors of all points, draft after draft, shape (laws, points)."""
    curves = _predict(parameters, scale, max(int(p.gammas.max()) for p in points))
    errors = [curves[:, i, p.gammas] / p.relative - 1.0 for i, p in enumerate(points)]
    return np.concatenate(errors, axis=1)


def _solve(
    points: Sequence[LatencyPoints],
    scale: Floats,
    start: Floats,
    sigma: float,
    priors: Priors,
    *,
    shift: Floats | float = 0.0,
) -> tuple[Floats, float]:
    """One penalised least-squares fit; shift: of the priors of exponent, overhead and decay."""
    from scipy.optimize import least_squares

    mean, spread = EXPONENT_PRIOR

    def residuals(q: Floats) -> Floats:
        prior = (q[:, [1, 4, 5]] - center) / width - shift
        return np.concatenate([_errors(q, points, scale) / sigma, prior], axis=1)

    def alone(q: Floats) -> Floats:
        return np.asarray(residuals(q[None])[0])

    def slopes(q: Floats) -> Floats:
        """Forward differences, of all parameters at once; backward where a bound is nearer."""
        step = _STEP * np.where(q >= 0.0, 1.0, -1.0) * np.maximum(1.0, np.abs(q))
        step = np.where((q + step < _LOW) | (q + step > _HIGH), -step, step)
        moved = q + np.diag(step)
        found = residuals(np.vstack([q, moved]))
        return np.asarray((found[1:] - found[0]) / (np.diag(moved) - q)[:, None]).T

    center, width = np.array([mean, 0.0, 0.0]), [spread, priors.overhead, priors.log_decay]
    inside = np.clip(start, _LOW + 1e-6, _HIGH - 1e-6)
    solved = least_squares(alone, inside, slopes, bounds=(_LOW, _HIGH))
    return np.asarray(solved.x), float(solved.cost)
