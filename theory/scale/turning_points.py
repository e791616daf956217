"""Whether a ladder of drafts has one turning point, and whether a draft of no size beats it.

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
from ..optimum import best_gamma
from ..rounds import geometric_sum
from ..speedup import speedup
from .law import DraftScaleLaw


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
