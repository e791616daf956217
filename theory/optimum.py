r"""The best number of draft tokens under affine costs, in closed form.

With L = ln(1/alpha) and the reduced cost c' (see `speedup`), the real optimum solves

    u - ln u = 1 + L (1 - c') / c',  u > 1,   that is  u = -W_{-1}(-exp(-1) alpha^{(1-c')/c'})
    gamma* = ln(u) / L - 1,   S* = L / (c' (1 - alpha) u) / (1 + o)

W_{-1} underflows where L (1 - c') / c' exceeds 745, so the equation is solved by Newton's method.
The integer optimum is one of the two neighbours of gamma*, or 0 where plain decoding is as fast.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
from numpy.typing import ArrayLike

from .domain import Floats, check, check_gamma_max, in_blocks, unwrap
from .either import log
from .formula import Number, equation, symbolic
from .rounds import geometric_sum
from .speedup import _per_token, _round_cost, reduced_cost


@equation("u", group="optimum", alpha=0.8, slope=0.05)
def optimum_root(alpha: Number, slope: Number) -> Number:
    """The root u > 1 through which optimum, speed-up and curvature are written; alpha^-(gamma*+1).

    Assumes: independent acceptance, affine costs, 0 < slope < 1, 0 < alpha < 1.
    Wrong when: slope >= alpha ln(1/alpha) / (1 - alpha); then the real optimum is not positive.
    Source: derived here from dS/dgamma = 0; a Lambert look-ahead is also used in arXiv:2603.11053.
    """
    if symbolic(alpha, slope):
        import sympy

        return -sympy.LambertW(-sympy.exp(-1) * alpha ** ((1 - slope) / slope), -1)
    return 1.0 + _root(alpha, slope)[0]


@equation(r"\gamma^*", group="optimum", name="optimal_gamma", alpha=0.8, slope=0.05)
def real_optimum(alpha: Number, slope: Number) -> Number:
    """The real gamma at which the speed-up is largest.

    Assumes: independent acceptance, affine costs; slope < alpha ln(1/alpha) / (1 - alpha).
    Wrong when: the verifying pass has steps or a knee, so that several local optima exist.
    Source: derived here from dS/dgamma = 0.
    """
    if symbolic(alpha, slope):
        return log(optimum_root(alpha, slope)) / -log(alpha) - 1
    return optimal_gamma(alpha, slope)


@equation("S^*", group="optimum", name="optimal_speedup", alpha=0.8, slope=0.05, overhead=0.0)
def speedup_at_optimum(alpha: Number, slope: Number, overhead: Number) -> Number:
    """The speed-up at the real optimum, an upper bound for every gamma >= 1.

    With overhead it can be below 1; plain decoding, which pays none, is then the best.

    Assumes: independent acceptance, affine costs; slope < alpha ln(1/alpha) / (1 - alpha).
    Wrong when: gamma is bounded below the optimum.
    Source: derived here by substituting alpha^(gamma*+1) = 1/u.
    """
    if symbolic(alpha, slope):
        return -log(alpha) / (slope * (1 - alpha) * optimum_root(alpha, slope) * (1 + overhead))
    return optimal_speedup(alpha, slope * (1.0 + overhead), overhead=overhead)


@equation(r"\kappa", group="optimum", name="optimum_curvature", alpha=0.8, slope=0.05)
def curvature(alpha: Number, slope: Number) -> Number:
    """Relative curvature -S''/S at the optimum: missing gamma* by d costs about kappa d^2 / 2.

    Assumes: independent acceptance, affine costs, an interior optimum.
    Wrong when: d is so large that the cubic term matters.
    Source: derived here from the second derivative of ln S.
    """
    if symbolic(alpha, slope):
        return log(alpha) ** 2 / (optimum_root(alpha, slope) - 1)
    return optimum_curvature(alpha, slope)


@equation(r"\partial\gamma^*/\partial c'", group="optimum", alpha=0.8, slope=0.05)
def optimum_d_slope(alpha: Number, slope: Number) -> Number:
    """How the real optimum moves with the reduced cost; always negative.

    Assumes: independent acceptance, affine costs, an interior optimum.
    Wrong when: the optimum sits at gamma = 0.
    Source: derived here by implicit differentiation of u - ln u.
    """
    if symbolic(alpha, slope):
        return -1 / (slope**2 * (optimum_root(alpha, slope) - 1))
    return optimal_gamma_gradient(alpha, slope)[1]


@equation(r"\partial\gamma^*/\partial\alpha", group="optimum", alpha=0.8, slope=0.05)
def optimum_d_alpha(alpha: Number, slope: Number) -> Number:
    """How the real optimum moves with the acceptance probability; always positive.

    Assumes: independent acceptance, affine costs, an interior optimum.
    Wrong when: the optimum sits at gamma = 0.
    Source: derived here by implicit differentiation of u - ln u.
    """
    if symbolic(alpha, slope):
        u, rate, c = optimum_root(alpha, slope), -log(alpha), slope
        return -((1 - c) / c / ((u - 1) * rate) - log(u) / rate**2) / alpha
    return optimal_gamma_gradient(alpha, slope)[0]


def _log1p_defect(w: Floats) -> Floats:
    """w - ln(1 + w), by its series where the difference would cancel."""
    defect = w - np.log1p(w)
    small = w < 0.03
    if small.any():
        x = np.where(small, w, 0.0)
        series = np.zeros_like(x)
        for k in range(12, 1, -1):  # x^2/2 - x^3/3 + ...; the next term is below 1e-17 of the first
            series = (1.0 / k if k % 2 == 0 else -1.0 / k) + x * series
        defect = np.where(small, x * x * series, defect)
    return np.asarray(defect)


def _root(alpha: Floats, slope: Floats) -> tuple[Floats, Floats]:
    """Return (w, L): w = u - 1 > 0 solves w - ln(1 + w) = L (1 - c')/c', L = ln(1/alpha).

    Newton on a convex increasing function from above, so it cannot overshoot; in w rather than in
    u, so that alpha near 1, where w is near sqrt(2 L (1 - c')/c'), keeps its digits. w is inf where
    L (1 - c')/c' is. Where alpha is 0 or 1, or slope is 0 or >= 1, the result is not meaningful
    and callers mask it.
    """
    with np.errstate(divide="ignore", invalid="ignore", over="ignore"):
        rate = -np.log(alpha)
        target = np.maximum(rate * (1.0 - slope) / slope, 0.0)
        w = np.where(target < 1.0, np.sqrt(2 * target) + target, target + np.log1p(target) + 1.0)
        for _ in range(6):
            w = w - (_log1p_defect(w) - target) * (1.0 + 1.0 / w)
    return np.where(np.isinf(target), np.inf, w), rate


def _log_root(w: Floats, rate: Floats, slope: Floats) -> Floats:
    """ln u; where u is beyond the largest float, u = L/c' to all digits."""
    return np.where(np.isinf(w), np.log(rate) - np.log(slope), np.log1p(w))


def _costs(
    alpha: ArrayLike, cost_ratio: ArrayLike, verify_slope: ArrayLike, overhead: ArrayLike
) -> tuple[Floats, Floats, Floats]:
    a, slope, o = np.broadcast_arrays(
        check("alpha", alpha),
        reduced_cost(cost_ratio, verify_slope, overhead),
        check("overhead", overhead),
    )
    return np.asarray(a), np.asarray(slope), np.asarray(o)


def _optimal_gamma(a: Floats, slope: Floats) -> Floats:
    w, rate = _root(a, slope)
    with np.errstate(divide="ignore", invalid="ignore", over="ignore"):
        interior = slope * (1.0 - a) < a * rate  # dS/dgamma > 0 at 0
        value = np.where(interior, _log_root(w, rate, slope) / rate - 1.0, 0.0)
    value = np.where((a == 1.0) & (slope < 1.0), np.inf, value)
    value = np.where((a > 0.0) & (slope == 0.0), np.inf, value)
    return np.maximum(np.where((a == 0.0) | (slope >= 1.0), 0.0, value), 0.0)


def optimal_gamma(alpha: ArrayLike, cost_ratio: ArrayLike, *, verify_slope: ArrayLike = 0.0,
                  overhead: ArrayLike = 0.0) -> Any:  # fmt: skip
    """The real gamma >= 0 at which the speed-up of speculative rounds is largest [token].

    alpha: in [0, 1]; cost_ratio, verify_slope, overhead: >= 0 [target step]. Shapes broadcast.
    Returns 0 where every draft token costs more than it brings, and inf where each further one
    still pays (alpha = 1 with c' < 1, or free drafts). Raises ValueError outside the ranges.
    The relaxation is slightly more eager than whole numbers, and it does not compare with plain
    decoding, which pays no overhead: gamma* can be positive where the best whole gamma is 0. There
    :func:`optimal_speedup` is 1 or close to it. Source: derived here.
    """
    a, slope, _ = _costs(alpha, cost_ratio, verify_slope, overhead)
    return unwrap(in_blocks(_optimal_gamma, a, slope))


def optimal_speedup(alpha: ArrayLike, cost_ratio: ArrayLike, *, verify_slope: ArrayLike = 0.0,
                    overhead: ArrayLike = 0.0) -> Any:  # fmt: skip
    """The speed-up at the real optimum, or 1 where plain decoding is at least as fast.

    Arguments as in :func:`optimal_gamma`; shapes broadcast. An upper bound for every whole gamma,
    plain decoding among them; inf only where alpha = 1 and drafts are free. Raises ValueError
    outside the ranges.
    """
    a, slope, o = _costs(alpha, cost_ratio, verify_slope, overhead)
    w, rate = _root(a, slope)
    with np.errstate(divide="ignore", invalid="ignore", over="ignore"):
        value = rate / (slope * (1.0 - a) * (1.0 + w))
        value = np.where(np.isinf(w) | (slope == 0.0), 1.0 / (1.0 - a), value)
        value = np.where(a == 1.0, 1.0 / slope, value)
        value = np.where(_optimal_gamma(a, slope) > 0.0, value, 1.0) / (1.0 + o)
    return unwrap(np.maximum(value, 1.0))


def optimum_curvature(alpha: ArrayLike, cost_ratio: ArrayLike, *, verify_slope: ArrayLike = 0.0,
                      overhead: ArrayLike = 0.0) -> Any:  # fmt: skip
    """kappa = -S''/S at an interior real optimum [1/token^2], NaN where there is none.

    Arguments as in :func:`optimal_gamma`; shapes broadcast. Raises ValueError outside the ranges.
    """
    a, slope, _ = _costs(alpha, cost_ratio, verify_slope, overhead)
    w, rate = _root(a, slope)
    return unwrap(_where_interior(a, slope, lambda: rate * rate / w))


def optimal_gamma_gradient(alpha: ArrayLike, cost_ratio: ArrayLike, *,
                           verify_slope: ArrayLike = 0.0,
                           overhead: ArrayLike = 0.0) -> tuple[Any, Any]:  # fmt: skip
    """(d gamma*/d alpha, d gamma*/d c') at an interior real optimum, NaN where there is none.

    Arguments as in :func:`optimal_gamma`; shapes broadcast. The first is positive, the second
    negative. Raises ValueError outside the ranges.
    """
    a, slope, _ = _costs(alpha, cost_ratio, verify_slope, overhead)
    w, rate = _root(a, slope)
    # With (1 - c)/c = (w - ln u)/L the bracket is (ln u - (w - ln u)/w) / L^2: no cancellation.
    # Where w is inf, (w - ln u)/w is 1 and c w is L.
    with np.errstate(divide="ignore", invalid="ignore", over="ignore"):
        share = np.where(np.isinf(w), 1.0, _log1p_defect(w) / w)
        weight = np.where(np.isinf(w), rate, slope * w)
    by_alpha = _where_interior(
        a, slope, lambda: (_log_root(w, rate, slope) - share) / (rate * rate) / a
    )
    by_slope = _where_interior(a, slope, lambda: -1.0 / slope / weight)
    return unwrap(by_alpha), unwrap(by_slope)


def _where_interior(a: Floats, slope: Floats, value: Callable[[], Floats]) -> Floats:
    star = _optimal_gamma(a, slope)
    with np.errstate(divide="ignore", invalid="ignore", over="ignore"):
        return np.where((star > 0.0) & np.isfinite(star), value(), np.nan)


def best_gamma(
    alpha: ArrayLike,
    cost_ratio: ArrayLike,
    *,
    verify_slope: ArrayLike = 0.0,
    overhead: ArrayLike = 0.0,
    gamma_max: ArrayLike = 32,
) -> Any:
    """The whole gamma in 0..gamma_max with the largest speed-up; 0 means do not speculate.

    alpha: in [0, 1]; cost_ratio, verify_slope, overhead: >= 0 [target step], the overhead paid
    only when speculating; gamma_max: whole number in [1, 2^53]. Shapes broadcast; returns an int
    for scalars, else an integer array. Of equals the smallest wins. Exact: the speed-up of
    speculative rounds rises up to the optimum and falls after it, so only the neighbours of the
    real optimum and plain decoding compete. Raises ValueError outside the ranges.
    """
    a, slope, o = _costs(alpha, cost_ratio, verify_slope, overhead)
    top = check_gamma_max(gamma_max)
    per_token = _per_token(cost_ratio, verify_slope)
    best = in_blocks(_best_gamma, a, slope, o, per_token, top)
    whole = best.astype(np.int64)
    return int(whole) if whole.ndim == 0 else whole


def _best_gamma(a: Floats, slope: Floats, o: Floats, per_token: Floats, top: Floats) -> Floats:
    below = np.clip(np.floor(_optimal_gamma(a, slope)), 1.0, top)
    best = np.zeros(below.shape)
    value = np.ones(below.shape)
    for step in (0.0, 1.0):
        g = np.minimum(below + step, top)
        candidate = geometric_sum(a, g + 1.0) / _round_cost(g, per_token, o)
        better = candidate > value
        best, value = np.where(better, g, best), np.where(better, candidate, value)
    return best
