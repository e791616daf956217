"""Posterior of laws on a grid: every parameter that is not linear is a grid axis.

The sweeps that users have hold a handful of points for three or four unknowns, and the unknowns
trade off against each other: a covariance at the optimum says nothing there. Summing over a grid
needs no starting point, no convergence check and no random walk, and shows a ridge as a ridge.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float64]


@dataclass(frozen=True)
class Priors:
    """Weak priors of a fit, in the units of the quantities.

    overhead: scale of a half-normal [target step]; slope: scale of a half-normal of the cost per
    draft token [target step]; log_decay: spread of ln(decay) around 0, that of a normal law, or of
    one with wide tails where tokens per round show the decay directly; scatter and
    scatter_spread: median and spread in ln of the relative scatter of one measurement. alpha is
    uniform on [0, 1]. The widths are those of published sweeps: rounds of serving engines cost 0.05
    to 0.6 plain steps beyond their passes, and acceptance changes by up to 8 % from one draft
    position to the next.
    """

    overhead: float = 0.3
    slope: float = 1.0
    log_decay: float = 0.05
    scatter: float = 0.015
    scatter_spread: float = 1.0


def survival_sums(alpha: Floats, decay: Floats, gammas: NDArray[np.int64]) -> Floats:
    """Tokens per round at each gamma under alpha_k = alpha decay^(k-1), (decay, alpha, gammas).

    The same law as `howspec.theory.DepthAcceptance`, laid out for a grid of both parameters.
    """
    from ..theory import DepthAcceptance, tokens_by_gamma

    law = DepthAcceptance(alpha[None, :], decay[:, None])
    return np.asarray(tokens_by_gamma(law, int(gammas.max()))[..., gammas])


def log_scatter_prior(scatter: Floats, priors: Priors) -> Floats:
    """Log prior density of the scatter, on a grid uniform in its logarithm."""
    z = np.log(scatter / priors.scatter) / priors.scatter_spread
    return np.asarray(-0.5 * z * z)


def log_sum(values: Floats, axis: int | tuple[int, ...]) -> Floats:
    """ln of the sum of exponentials along the axis, without overflow; -inf where all are."""
    top = values.max(axis=axis, keepdims=True)
    top = np.where(np.isfinite(top), top, 0.0)
    with np.errstate(divide="ignore"):
        cells = values - top
        total = np.log(np.exp(cells, out=cells).sum(axis=axis, keepdims=True)) + top
    return np.asarray(np.squeeze(total, axis=axis))


def log_normal_cdf(z: Floats) -> Floats:
    """ln of the standard normal distribution function; 0 where that is above -1.2e-19."""
    from scipy.special import log_ndtr

    found = np.zeros(np.shape(z))
    near = np.asarray(z) < 9.0
    found[near] = log_ndtr(np.asarray(z)[near])
    return found


def draw_cells(
    rng: np.random.Generator, log_weight: Floats, count: int
) -> tuple[NDArray[np.int64], ...]:
    """Indices of ``count`` cells drawn in proportion to exp(log_weight), one array per axis.

    Systematic draws: the cells' shares are met to within one draw, so that few draws do well.
    """
    weight = np.exp(log_weight - log_weight.max()).ravel()
    cumulative = np.cumsum(weight)
    points = (rng.random() + np.arange(count)) / count * cumulative[-1]
    flat = np.searchsorted(cumulative, points, side="right").clip(0, weight.size - 1)
    rng.shuffle(flat)
    return tuple(np.asarray(i) for i in np.unravel_index(flat, log_weight.shape))


def draw_above_zero(rng: np.random.Generator, mean: Floats, spread: Floats) -> Floats:
    """One draw each of a normal law cut to values above 0, by inversion in the safe tail."""
    from scipy.special import ndtr, ndtri

    # Of the two ends, invert the one whose probabilities keep their digits.
    below = ndtr(-mean / spread)
    u = below + rng.random(mean.shape) * (1.0 - below)
    value = mean + spread * ndtri(np.minimum(u, 1.0 - 1e-16))
    far = below > 1.0 - 1e-12  # an exponential tail beyond seven standard deviations
    if far.any():
        tail = rng.exponential(1.0, mean.shape) * spread * spread / np.maximum(-mean, 1e-300)
        value = np.where(far, tail, value)
    return np.maximum(value, 0.0)


def marginals(log_weight: Floats) -> tuple[Floats, ...]:
    """The marginal of every axis, in units of the largest cell; one exponential for all of them."""
    weight = log_weight - log_weight.max()
    np.exp(weight, out=weight)
    axes = range(weight.ndim)
    return tuple(weight.sum(axis=tuple(i for i in axes if i != axis)) for axis in axes)


def support(marginal: Floats, values: Floats, *, drop: float = 12.0) -> Floats:
    """A finer axis over the part of ``values`` where the marginal is within e^-drop of its peak.

    One old spacing is kept on either side, so that the edge of the support is not cut.
    """
    kept = np.flatnonzero(marginal > marginal.max() * np.exp(-drop))
    low = values[max(kept[0] - 1, 0)]
    high = values[min(kept[-1] + 1, values.size - 1)]
    return np.linspace(low, high, values.size)
