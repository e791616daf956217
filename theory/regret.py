r"""How far the draft length may miss the real optimum at a given loss of speed-up.

    S(gamma* - x/L) / S* = (1 + w - e^x) / (w - x),   w = u - 1, L = ln(1/alpha), u as in `optimum`

Assumes: independent acceptance, affine costs, an interior optimum.
Wrong when: the round's cost has steps or a knee, so that the loss is not that of a smooth curve.
Source: derived here by writing tokens and cost around the optimum.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import ArrayLike

from .domain import Floats, unwrap
from .either import demand
from .formula import Number, equation, symbolic
from .optimum import _costs, _optimal_gamma, _root, _where_interior
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
