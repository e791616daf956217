r"""The choice of gamma when the unknowns are known to a small variance v, in closed form.

With l = ln S(gamma, t), its optimum gamma*(t) and kappa = -l_gg there, to first order in v:

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

from ..domain import as_floats, check
from ..formula import Number, equation, symbolic
from ..optimum import curvature, optimum_d_alpha, optimum_d_slope, real_optimum
from ..rounds import geometric_sum

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
