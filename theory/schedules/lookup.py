r"""Drafts copied from the context: n-gram tables, suffix trees, prompt look-up.

    S = (1 - m + m E[N]) / (1 - m + m (1 + gamma (c + b) + o))

m is the share of rounds in which the last tokens occur earlier, so that there is something to copy;
in the others the round is a plain step.
"""

from __future__ import annotations

import numpy as np

from ..domain import check_gamma_max
from ..either import when_drafting
from ..formula import Number, equation
from ..rounds import geometric


@equation(r"S_\mathrm{lookup}", group="schedules and cascades", match=0.4, alpha=0.6, gamma=5,
          cost_ratio=0.001, verify_slope=0.02, overhead=0.05)  # fmt: skip
def lookup_speedup(match: Number, alpha: Number, gamma: Number, *, cost_ratio: Number = 0.0,
                   verify_slope: Number = 0.0, overhead: Number = 0.0) -> Number:  # fmt: skip
    """Speed-up when only matched rounds speculate; alpha is the acceptance given a match.

    Assumes: a match says nothing about the next round's; independent acceptance given a match.
    Wrong when: matches and acceptance come in bursts, as in copied passages.
    Source: derived here by renewal reward.
    Returns: 1 at match = 0 and at gamma = 0; costs are paid in matched rounds only.
    """
    cost = 1 + gamma * (cost_ratio + verify_slope) + when_drafting(gamma, overhead)
    return (1 - match + match * geometric(alpha, gamma + 1)) / (1 - match + match * cost)


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
