r"""What is lost where the real optimum is missed, and by not knowing where it is.

    S(gamma* - x/L) / S* = (1 + w - e^x) / (w - x),   w = u - 1, L = ln(1/alpha), u as in `optimum`

Assumes: independent acceptance, affine costs, an interior optimum.
Wrong when: the round's cost has steps or a knee, so that the loss is not that of a smooth curve.
Source: derived here by writing tokens and cost around the optimum.

The choice of gamma when the unknowns are known to a small variance v. With l = ln S(gamma, t), its
optimum gamma*(t) and kappa = -l_gg there, to first order in v:

    optimum under      throughput   gamma* + v (l_gtt + 2 l_t l_gt) / (2 kappa)
                       regret       gamma* + v  l_gtt / (2 kappa)
                       latency      gamma* + v (l_gtt - 2 l_t l_gt) / (2 kappa)
    throughput - latency = 2 v l_t dgamma*/dt,  regret half-way
    expected regret of not knowing t = kappa v (dgamma*/dt)^2 / 2

Derived here: dE[S]/dgamma = 0 expanded in t around its mean, l_gamma = 0 and dgamma*/dt =
l_gt / kappa; for regret S/M has no slope in t at the optimum (envelope theorem). A measurement that
leaves the share r of the variance of gamma* is worth the share 1 - r of that regret.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import ArrayLike

from .domain import Floats, as_floats, check, unwrap
from .either import demand
from .formula import Number, equation, symbolic
from .optimum import (
    _costs,
    _optimal_gamma,
    _root,
    _where_interior,
    curvature,
    optimum_d_alpha,
    optimum_d_slope,
    real_optimum,
)
from .rounds import geometric_sum


@equation(r"\ell_{\pm 1}", group="optimum", whole=("gamma",), broadcast=True, alpha=0.8, gamma=5)
def neighbour_loss(alpha: Number, gamma: Number) -> Number:
    """The most that one token more or one less loses of the speed-up at the best whole gamma >= 1.

    Whatever the costs: with a = alpha^gamma / E[N] and v = draft token / round, the best gamma has
    alpha a <= v <= a, so one less loses (a - v)/(1 - v) and one more (v - alpha a)/(1 + v) at most.
    Two local maxima of the best speed-up over draft size, at neighbouring gammas, are no further
    apart than this at the larger one. At most 1/5 at gamma 1, .083 at 2, .028 at 4.

    Assumes: independent acceptance, affine costs; gamma the best whole number of draft tokens.
    Wrong when: the round's cost has steps, or one token less is plain decoding without overhead.
    Source: derived here from the best gamma against both of its neighbours; reached from below.
    Returns: between rounds that draft: with gamma = 1 and overhead, plain decoding is not one.
    """
    a, g = alpha, gamma
    if symbolic(alpha, gamma):
        return a**g * (1 - a) ** 2 / (1 - a ** (g + 1) * (2 - a))
    demand(g >= 1, "gamma must be at least 1", g)
    # (1 - alpha) is divided out of both sides, so that nothing cancels near 1.
    return a**g * (1.0 - a) / (geometric_sum(a, g + 1.0) - a ** (g + 1.0))


def regret_halfwidth(
    alpha: ArrayLike,
    cost_ratio: ArrayLike,
    *,
    verify_slope: ArrayLike = 0.0,
    overhead: ArrayLike = 0.0,
    tolerance: float = 0.01,
) -> Any:
    """How far gamma may miss the real optimum, on either side, at a loss of ``tolerance`` [token].

    The distance to the lower end of :func:`regret_window`, the nearer one; about
    sqrt(2 tolerance / kappa), and exact. NaN where there is no interior optimum. It may exceed
    gamma* itself: then no gamma below loses as much. Arguments as there.
    """
    _, below, _ = _window(alpha, cost_ratio, verify_slope, overhead, tolerance)
    return unwrap(below)


def regret_window(
    alpha: ArrayLike,
    cost_ratio: ArrayLike,
    *,
    verify_slope: ArrayLike = 0.0,
    overhead: ArrayLike = 0.0,
    tolerance: float = 0.01,
) -> tuple[Any, Any]:
    """(low, high): the real gammas that lose no more than ``tolerance`` of the largest speed-up.

    Of speculative rounds [token], low >= 0. NaN where there is no interior optimum. Arguments as in
    :func:`optimal_gamma`; 0 < tolerance < 1. Raises ValueError outside the ranges.

    At gamma = gamma* - x / L the speed-up is (1 + w - e^x) / (w - x) of the largest, w = u - 1
    (derived here by writing tokens and cost around the optimum), so that the ends are the two roots
    of e^x - 1 - (1 - tolerance) x = tolerance w.
    """
    star, below, above = _window(alpha, cost_ratio, verify_slope, overhead, tolerance)
    return unwrap(np.maximum(star - below, 0.0)), unwrap(star + above)


def _window(
    alpha: ArrayLike,
    cost_ratio: ArrayLike,
    verify_slope: ArrayLike,
    overhead: ArrayLike,
    tolerance: float,
) -> tuple[Floats, Floats, Floats]:
    """(gamma*, distance below, distance above), NaN where there is no interior optimum."""
    if not 0.0 < tolerance < 1.0:
        raise ValueError(f"tolerance must be in (0, 1), got {tolerance}")
    a, slope, _ = _costs(alpha, cost_ratio, verify_slope, overhead)
    star = _where_interior(a, slope, lambda: _optimal_gamma(a, slope))
    w, rate = _root(a, slope)
    goal = np.where(np.isnan(star), 1.0, tolerance * w)
    below, above = _below(goal, tolerance), _above(goal, tolerance)
    with np.errstate(divide="ignore", invalid="ignore", over="ignore"):
        ends = [np.where(np.isnan(star), np.nan, x / rate) for x in (below, above)]
    return star, ends[0], ends[1]


def _exp_defect(x: Floats) -> Floats:
    """e^x - 1 - x, by its series where the difference would cancel."""
    with np.errstate(over="ignore"):
        defect = np.expm1(x) - x
    small = np.abs(x) < 0.03
    if small.any():
        y = np.where(small, x, 0.0)
        series = np.zeros_like(y)
        for k in range(10, 2, -1):  # 1 + x/3 (1 + x/4 (1 + ...)), over 2
            series = (1.0 + series) * y / k
        defect = np.where(small, 0.5 * y * y * (1.0 + series), defect)
    return np.asarray(defect)


def _below(goal: Floats, tolerance: float) -> Floats:
    """x > 0 with e^x - 1 - x + tolerance x = goal; Newton from above on a convex function."""
    with np.errstate(over="ignore", invalid="ignore"):
        x = np.minimum(np.sqrt(2.0 * goal), np.log1p(goal) + 1.0)
        for _ in range(8):
            x = x - (_exp_defect(x) + tolerance * x - goal) / (np.expm1(x) + tolerance)
    return np.where(np.isinf(goal), np.inf, x)


def _above(goal: Floats, tolerance: float) -> Floats:
    """y > 0 with e^-y - 1 + y - tolerance y = goal; Newton from above on a convex function.

    It starts where e^-y is left out, beyond the root; far from it a step halves the distance.
    """
    y = (goal + 1.0) / (1.0 - tolerance)
    with np.errstate(invalid="ignore"):
        for _ in range(60):
            y = y - (_exp_defect(-y) - tolerance * y - goal) / (-np.expm1(-y) - tolerance)
    return np.where(np.isinf(goal), np.inf, y)


_POINT: dict[str, Any] = {"alpha": 0.8, "slope": 0.05}
GROUP = "decision"


@equation(r"\gamma_S - \gamma_{1/S}", group=GROUP, alpha_spread=0.001, **_POINT)
def optima_gap(alpha: Number, slope: Number, alpha_spread: Number) -> Number:
    """Best gamma for E[S] less best gamma for E[1/S], alpha uncertain by a small variance.

    2 v (d ln S/d alpha)(d gamma*/d alpha): positive, so that someone with a fixed amount of work
    drafts less. The gamma of least expected relative regret lies half-way.

    Assumes: independent acceptance, affine costs, an interior real optimum, v small.
    Wrong when: the belief is wide beside the curvature; take `decide` of a sample then.
    Source: derived here by expanding both conditions of the optimum in alpha.
    Returns: NaN where there is no interior optimum.
    """
    g, by_alpha = real_optimum(alpha, slope), optimum_d_alpha(alpha, slope)
    if symbolic(alpha, slope):
        power = alpha**g
        return (
            2 * alpha_spread * (1 / (1 - alpha) - (g + 1) * power / (1 - alpha * power)) * by_alpha
        )
    inside = np.isfinite(by_alpha) & np.isfinite(g)
    safe, at = np.where(inside, g, 1.0), np.where(inside, alpha, 0.5)
    tokens = geometric_sum(at, safe + 1.0)
    rising = (tokens - (safe + 1.0) * np.power(at, safe)) / ((1.0 - at) * tokens)
    return np.where(inside, 2.0 * alpha_spread * rising * by_alpha, np.nan)


@equation(r"\rho_\alpha", group=GROUP, alpha_spread=0.001, **_POINT)
def unknown_alpha_regret(alpha: Number, slope: Number, alpha_spread: Number) -> Number:
    """Mean share of the speed-up lost by choosing gamma without knowing alpha exactly.

    Assumes: independent acceptance, affine costs, an interior real optimum, v small.
    Wrong when: the belief is wide, or gamma must be whole and its window holds the belief (the loss
    is then that of rounding).
    Source: derived here; half the curvature times the variance of the optimum.
    Returns: a share of the speed-up.
    """
    return curvature(alpha, slope) * alpha_spread * optimum_d_alpha(alpha, slope) ** 2 / 2


@equation(r"\Delta\rho_n", group=GROUP, belief_tokens=50, decided_tokens=200, **_POINT)
def decided_tokens_value(
    alpha: Number, slope: Number, *, belief_tokens: Number, decided_tokens: Number
) -> Number:
    """Regret that n decided draft tokens are expected to remove, belief worth n_0 tokens.

    A Beta belief of mean alpha worth n_0 tokens has variance alpha (1 - alpha) / (n_0 + 1), and the
    expected variance after n more is its n_0 / (n_0 + n): the first n_0 tokens remove half.

    Assumes: as for the regret of an unknown alpha, independent tokens, a Beta belief.
    Wrong when: tokens of a request are alike; then n counts their effective number.
    Source: derived here from the conjugate update.
    Returns: a share of the speed-up.
    """
    believed = alpha * (1 - alpha) / (belief_tokens + 1)
    removed = decided_tokens / (belief_tokens + decided_tokens)
    return removed * unknown_alpha_regret(alpha, slope, believed)


@equation(r"\Delta\rho_c", group=GROUP, slope_spread=4e-4, error_variance=1e-4, **_POINT)
def timed_point_value(
    alpha: Number, slope: Number, *, slope_spread: Number, error_variance: Number
) -> Number:
    """Regret that one timed point, showing the reduced cost with an error, is expected to remove.

    A pass over n = gamma + 1 tokens timed with error e shows the slope of V(n) with error e/gamma.

    Assumes: independent acceptance, affine costs, an interior real optimum, normal belief and
    error.
    Wrong when: V(n) has steps, so that one point does not show its slope.
    Source: derived here; normal updating of the reduced cost.
    Returns: a share of the speed-up.
    """
    removed = slope_spread * (slope_spread / (slope_spread + error_variance))
    return curvature(alpha, slope) * removed * optimum_d_slope(alpha, slope) ** 2 / 2


def measurement_value(
    gradient: ArrayLike,
    covariance: ArrayLike,
    *,
    sensitivity: ArrayLike,
    error_variance: float,
    curvature: float,
) -> float:
    """Expected regret that any one measurement removes: kappa (g C h)^2 / (h C h + e) / 2.

    gradient: of gamma* in the unknowns, (k,); covariance: of the belief, (k, k); sensitivity: of
    what is measured in the unknowns, (k,), such as that of ln S at a second gamma; error_variance:
    of the measurement, > 0; curvature: kappa, >= 0. Raises ValueError outside these ranges.
    Source: derived here; normal updating of k unknowns by one linear measurement.
    """
    g, h = as_floats("gradient", gradient), as_floats("sensitivity", sensitivity)
    c = as_floats("covariance", covariance)
    if g.ndim != 1 or h.shape != g.shape or c.shape != (g.size, g.size):
        raise ValueError(f"gradient, sensitivity and covariance must fit, got {g.shape}, {c.shape}")
    e = float(check("error_variance", error_variance))
    if not (np.isfinite(curvature) and curvature >= 0.0):
        raise ValueError(f"curvature must be in [0, inf), got {curvature}")
    return float(0.5 * curvature * (g @ c @ h) ** 2 / (h @ c @ h + e))
