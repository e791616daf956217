r"""Self-speculation: the first layers of the target draft, and may be reused in verification.

    E[N] / (1 + gamma e) <= S <= E[N] / (1 + gamma e - e)

e is the share of the target's depth that drafts. If the verifying pass repeats it, a draft step
costs e and the pass 1; if it reuses the drafted tokens' first layers, the pass costs no less than
1 - e.
"""

from __future__ import annotations

from numpy.typing import ArrayLike

from ..domain import Floats, check
from ..formula import Number, equation
from ..rounds import geometric, geometric_sum


@equation(r"S_{\min}", group="schedules and cascades", least={"gamma": 1}, alpha=0.7, gamma=4,
          exit_share=0.25)  # fmt: skip
def self_speculation_lower(alpha: Number, gamma: Number, exit_share: Number) -> Number:
    """Speed-up of drafting with the first layers when verification repeats them.

    Assumes: independent acceptance, time proportional to depth.
    Wrong when: the output head, which every draft step reads, is not small against the layers.
    Source: derived here; the methods are those of arXiv:2309.08168 and arXiv:2404.16710.
    """
    return geometric(alpha, gamma + 1) / (1 + gamma * exit_share)


@equation(r"S_{\max}", group="schedules and cascades", least={"gamma": 1}, alpha=0.7, gamma=4,
          exit_share=0.25)  # fmt: skip
def self_speculation_upper(alpha: Number, gamma: Number, exit_share: Number) -> Number:
    """Speed-up of drafting with the first layers when verification takes all of them over.

    Not reached where reading weights sets the time: the last drafted token has not passed the first
    layers yet, so that their weights are read once more.

    Assumes: independent acceptance, time proportional to depth, gamma >= 1.
    Wrong when: the output head, which every draft step reads, is not small against the layers.
    Source: derived here; the methods are those of arXiv:2309.08168 and arXiv:2404.16710.
    """
    return geometric(alpha, gamma + 1) / (1 + gamma * exit_share - exit_share)


def _terms(
    alpha: ArrayLike, gamma: ArrayLike, exit_share: ArrayLike
) -> tuple[Floats, Floats, Floats]:
    g = check("gamma", gamma)
    if g.size and g.min() < 1.0:
        raise ValueError(f"gamma must be in [1, inf), got {g.min():g}")
    return geometric_sum(check("alpha", alpha), g + 1.0), g, check("exit_share", exit_share)
