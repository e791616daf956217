r"""Why there is one turning point in draft size, and how to see when there may be more.

    d^2 ln S / d (ln s)^2 = -(1 - r) (ln delta)'' - r (gamma - eps) (alpha / delta) (ln delta)'^2
                            - (ln cost)''

delta = 1 - alpha(s), primes are derivatives in ln s, r = (gamma + 1) alpha^gamma / E[N] and eps
the elasticity of E[N] in alpha. Every term is <= 0 where ln delta and ln cost are convex in ln s.
Then ln S is concave in ln s and has one turning point at every gamma. An S-shaped acceptance with a
floor (a draft of no size that still matches, such as an n-gram table) breaks the first condition:
there may be a second optimum at size 0, which must be compared.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import ArrayLike

from ..domain import Floats, check
from ..formula import Number, equation, symbolic
from ..limits.sensitivity import acceptance_elasticity, elasticity_of_tokens
from ..rounds import geometric_sum, tokens_per_round
from .law import acceptance_at_scale, rejection_sensitivity

_LAW: dict[str, Any] = {
    "scale": 0.05, "rejection_floor": 0.05, "rejection_coefficient": 0.1,
    "rejection_exponent": 0.25,
}  # fmt: skip
_COST: dict[str, Any] = {
    "cost_floor": 0.02,
    "cost_slope": 1.0,
    "verify_slope": 0.01,
    "overhead": 0.1,
}


@equation(r"-\mathrm{d}(1-r)/\mathrm{d}\ln\alpha", group="draft scale", broadcast=True, alpha=0.8,
          gamma=5)  # fmt: skip
def sensitivity_fall(alpha: Number, gamma: Number) -> Number:
    """How fast the effect of rejection on the tokens falls as acceptance rises; never negative.

    It is r (gamma - eps), and eps is a mean of the numbers 0..gamma.

    Assumes: independent acceptance, gamma held fixed.
    Wrong when: gamma is changed together with the draft.
    Source: derived here by differentiating r.
    Returns: -d(1 - r) / d ln alpha = r (gamma - eps) >= 0; 0 at alpha = 0 (gamma >= 1) and at gamma
    = 0.
    """
    if symbolic(alpha, gamma):
        r = (gamma + 1) * alpha**gamma / tokens_per_round(alpha, gamma)
        return r * (gamma - acceptance_elasticity(alpha, gamma))
    a, g = alpha, gamma
    r = (g + 1.0) * np.power(a, g) / geometric_sum(a, g + 1.0)
    return r * (g - elasticity_of_tokens(a, g))


@equation(r"(\ln\delta)''", group="draft scale", **_LAW)
def rejection_log_curvature(scale: Number, rejection_floor: Number, rejection_coefficient: Number,
                            rejection_exponent: Number) -> Number:  # fmt: skip
    """Second derivative of ln(1 - alpha) in ln s: beta^2 w (1 - w), w the share above the floor.

    Zero for a pure power law, and never negative: the law satisfies the condition.

    Assumes: rejection is a power law on a floor.
    Wrong when: acceptance is S-shaped in size.
    Source: derived here.
    Returns: beta^2 w (1 - w) in [0, beta^2 / 4], w = A s^-beta / (d + A s^-beta). Arguments as in
    :func:`~howspec.theory.scale.law.acceptance_at_scale`;
    """
    if symbolic(scale, rejection_floor):
        above = rejection_coefficient * scale**-rejection_exponent
        return rejection_exponent**2 * rejection_floor * above / (rejection_floor + above) ** 2
    b = rejection_exponent
    odds = _odds_above_floor(scale, rejection_floor, rejection_coefficient, b)
    return b * b * _spread(odds)


@equation(r"(\ln\mathrm{cost})''", group="draft scale", gamma=5, scale=0.05, **_COST)
def cost_log_curvature(gamma: Number, scale: Number, *, cost_floor: Number, cost_slope: Number,
                       verify_slope: Number = 0.0, overhead: Number = 0.0) -> Number:  # fmt: skip
    """Second derivative of ln(round cost) in ln s: u (1 - u), u the share of the round that grows.

    Assumes: draft step time affine in size.
    Wrong when: the time of a step falls in stairs, along a ladder of depths.
    Source: derived here.
    Returns: in [0, 1/4].
    """
    grows = gamma * cost_slope * scale
    rest = 1 + gamma * (cost_floor + verify_slope) + overhead
    return grows * rest / (grows + rest) ** 2


@equation(r"(\ln S)''", group="draft scale", least={"gamma": 1}, gamma=5, **_LAW, **_COST)
def speedup_log_curvature(scale: Number, gamma: Number, *, rejection_floor: Number,
                          rejection_coefficient: Number, rejection_exponent: Number,
                          cost_floor: Number, cost_slope: Number, verify_slope: Number = 0.0,
                          overhead: Number = 0.0) -> Number:  # fmt: skip
    """Second derivative of ln S in ln s at fixed gamma; never positive, so one turning point.

    Assumes: the laws of acceptance and cost at scale; gamma held fixed.
    Wrong when: either law fails its convexity.
    Source: derived here.
    Returns: d^2 ln S / d (ln s)^2 <= 0 at fixed gamma, NaN where the acceptance law leaves [0, 1].
    Arguments as in :class:`~howspec.theory.scale.law.DraftScaleLaw`; gamma: >= 1 [token].
    """
    if symbolic(scale, gamma):
        alpha = acceptance_at_scale(
            scale, rejection_floor, rejection_coefficient, rejection_exponent
        )
        above = rejection_coefficient * scale**-rejection_exponent
        slope = rejection_exponent * above / (1 - alpha)
        at = {alpha: alpha}
        sensitivity = rejection_sensitivity(alpha, gamma).subs(at)
        fall = sensitivity_fall(alpha, gamma).subs(at)
        gain = (
            sensitivity
            * rejection_log_curvature(
                scale, rejection_floor, rejection_coefficient, rejection_exponent
            )
            + fall * (1 - alpha) / alpha * slope**2
        )
        return -gain - cost_log_curvature(
            gamma,
            scale,
            cost_floor=cost_floor,
            cost_slope=cost_slope,
            verify_slope=verify_slope,
            overhead=overhead,
        )
    g = gamma
    b = rejection_exponent
    alpha = np.asarray(acceptance_at_scale(scale, rejection_floor, rejection_coefficient, b))
    defined = np.isfinite(alpha)
    a = np.where(defined, alpha, 0.5)
    odds = _odds_above_floor(scale, rejection_floor, rejection_coefficient, b)
    with np.errstate(over="ignore"):
        slope = b / (1.0 + np.exp(-odds))  # -d ln(1 - alpha) / d ln s
    # The fall of the sensitivity over alpha: r / alpha has no pole at 0 for gamma >= 1.
    r_over_alpha = (g + 1.0) * np.power(a, g - 1.0) / geometric_sum(a, g + 1.0)
    fall = r_over_alpha * (g - elasticity_of_tokens(a, g)) * (1.0 - a) * slope * slope
    convex = np.asarray(rejection_sensitivity(a, g)) * b * b * _spread(odds)
    cost = cost_log_curvature(
        g,
        scale,
        cost_floor=cost_floor,
        cost_slope=cost_slope,
        verify_slope=verify_slope,
        overhead=overhead,
    )
    return np.where(defined, -(convex + fall + np.asarray(cost)), np.nan)


def _odds_above_floor(
    scale: ArrayLike, floor: ArrayLike, coefficient: ArrayLike, b: Floats
) -> Floats:
    """ln(w / (1 - w)), w the share of the rejection above its floor; inf without a floor."""
    d, a = check("rejection_floor", floor), check("rejection_coefficient", coefficient)
    with np.errstate(divide="ignore", over="ignore"):
        return np.asarray(np.log(a) - b * np.log(check("scale", scale)) - np.log(d))


def _spread(odds: Floats) -> Floats:
    """w (1 - w) where ln(w / (1 - w)) is given: e^-|x| / (1 + e^-|x|)^2."""
    small = np.exp(-np.abs(odds))
    return np.asarray(small / (1.0 + small) ** 2)
