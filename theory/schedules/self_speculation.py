r"""Self-speculation: the first layers of the target draft, and may be reused in verification.

    E[N] / (1 + gamma e) <= S <= E[N] / (1 + gamma e - e)

e is the share of the target's depth that drafts. If the verifying pass repeats it, a draft step
costs e and the pass 1; if it reuses the drafted tokens' first layers, the pass costs no less than
1 - e.
"""

from __future__ import annotations

from typing import Any

from numpy.typing import ArrayLike

from ..domain import Floats, check, unwrap
from ..formula import evaluates, formula
from ..rounds import TOKENS, geometric_sum
from ..symbols import register

register(
    "exit_share", "e", "share of the target's step that drafts a token", high=1.0, open_low=True
)


@formula(
    "self_speculation_lower", r"S_{\min}", group="schedules and cascades",
    alpha=0.7, gamma=4, exit_share=0.25,
)  # fmt: skip
def SELF_SPECULATION_LOWER(s: Any) -> Any:
    """Speed-up of drafting with the first layers when verification repeats them.

    Assumes: independent acceptance, time proportional to depth.
    Wrong when: the output head, which every draft step reads, is not small against the layers.
    Source: derived here; the methods are those of arXiv:2309.08168 and arXiv:2404.16710.
    """
    return TOKENS.build(s) / (1 + s.gamma * s.exit_share)


@formula(
    "self_speculation_upper", r"S_{\max}", group="schedules and cascades",
    alpha=0.7, gamma=4, exit_share=0.25,
)  # fmt: skip
def SELF_SPECULATION_UPPER(s: Any) -> Any:
    """Speed-up of drafting with the first layers when verification takes all of them over.

    Not reached where reading weights sets the time: the last drafted token has not passed the first
    layers yet, so that their weights are read once more.

    Assumes: independent acceptance, time proportional to depth, gamma >= 1.
    Wrong when: the output head, which every draft step reads, is not small against the layers.
    Source: derived here; the methods are those of arXiv:2309.08168 and arXiv:2404.16710.
    """
    return TOKENS.build(s) / (1 + s.gamma * s.exit_share - s.exit_share)


def _terms(
    alpha: ArrayLike, gamma: ArrayLike, exit_share: ArrayLike
) -> tuple[Floats, Floats, Floats]:
    g = check("gamma", gamma)
    if g.size and g.min() < 1.0:
        raise ValueError(f"gamma must be in [1, inf), got {g.min():g}")
    return geometric_sum(check("alpha", alpha), g + 1.0), g, check("exit_share", exit_share)


@evaluates(SELF_SPECULATION_LOWER)
def self_speculation_lower(alpha: ArrayLike, gamma: ArrayLike, exit_share: ArrayLike) -> Any:
    """E[N] / (1 + gamma e): nothing is reused.

    alpha: in [0, 1]; gamma: >= 1 [token]; exit_share: in (0, 1]. Shapes broadcast.
    Raises ValueError outside these ranges.
    """
    tokens, g, e = _terms(alpha, gamma, exit_share)
    return unwrap(tokens / (1.0 + g * e))


@evaluates(SELF_SPECULATION_UPPER)
def self_speculation_upper(alpha: ArrayLike, gamma: ArrayLike, exit_share: ArrayLike) -> Any:
    """E[N] / (1 + (gamma - 1) e): all first layers are reused.

    Arguments and errors as in :func:`self_speculation_lower`.
    """
    tokens, g, e = _terms(alpha, gamma, exit_share)
    return unwrap(tokens / (1.0 + (g - 1.0) * e))
