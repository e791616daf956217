r"""What an uncertain alpha means for the best number of draft tokens.

The real optimum carries a delta-method interval; the best whole gamma carries a probability for
each value, because an interval of a whole number hides how close the race is.
"""

from __future__ import annotations

import numpy as np

from ..domain import Floats, check
from ..formula import Number, equation, symbolic
from ..optimum import GAMMA_BY_ALPHA, best_gamma, optimal_gamma, optimal_gamma_gradient
from .estimation import AlphaEstimate, alpha_variance, check_confidence


@equation(r"\mathrm{Var}(\hat{\gamma}^*)", group="estimation", alpha=0.8, slope=0.05, gamma=5,
          measured_rounds=1000)  # fmt: skip
def optimal_gamma_variance(
    alpha: Number, slope: Number, gamma: Number, measured_rounds: Number
) -> Number:
    """Variance of the real optimal gamma when alpha is estimated from rounds at gamma.

    Assumes: independent rounds, one acceptance probability, costs known, an interior optimum.
    Wrong when: the optimum is so near 0 that the estimate often falls on it.
    Source: derived here by the delta method.
    Returns: Variance of the real optimal gamma [token^2], NaN where there is no interior optimum.
    alpha: in [0, 1]; slope: reduced cost of a draft token, >= 0 [target step]; gamma: drafted per
    measured round, >= 1 [token]; measured_rounds: > 0.
    """
    if symbolic(alpha, slope):
        return GAMMA_BY_ALPHA(alpha=alpha, slope=slope) ** 2 * alpha_variance(
            alpha, gamma, measured_rounds
        )
    by_alpha = np.asarray(optimal_gamma_gradient(alpha, slope)[0])
    return by_alpha**2 * np.asarray(alpha_variance(alpha, gamma, measured_rounds))


def optimal_gamma_interval(
    estimate: AlphaEstimate,
    cost_ratio: float,
    *,
    verify_slope: float = 0.0,
    overhead: float = 0.0,
    slope_error: float = 0.0,
    confidence: float = 0.95,
) -> tuple[float, float, float]:
    """(gamma*, low, high): the real optimum and its delta-method interval [token].

    The variance of alpha is the one of the posterior, so it allows for clustered rounds.
    slope_error: standard error of the reduced cost (c + b) / (1 + o), independent of alpha, >= 0
    [target step]. Not cut at 0, so that the interval shows where the method fails; NaN where there
    is no interior optimum. Raises ValueError outside the ranges.
    """
    from scipy.stats import norm

    costs = {"verify_slope": verify_slope, "overhead": overhead}
    error = check("cost_ratio", slope_error, label="slope_error")
    centre = optimal_gamma(estimate.alpha, cost_ratio, **costs)
    by_alpha, by_slope = optimal_gamma_gradient(estimate.alpha, cost_ratio, **costs)
    a, b = estimate.posterior()
    variance = a * b / ((a + b) ** 2 * (a + b + 1.0))
    half = norm.ppf(0.5 + 0.5 * check_confidence(confidence)) * np.sqrt(
        by_alpha**2 * variance + by_slope**2 * error**2
    )
    return float(centre), float(centre - half), float(centre + half)


def best_gamma_probabilities(
    shape_accept: float,
    shape_reject: float,
    cost_ratio: float,
    *,
    verify_slope: float = 0.0,
    overhead: float = 0.0,
    gamma_max: int = 32,
) -> Floats:
    """Probability that each whole gamma in 0..gamma_max is the best, for alpha ~ Beta; sums to 1.

    shape_accept, shape_reject: > 0, shapes of the posterior of alpha; costs as in
    :func:`~..optimum.best_gamma`. Returns shape (gamma_max + 1,). Exact: the best gamma does not
    fall as alpha rises, because a longer draft gains more from a larger alpha, so each gamma owns
    one range of alpha, whose ends are found by bisection. Raises ValueError outside the ranges.
    """
    from scipy.stats import beta

    a, b = float(check("shape_accept", shape_accept)), float(check("shape_reject", shape_reject))
    wanted = np.arange(1, int(check("gamma", gamma_max, label="gamma_max", whole=True)) + 1)
    low, high = np.zeros(wanted.size), np.ones(wanted.size)
    for _ in range(60):
        mid = 0.5 * (low + high)
        best = best_gamma(
            mid, cost_ratio, verify_slope=verify_slope, overhead=overhead, gamma_max=gamma_max
        )
        low, high = np.where(best >= wanted, low, mid), np.where(best >= wanted, mid, high)
    at_least = np.concatenate([[1.0], beta.sf(high, a, b), [0.0]])
    return np.asarray(at_least[:-1] - at_least[1:])
