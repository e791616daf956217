r"""Drafting the next round while the target verifies this one, with a flush on rejection.

    S = E' / (max(1, gamma c) + (1 - alpha^gamma) gamma c),   E' = (1 - alpha^gamma) / (1 - alpha)
    S = E' / (alpha^gamma max(1, gamma c) + (1 - alpha^gamma) (1 + gamma c))   where it is stopped

The draft continues from its own last token, so an accepted round yields gamma tokens and no bonus
token. After a rejection what was drafted meanwhile is thrown away and drafted anew. The rejection
is known at time 1; where a draft takes longer, it is either finished first (the first line) or
stopped at once (the second). For gamma c <= 1 the two are one.
"""

from __future__ import annotations

import numpy as np

from ..domain import check_gamma_max
from ..either import larger
from ..formula import Number, equation
from ..rounds import geometric


@equation(r"S_\parallel", group="schedules and cascades", least={"gamma": 1}, alpha=0.8, gamma=4,
          cost_ratio=0.1)  # fmt: skip
def overlapped_speedup(alpha: Number, gamma: Number, cost_ratio: Number) -> Number:
    """Speed-up when drafting overlaps with verifying and a rejection flushes the finished draft.

    Not always above the sequential one: the bonus token is lost, and gamma must be tuned anew.

    Assumes: independent acceptance, gamma >= 1, two devices that do not slow each other, verifying
    as long as a plain step.
    Wrong when: the first draft token is verified early, as arXiv:2408.11850 does; it is then a
    lower bound.
    Source: derived here by renewal reward.
    Returns: gamma / max(1, gamma c) at alpha = 1.
    """
    tokens, drafting = geometric(alpha, gamma), gamma * cost_ratio
    rejected = (1 - alpha) * tokens  # 1 - alpha^gamma without cancellation
    return tokens / (larger(1, drafting) + rejected * drafting)


@equation(r"S_{\parallel,\mathrm{stop}}", group="schedules and cascades", least={"gamma": 1},
          alpha=0.8, gamma=4, cost_ratio=0.4)  # fmt: skip
def stopped_overlap_speedup(alpha: Number, gamma: Number, cost_ratio: Number) -> Number:
    """Speed-up with overlapped drafting where a rejection stops the draft that it makes useless.

    Larger than where the draft is finished first if gamma c > 1, and the same otherwise.

    Assumes: independent acceptance, gamma >= 1, two devices that do not slow each other, verifying
    as long as a plain step; a running draft can be stopped between two of its steps at no cost.
    Wrong when: draft steps are long beside a plain step, so that stopping waits for one to end.
    Source: derived here by renewal reward.
    """
    tokens, drafting = geometric(alpha, gamma), gamma * cost_ratio
    rejected = (1 - alpha) * tokens
    return tokens / (alpha**gamma * larger(1, drafting) + rejected * (1 + drafting))


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
