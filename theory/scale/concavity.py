"""Why there is one turning point in draft size, and how to see when there may be more.

    d^2 ln S / d (ln s)^2 = -(1 - r) (ln delta)'' - r (gamma - eps) (alpha / delta) (ln delta)'^2
                            - (ln cost)''

delta = 1 - alpha(s), primes are derivatives in ln s, r = (gamma + 1) alpha^gamma / E[N] and eps
the elasticity of E[N] in alpha. Every term is <= 0 where ln delta and ln cost are convex in ln s.
Then ln S is concave in ln s and has one turning point at every gamma. An S-shaped acceptance with a
floor (a draft of no size that still matches, such as an n-gram table) breaks the first condition:
there may be a second optimum at size 0, which must be compared.

Whether a ladder of drafts has one turning point, and whether a draft of no size beats it.

The theorem asks that ln(1 - alpha) and ln(round cost) be convex in ln s. Here both conditions and
the turning points themselves are read off a grid of sizes, measured or from a law, so that a ladder
that breaks the conditions is seen.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import ArrayLike

from ..domain import Floats, check
from ..formula import Number, equation, symbolic
from ..limits.sensitivity import acceptance_elasticity, elasticity_of_tokens
from ..optimum import best_gamma
from ..rounds import geometric_sum, tokens_per_round
from ..speedup import speedup
from .law import DraftScaleLaw, acceptance_at_scale, rejection_sensitivity

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
    Returns: 0 at alpha = 0 (gamma >= 1) and at gamma = 0.
    """
    r = (gamma + 1) * alpha**gamma / tokens_per_round(alpha, gamma)
    return r * (gamma - acceptance_elasticity(alpha, gamma))


@equation(r"(\ln\delta)''", group="draft scale", **_LAW)
def rejection_log_curvature(scale: Number, rejection_floor: Number, rejection_coefficient: Number,
                            rejection_exponent: Number) -> Number:  # fmt: skip
    """Second derivative of ln(1 - alpha) in ln s: beta^2 w (1 - w), w the share above the floor.

    Zero for a pure power law, and never negative: the law satisfies the condition.

    Assumes: rejection is a power law on a floor.
    Wrong when: acceptance is S-shaped in size.
    Source: derived here.
    Returns: in [0, beta^2 / 4].
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
    Returns: NaN where the acceptance law leaves [0, 1].
    """
    law = scale, rejection_floor, rejection_coefficient, rejection_exponent
    extra = {"verify_slope": verify_slope, "overhead": overhead}
    cost = cost_log_curvature(gamma, scale, cost_floor=cost_floor, cost_slope=cost_slope, **extra)
    alpha, bend = acceptance_at_scale(*law), rejection_log_curvature(*law)
    if symbolic(scale, gamma):
        above = rejection_coefficient * scale**-rejection_exponent
        slope = rejection_exponent * above / (1 - alpha)  # -d ln(1 - alpha) / d ln s
        fall = sensitivity_fall(alpha, gamma) * (1 - alpha) / alpha
        return -(rejection_sensitivity(alpha, gamma) * bend + fall * slope**2) - cost
    defined = np.isfinite(alpha)
    a = np.where(defined, alpha, 0.5)
    slope = rejection_exponent / (1.0 + np.exp(-_odds_above_floor(*law)))
    # The fall of the sensitivity over alpha: r / alpha has no pole at 0 for gamma >= 1.
    r_over_alpha = (gamma + 1.0) * np.power(a, gamma - 1.0) / geometric_sum(a, gamma + 1.0)
    fall = r_over_alpha * (gamma - elasticity_of_tokens(a, gamma)) * (1.0 - a)
    convex = rejection_sensitivity(a, gamma) * bend + fall * slope**2
    return np.where(defined, -(convex + cost), np.nan)


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


@dataclass(frozen=True)
class TurningPoints:
    """What a grid of draft sizes shows at one gamma.

    rejection_log_convex, cost_log_convex: whether each condition of the theorem holds on the grid.
    scales: sizes at which the speed-up has a local maximum, the ends of the grid included.
    speedups: the speed-ups there.
    """

    rejection_log_convex: bool
    cost_log_convex: bool
    scales: tuple[float, ...]
    speedups: tuple[float, ...]

    @property
    def guaranteed(self) -> bool:
        """Whether the theorem promises a single turning point."""
        return self.rejection_log_convex and self.cost_log_convex

    @property
    def unique(self) -> bool:
        """Whether the grid shows a single local maximum."""
        return len(self.scales) == 1


def _is_convex(x: Floats, y: Floats, tolerance: float) -> bool:
    """Whether the points (x, y) lie on a convex line: slopes never fall, up to ``tolerance``."""
    slopes = np.diff(y) / np.diff(x)
    return bool((np.diff(slopes) >= -tolerance).all())


def _local_maxima(values: Floats) -> list[int]:
    """Indices of the local maxima, the ends included; one index for each level stretch."""
    starts = np.flatnonzero(np.r_[True, np.diff(values) != 0.0])  # first index of every stretch
    padded = np.r_[-np.inf, values[starts], -np.inf]
    peaks = (padded[1:-1] > padded[:-2]) & (padded[1:-1] > padded[2:])
    return [int(i) for i in starts[peaks]]


def unique_turning_point(
    scale: ArrayLike,
    acceptance: ArrayLike,
    cost: ArrayLike,
    *,
    gamma: float,
    verify_slope: float = 0.0,
    overhead: float = 0.0,
    tolerance: float = 1e-9,
) -> TurningPoints:
    """Check the theorem's conditions on a grid of draft sizes and list its turning points.

    scale: increasing sizes > 0, shape (m,), m >= 3; acceptance: alpha at each, in [0, 1);
    cost: draft step time at each, >= 0 [target step]; gamma: >= 1 [token]. ``tolerance`` is how
    much a slope in log-log may fall and still count as convex; for measured ladders it should be
    the noise of such a slope. A grid can only refute the conditions between its points.
    Raises ValueError outside these ranges.
    """
    s, a = check("scale", scale), check("alpha", acceptance, label="acceptance")
    c, g = check("cost_ratio", cost, label="cost"), check("gamma", gamma)
    if s.ndim != 1 or s.size < 3 or a.shape != s.shape or c.shape != s.shape:
        raise ValueError(f"need three or more sizes, equally many of each, got {s.shape}")
    if np.any(np.diff(s) <= 0.0) or np.any(a >= 1.0) or float(g) < 1.0:
        raise ValueError("sizes must increase, acceptance be in [0, 1) and gamma in [1, inf)")
    fixed = 1.0 + check("overhead", overhead) + g * check("verify_slope", verify_slope)
    log_cost = np.log(fixed + g * c)
    log_speedup = np.log(geometric_sum(a, g + 1.0)) - log_cost
    peaks = _local_maxima(log_speedup)
    x = np.log(s)
    return TurningPoints(
        rejection_log_convex=_is_convex(x, np.log1p(-a), tolerance),
        cost_log_convex=_is_convex(x, log_cost, tolerance),
        scales=tuple(float(s[i]) for i in peaks),
        speedups=tuple(float(np.exp(log_speedup[i])) for i in peaks),
    )


@dataclass(frozen=True)
class DraftChoice:
    """The better of the best model draft and a draft of no size.

    scale: size of the choice, 0 for the draft of no size and NaN for plain decoding; gamma and
    speedup: its best number of draft tokens and speed-up. model_speedup, zero_speedup: the best
    speed-up of each, at least 1.
    """

    scale: float
    gamma: int
    speedup: float
    model_speedup: float
    zero_speedup: float


def compare_with_zero_scale(
    law: DraftScaleLaw,
    zero_alpha: float,
    *,
    zero_cost: float = 0.0,
    gamma_max: int = 16,
    largest: float = 1.0,
) -> DraftChoice:
    """Compare the turning point of a ladder with a drafter of no size, such as an n-gram table.

    law: a single law; zero_alpha: acceptance of the other drafter, in [0, 1]; zero_cost: its draft
    step, >= 0 [target step]; the law's verification slope and overhead hold for both. The ladder's
    law cannot know of this drafter: its acceptance at size 0 is not a limit of the power law.
    Raises ValueError outside the ranges.
    """
    if np.shape(law.smallest_scale()) != ():
        raise ValueError("comparing needs a single law")
    scale, gamma, model = (float(x) for x in law.turning_point(gamma_max, largest=largest))
    costs: dict[str, Any] = {"verify_slope": law.verify_slope, "overhead": law.overhead}
    zero_gamma = int(best_gamma(zero_alpha, zero_cost, gamma_max=gamma_max, **costs))
    zero = float(speedup(zero_alpha, zero_gamma, zero_cost, **costs))
    if zero > model:
        return DraftChoice(0.0, zero_gamma, zero, model, zero)
    return DraftChoice(scale, int(gamma), model, model, zero)
