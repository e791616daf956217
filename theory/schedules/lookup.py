r"""Drafts copied from the context: n-gram tables, suffix trees, prompt look-up.

    S = (1 - m + m E[N]) / (1 - m + m (1 + gamma (c + b) + o))

m is the share of rounds in which the last tokens occur earlier, so that there is something to copy;
in the others the round is a plain step.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import ArrayLike

from ..domain import check, check_gamma_max, unwrap
from ..formula import evaluates, formula
from ..rounds import TOKENS, geometric_sum
from ..speedup import round_cost
from ..symbols import register

register("match", "m", "share of rounds in which there is a match to copy from", high=1.0)


@formula(
    "lookup_speedup", r"S_\mathrm{lookup}", group="schedules and cascades",
    match=0.4, alpha=0.6, gamma=5, cost_ratio=0.001, verify_slope=0.02, overhead=0.05,
)  # fmt: skip
def LOOKUP_SPEEDUP(s: Any) -> Any:
    """Speed-up when only matched rounds speculate; alpha is the acceptance given a match.

    Assumes: a match says nothing about the next round's; independent acceptance given a match.
    Wrong when: matches and acceptance come in bursts, as in copied passages.
    Source: derived here by renewal reward.
    """
    cost = 1 + s.gamma * (s.cost_ratio + s.verify_slope) + s.overhead
    return (1 - s.match + s.match * TOKENS.build(s)) / (1 - s.match + s.match * cost)


@evaluates(LOOKUP_SPEEDUP)
def lookup_speedup(
    match: ArrayLike,
    alpha: ArrayLike,
    gamma: ArrayLike,
    *,
    cost_ratio: ArrayLike = 0.0,
    verify_slope: ArrayLike = 0.0,
    overhead: ArrayLike = 0.0,
) -> Any:
    """Speed-up of copied drafts; 1 at match = 0 and at gamma = 0.

    match, alpha: in [0, 1]; gamma: >= 0 [token]; costs: >= 0 [target step], paid in matched rounds
    only. Shapes broadcast. Raises ValueError outside these ranges.
    """
    m, a, g = check("match", match), check("alpha", alpha), check("gamma", gamma)
    cost = np.asarray(round_cost(g, cost_ratio, verify_slope=verify_slope, overhead=overhead))
    tokens = geometric_sum(a, g + 1.0)
    return unwrap((1.0 - m + m * tokens) / (1.0 - m + m * cost))


def best_lookup_gamma(
    match: float,
    alpha: float,
    *,
    cost_ratio: float = 0.0,
    verify_slope: float = 0.0,
    overhead: float = 0.0,
    gamma_max: int = 32,
) -> int:
    """The whole gamma in 0..gamma_max with the largest speed-up of copied drafts.

    Arguments as in :func:`lookup_speedup`, scalars. Rounds without a match dilute the rate, so that
    time is worth fewer tokens than at match = 1 and the best draft is no shorter where speculation
    pays. Raises ValueError outside the ranges.
    """
    g = np.arange(float(check_gamma_max(gamma_max)) + 1.0)
    values = lookup_speedup(
        match, alpha, g, cost_ratio=cost_ratio, verify_slope=verify_slope, overhead=overhead
    )
    return int(np.argmax(np.atleast_1d(values)))
