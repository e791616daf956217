r"""Speed-up over plain decoding when costs are affine in the number of draft tokens.

    S(gamma) = E[N] / (1 + gamma (c + b) + o),  S(0) = 1

All costs are in units of one plain step of the target: a draft step takes c, each further token
in the verifying pass b, and a speculative round o beyond its passes. A round with gamma = 0 is
plain decoding and pays no overhead.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import ArrayLike

from .domain import Floats, bisect, check, check_gamma_max, unwrap
from .formula import Number, equation, symbolic
from .rounds import geometric_sum, tokens_per_round


@equation("S", group="speed-up", alpha=0.8, gamma=5, cost_ratio=0.05, verify_slope=0.01,
          overhead=0.1)  # fmt: skip
def speedup(alpha: Number, gamma: Number, cost_ratio: Number, *, verify_slope: Number = 0.0,
            overhead: Number = 0.0) -> Number:  # fmt: skip
    """Speed-up over plain decoding at gamma >= 1; with verify_slope = overhead = 0 the ideal law.

    Assumes: rounds repeat independently (renewal reward), one acceptance probability, costs
    affine in gamma, prefill not counted.
    Wrong when: the verifying pass has steps or a knee (large batch, tiles, mixture of experts).
    Source: arXiv:2211.17192v2, theorem 3.8, for b = o = 0; the affine terms are derived here.
    Returns: exactly 1 at gamma = 0; the overhead is paid only when speculating.
    """
    if symbolic(alpha, gamma):
        return tokens_per_round(alpha, gamma) / (1 + gamma * (cost_ratio + verify_slope) + overhead)
    a, g = alpha, gamma
    per_token = _per_token(cost_ratio, verify_slope)
    cost = _round_cost(g, per_token, overhead)
    return geometric_sum(a, g + 1.0) / cost


@equation("c'", group="speed-up", cost_ratio=0.05, verify_slope=0.01, overhead=0.1)
def reduced_cost(cost_ratio: Number, verify_slope: Number = 0.0, overhead: Number = 0.0) -> Number:
    """The draft cost that gives the same optimum without verification slope and overhead.

    S(gamma; alpha, c, b, o) = S(gamma; alpha, c', 0, 0) / (1 + o) for gamma >= 1. So overhead
    raises the best gamma while it lowers the speed-up, and b and c are interchangeable.

    Assumes: costs affine in gamma.
    Wrong when: costs are not affine, or the choice includes not speculating, which pays no o.
    Source: derived here by dividing the cost of a round by 1 + o.
    """
    if symbolic(cost_ratio, verify_slope):
        return (cost_ratio + verify_slope) / (1 + overhead)
    per_token = _per_token(cost_ratio, verify_slope)
    return per_token / (1.0 + overhead)


def round_cost(
    gamma: ArrayLike,
    cost_ratio: ArrayLike,
    *,
    verify_slope: ArrayLike = 0.0,
    overhead: ArrayLike = 0.0,
) -> Any:
    """Time of a round, 1 + gamma (c + b) + o for gamma > 0 and 1 for gamma = 0 [target step].

    gamma: >= 0 [token]; costs: >= 0 [target step]. Shapes broadcast.
    Raises ValueError outside these ranges.
    """
    return unwrap(
        _round_cost(
            check("gamma", gamma), _per_token(cost_ratio, verify_slope), check("overhead", overhead)
        )
    )


def _round_cost(gamma: Floats, per_token: Floats, overhead: Floats) -> Floats:
    with np.errstate(over="ignore"):  # a cost beyond the largest float is inf, its speed-up 0
        cost = 1.0 + gamma * per_token
        if overhead.any():
            cost = cost + np.where(gamma > 0.0, overhead, 0.0)
    return np.asarray(cost)


def _per_token(cost_ratio: ArrayLike, verify_slope: ArrayLike) -> Floats:
    with np.errstate(over="ignore"):
        total = check("cost_ratio", cost_ratio) + check("verify_slope", verify_slope)
    return np.minimum(total, np.finfo(np.float64).max)  # finite, so that gamma = 0 still costs 0


def break_even_alpha(
    cost_ratio: float, *, verify_slope: float = 0.0, overhead: float = 0.0, gamma_max: int = 32
) -> float | None:
    """The acceptance probability above which some gamma in 1..gamma_max beats plain decoding.

    Costs as in :func:`speedup`, scalars. Returns a value in [0, 1), or None where not even
    alpha = 1 pays. Without overhead it is c + b (gamma = 1 is then decisive, by convexity); with
    overhead a longer draft can amortise it, so all gammas are tried.
    Raises ValueError outside the ranges. Source: derived here; for b = o = 0 it is
    arXiv:2211.17192v2, corollary 3.9.
    """
    g = np.arange(1.0, float(check_gamma_max(gamma_max)) + 1.0)
    with np.errstate(over="ignore"):
        extra = g * _per_token(cost_ratio, verify_slope) + check("overhead", overhead)
    # Wanted is the root of alpha E_{gamma-1}(alpha) = extra, accepted tokens that pay for the
    # round, without the 1 on both sides, which would drown a small one. Since 1 <= E_{gamma-1} and
    # alpha E_{gamma-1} < alpha / (1 - alpha), the root is within a factor of two.
    extra, g = extra[extra < g], g[extra < g]
    if not g.size:
        return None
    # The left side rises strictly in alpha.
    _, high = bisect(
        lambda a: a * geometric_sum(a, g) > extra, extra / (1.0 + extra), np.minimum(extra, 1.0)
    )
    return float(high.min())
