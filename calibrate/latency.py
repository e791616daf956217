r"""Fit of laws to latency measured against the number of draft tokens.

    latency(K) / latency(0) = (1 + o + K k) / N_K(alpha, rho)

The overhead o of a round and the depth decay rho belong to the target and the software and are
shared by the drafts of one family; alpha and the cost k of a draft token belong to a draft. The
numerator is linear in k, so k is integrated out exactly; the rest is a grid. Latency alone fixes
the curve well and its parts poorly: a higher alpha with a dearer draft token gives nearly the same
curve. The posterior sample keeps that ridge, and the fit says so where it matters.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property, lru_cache

import numpy as np
from numpy.typing import NDArray

from ..theory import AffineCost, DepthAcceptance
from .grid import (
    Floats,
    Priors,
    draw_above_zero,
    draw_cells,
    log_scatter_prior,
    log_sum,
    marginals,
    support,
    survival_sums,
)
from .rounds import integrate_slope


@dataclass(frozen=True)
class LatencyPoints:
    """Latencies of one draft, in units of the plain latency.

    draft: its name; gammas: >= 1, shape (points,) [token]; relative: latency / plain latency, > 0,
    same shape [1]. Raises ValueError on anything else.
    """

    draft: str
    gammas: NDArray[np.int64]
    relative: Floats

    def __post_init__(self) -> None:
        if self.gammas.shape != self.relative.shape or self.gammas.ndim != 1:
            raise ValueError(
                f"{self.draft}: gammas and relative must be one-dimensional and equally long, "
                f"got {self.gammas.shape} and {self.relative.shape}"
            )
        if self.gammas.size < 2:
            raise ValueError(
                f"{self.draft}: a fit needs at least 2 points with gamma >= 1, "
                f"got {self.gammas.size}"
            )
        if self.gammas.min() < 1:
            raise ValueError(
                f"{self.draft}: gamma must be an integer in [1, inf), got {self.gammas.min()}"
            )
        if not (np.isfinite(self.relative).all() and (self.relative > 0).all()):
            raise ValueError(f"{self.draft}: relative latency must be in (0, inf)")

    def without(self, gamma: int) -> LatencyPoints:
        """The same points less those at one gamma."""
        keep = self.gammas != gamma
        return LatencyPoints(self.draft, self.gammas[keep], self.relative[keep])


@dataclass(frozen=True)
class LatencyFit:
    """Posterior sample of the laws of one family.

    drafts: names; alpha, slope: shape (drafts, draws), slope being cost_ratio + verify_slope
    [target step]; overhead [target step], decay and scatter (relative scatter of one measurement):
    shape (draws,); points: what was fitted.
    """

    drafts: tuple[str, ...]
    alpha: Floats
    slope: Floats
    overhead: Floats
    decay: Floats
    scatter: Floats
    points: tuple[LatencyPoints, ...]

    def laws(self, draft: str) -> tuple[DepthAcceptance, AffineCost]:
        """The posterior sample of one draft as laws with arrays of shape (draws,)."""
        i = self.drafts.index(draft)
        return (
            DepthAcceptance(self.alpha[i], self.decay),
            AffineCost(self.slope[i], overhead=self.overhead),
        )

    def relative_latency(self, draft: str, gamma_max: int) -> Floats:
        """Latency / plain latency at gamma = 0..gamma_max, shape (draws, gamma_max + 1)."""
        from ..theory import tokens_by_gamma

        acceptance, cost = self.laws(draft)
        return np.asarray(cost.round_time(gamma_max) / tokens_by_gamma(acceptance, gamma_max))

    def residuals(self) -> Floats:
        """(fitted - measured) / plain latency at every point, the posterior mean curve's."""
        parts = []
        for p in self.points:
            curve = self.relative_latency(p.draft, int(p.gammas.max())).mean(axis=0)
            parts.append(curve[p.gammas] - p.relative)
        return np.concatenate(parts)


def _axes(size: str) -> tuple[Floats, Floats, Floats, Floats]:
    """Axes (overhead, ln decay, alpha, scatter) of the first pass."""
    n = {"coarse": (20, 13, 60, 10), "fine": (32, 21, 120, 16)}[size]
    return (
        np.linspace(0.0, 1.6, n[0]),
        np.linspace(-0.36, 0.36, n[1]),
        np.linspace(0.004, 0.996, n[2]),
        np.geomspace(5e-4, 0.12, n[3]),
    )


@dataclass(frozen=True)
class _Cells:
    """One draft on the grid (overhead, decay, alpha, scatter): log evidence, law of the slope."""

    log_weight: Floats
    mean: Floats
    spread: Floats

    @cached_property
    def without_alpha(self) -> Floats:
        """Log evidence of (overhead, decay, scatter)."""
        return log_sum(self.log_weight, 2)


@lru_cache(maxsize=8)
def _first_cells(
    gammas: tuple[int, ...], relative: tuple[float, ...], slope_prior: float
) -> _Cells:
    """Cells on the coarse axes: fits that leave out a point of one draft share the others'."""
    overhead, log_decay, alpha, scatter = _axes("coarse")
    points = LatencyPoints("", np.array(gammas), np.array(relative))
    return _cells(points, overhead, np.exp(log_decay), alpha, scatter, slope_prior)


def _cells(
    points: LatencyPoints,
    overhead: Floats,
    decay: Floats,
    alpha: Floats,
    scatter: Floats,
    slope_prior: float,
) -> _Cells:
    design = 1.0 / (points.relative * survival_sums(alpha, decay, points.gammas))
    drafted = points.gammas.astype(float)
    return _Cells(*integrate_slope(design, drafted, overhead, scatter, slope_prior))


def fit_latency(
    points: Sequence[LatencyPoints],
    rng: np.random.Generator,
    *,
    draws: int = 2000,
    priors: Priors = Priors(),  # noqa: B008 - frozen
    size: str = "fine",
) -> LatencyFit:
    """Fit the drafts of one family together and return a posterior sample of their laws.

    points: one entry a draft, at least one; rng: for the posterior draws; draws: size of the
    sample; size: "fine" or "coarse" grid (coarse is about 8 times faster, for cross-validation).
    Raises ValueError for bad points. Derived here.
    """
    if not points:
        raise ValueError("points must hold at least one draft, got none")
    if len({p.draft for p in points}) != len(points):
        raise ValueError("points must hold each draft once, got one twice")
    overhead, log_decay, alpha, scatter = _axes(size)
    alphas = [alpha] * len(points)
    for number in range(3):
        if number == 0 and size == "coarse":
            cells = [
                _first_cells(tuple(p.gammas.tolist()), tuple(p.relative.tolist()), priors.slope)
                for p in points
            ]
        else:
            cells = [
                _cells(p, overhead, np.exp(log_decay), a, scatter, priors.slope)
                for p, a in zip(points, alphas, strict=True)
            ]
        shared = _shared(cells, overhead, log_decay, scatter, priors)
        if number < 2:
            overhead, log_decay, alphas, scatter = _refine(
                cells, shared, overhead, log_decay, alphas, scatter
            )
    return _draw(rng, points, cells, shared, overhead, log_decay, alphas, scatter, draws)


def _shared(
    cells: list[_Cells], overhead: Floats, log_decay: Floats, scatter: Floats, priors: Priors
) -> Floats:
    """The log posterior of the shared (overhead, decay, scatter)."""
    shared = np.asarray(
        -0.5 * (overhead / priors.overhead)[:, None, None] ** 2
        - 0.5 * (log_decay / priors.log_decay)[None, :, None] ** 2
        + log_scatter_prior(scatter, priors)[None, None, :]
    )
    for c in cells:
        shared = shared + c.without_alpha
    return shared


def _refine(
    cells: list[_Cells],
    shared: Floats,
    overhead: Floats,
    log_decay: Floats,
    alphas: list[Floats],
    scatter: Floats,
) -> tuple[Floats, Floats, list[Floats], Floats]:
    """Axes narrowed to where the posterior is."""
    narrowed = []
    for c, a in zip(cells, alphas, strict=True):
        others = (shared - c.without_alpha)[:, :, None, :]
        weight = c.log_weight + others
        weight -= weight.max()
        narrowed.append(support(np.exp(weight, out=weight).sum(axis=(0, 1, 3)), a))
    of_overhead, of_decay, of_scatter = marginals(shared)
    return (
        support(of_overhead, overhead),
        support(of_decay, log_decay),
        narrowed,
        np.exp(support(of_scatter, np.log(scatter))),
    )


def _draw(
    rng: np.random.Generator,
    points: Sequence[LatencyPoints],
    cells: list[_Cells],
    shared: Floats,
    overhead: Floats,
    log_decay: Floats,
    alphas: list[Floats],
    scatter: Floats,
    draws: int,
) -> LatencyFit:
    i, j, s = draw_cells(rng, shared, draws)
    alpha, slope = [], []
    for c, axis in zip(cells, alphas, strict=True):
        line = c.log_weight[i, j, :, s]  # (draws, alpha)
        weight = np.cumsum(np.exp(line - line.max(axis=1, keepdims=True)), axis=1)
        pick = (rng.random((draws, 1)) * weight[:, -1:] > weight).sum(axis=1)
        alpha.append(axis[pick])
        slope.append(draw_above_zero(rng, c.mean[i, j, pick, s], c.spread[i, j, pick, s]))
    return LatencyFit(
        tuple(p.draft for p in points),
        np.array(alpha),
        np.array(slope),
        overhead[i],
        np.exp(log_decay[j]),
        scatter[s],
        tuple(points),
    )
