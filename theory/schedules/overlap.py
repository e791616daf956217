r"""Drafting the next round while the target verifies this one, with a flush on rejection.

    S = E' / (max(1, gamma c) + (1 - alpha^gamma) gamma c),   E' = (1 - alpha^gamma) / (1 - alpha)
    S = E' / (alpha^gamma max(1, gamma c) + (1 - alpha^gamma) (1 + gamma c))   where it is stopped

The draft continues from its own last token, so an accepted round yields gamma tokens and no bonus
token. After a rejection what was drafted meanwhile is thrown away and drafted anew. The rejection
is known at time 1; where a draft takes longer, it is either finished first (the first line) or
stopped at once (the second). For gamma c <= 1 the two are one.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import ArrayLike

from ..domain import check, check_gamma_max, unwrap
from ..formula import evaluates, formula
from ..rounds import geometric_sum


@formula(
    "overlapped_speedup", r"S_\parallel", group="schedules and cascades",
    alpha=0.8, gamma=4, cost_ratio=0.1,
)  # fmt: skip
def OVERLAPPED_SPEEDUP(s: Any) -> Any:
    """Speed-up when drafting overlaps with verifying and a rejection flushes the finished draft.

    Not always above the sequential one: the bonus token is lost, and gamma must be tuned anew.

    Assumes: independent acceptance, gamma >= 1, two devices that do not slow each other, verifying
    as long as a plain step.
    Wrong when: the first draft token is verified early, as arXiv:2408.11850 does; it is then a
    lower bound.
    Source: derived here by renewal reward.
    """
    import sympy

    accepted = s.alpha**s.gamma
    drafting = s.gamma * s.cost_ratio
    tokens = (1 - accepted) / (1 - s.alpha)
    return tokens / (sympy.Max(1, drafting) + (1 - accepted) * drafting)


@formula(
    "stopped_overlap_speedup", r"S_{\parallel,\mathrm{stop}}", group="schedules and cascades",
    alpha=0.8, gamma=4, cost_ratio=0.4,
)  # fmt: skip
def STOPPED_OVERLAP_SPEEDUP(s: Any) -> Any:
    """Speed-up with overlapped drafting where a rejection stops the draft that it makes useless.

    Larger than where the draft is finished first if gamma c > 1, and the same otherwise.

    Assumes: independent acceptance, gamma >= 1, two devices that do not slow each other, verifying
    as long as a plain step; a running draft can be stopped between two of its steps at no cost.
    Wrong when: draft steps are long beside a plain step, so that stopping waits for one to end.
    Source: derived here by renewal reward.
    """
    import sympy

    accepted = s.alpha**s.gamma
    drafting = s.gamma * s.cost_ratio
    time = accepted * sympy.Max(1, drafting) + (1 - accepted) * (1 + drafting)
    return (1 - accepted) / (1 - s.alpha) / time


@evaluates(OVERLAPPED_SPEEDUP)
def overlapped_speedup(alpha: ArrayLike, gamma: ArrayLike, cost_ratio: ArrayLike) -> Any:
    """Speed-up with overlapped drafting and a flush on every rejection.

    alpha: in [0, 1]; gamma: >= 1 [token]; cost_ratio: >= 0 [target step]. Shapes broadcast; at
    alpha = 1 it is gamma / max(1, gamma c). Raises ValueError outside these ranges.
    """
    a, g, c = check("alpha", alpha), check("gamma", gamma), check("cost_ratio", cost_ratio)
    if g.size and g.min() < 1.0:
        raise ValueError(f"gamma must be in [1, inf), got {g.min():g}")
    tokens = geometric_sum(a, g)
    rejected = (1.0 - a) * tokens  # 1 - alpha^gamma without cancellation
    return unwrap(tokens / (np.maximum(1.0, g * c) + rejected * g * c))


@evaluates(STOPPED_OVERLAP_SPEEDUP)
def stopped_overlap_speedup(alpha: ArrayLike, gamma: ArrayLike, cost_ratio: ArrayLike) -> Any:
    """Speed-up with overlapped drafting that a rejection stops at once.

    Arguments and errors as in :func:`overlapped_speedup`.
    """
    a, g, c = check("alpha", alpha), check("gamma", gamma), check("cost_ratio", cost_ratio)
    if g.size and g.min() < 1.0:
        raise ValueError(f"gamma must be in [1, inf), got {g.min():g}")
    tokens = geometric_sum(a, g)
    rejected = (1.0 - a) * tokens
    kept = np.power(a, g) * np.maximum(1.0, g * c)
    return unwrap(tokens / (kept + rejected * (1.0 + g * c)))


def best_overlapped_gamma(
    alpha: float, cost_ratio: float, *, gamma_max: int = 64, stopped: bool = False
) -> int:
    """The whole gamma in 1..gamma_max with the largest overlapped speed-up; 0 if none beats 1.

    alpha: in [0, 1]; cost_ratio: >= 0 [target step], scalars; stopped: whether a rejection stops
    the draft that runs, or lets it finish. The speed-up has a kink at gamma = 1/c, so all are
    tried. Raises ValueError outside the ranges.
    """
    top = int(check_gamma_max(gamma_max))
    law = stopped_overlap_speedup if stopped else overlapped_speedup
    values = np.atleast_1d(law(alpha, np.arange(1.0, top + 1.0), cost_ratio))
    best = int(np.argmax(values))
    return best + 1 if values[best] > 1.0 else 0
