r"""A step in a sweep: where a smooth law misses by more than its scatter.

A block drafter, a kernel for another number of tokens or a graph that is not captured makes the
time of a round jump between two numbers of draft tokens, and a law that is affine in them smooths
the jump away. The logarithm of measured over fitted speed-up is fitted twice,

    r(K) = a + b K            r(K) = a + b K + d [K > k]

and d is a step at the best k where the second fit is better than by chance (F test at 0.1 % with
all places that were tried), where |d| is above 8 % and four times the scatter that is left. The
scatter of a few points is not known from them alone: runs of one setting differ by 1 %, which
counts as four points more.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from scipy.stats import f as f_law

from .grid import Floats

_LEAST, _TIMES, _CHANCE = 0.08, 4.0, 1e-3
_BETWEEN_RUNS, _POINTS = 0.01, 4


@dataclass(frozen=True)
class Step:
    """A jump of the speed-up between two measured numbers of draft tokens.

    after, before: the last gamma below it and the first above it; factor: what the speed-up is
    multiplied by there, beyond what a smooth law has.
    """

    after: int
    before: int
    factor: float

    @property
    def said(self) -> str:
        """The step in one sentence."""
        return (
            f"the sweep has a step between gamma {self.after} and {self.before}: speed-ups beyond "
            f"are {self.factor:.2f} times what a smooth law has; a fit smooths it, so trust the "
            "measured gammas and nothing between"
        )


def find_step(gammas: Floats, measured: Floats, fitted: Floats) -> Step | None:
    """The step of a sweep, None where there is none.

    gammas: ascending, shape (points,) [token]; measured, fitted: speed-ups there, > 0. At least 5
    points are needed.
    """
    n = gammas.size
    if n < 5:
        return None
    left = np.log(measured / fitted)
    smooth = np.stack([np.ones(n), gammas], axis=1)
    plain, best = _residual(smooth, left), None
    for k in range(1, n - 1):
        design = np.column_stack([smooth, np.arange(n) >= k])
        free = n - 3 + _POINTS
        rest = _residual(design, left)
        scatter = np.sqrt((rest + _POINTS * _BETWEEN_RUNS**2) / free)
        ratio = (plain - rest) / scatter**2
        size = float(np.linalg.lstsq(design, left, rcond=None)[0][2])
        chance = (n - 2) * float(f_law.sf(ratio, 1, free))
        # A round cannot take less time for more tokens: only a fall is a step.
        if chance < _CHANCE and -size > max(_LEAST, _TIMES * scatter):
            best = max(best or (ratio, size, k), (ratio, size, k))
    if best is None:
        return None
    _, size, k = best
    return Step(int(gammas[k - 1]), int(gammas[k]), float(np.exp(size)))


def _residual(design: Floats, values: Floats) -> float:
    """Sum of squares that a linear fit leaves."""
    found = np.linalg.lstsq(design, values, rcond=None)[0]
    return float(((values - design @ found) ** 2).sum())
