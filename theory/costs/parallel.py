r"""Drafters that cost once per round or per block: heads, diffusion drafts, block drafters.

    S = E[N] / (1 + gamma b + d)

d is the one draft call of the round and b what each further token adds to the verifying pass, both
in plain steps. It is the affine law with no cost per draft token and d in the place of the
overhead, so its optimum is that of the reduced cost b / (1 + d). A block drafter makes k tokens a
call, and its cost has steps:

    S = E[N] / (1 + ceil(gamma / k) d + gamma b)
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import ArrayLike

from ..domain import Floats, check, unwrap
from ..formula import evaluates, formula
from ..rounds import TOKENS, geometric_sum
from ..speedup import speedup
from ..symbols import register
from .passes import PassLaw, drafted

register("draft_call", "d", "time of one call of the draft, a round or a block", unit="target step")
register("draft_block", "k", "tokens of a block of the draft", unit="token", low=1.0, integer=True)


@formula(
    "parallel_speedup", r"S_\parallel", group="speed-up",
    alpha=0.8, gamma=5, verify_slope=0.01, draft_call=0.15,
)  # fmt: skip
def PARALLEL_SPEEDUP(s: Any) -> Any:
    """Speed-up of a drafter that makes all its tokens in one call, gamma >= 1.

    Assumes: one acceptance probability, a call whose time does not depend on gamma.
    Wrong when: the heads are compute-bound, or later heads are accepted much less than earlier
    ones (then sum the survival of a measured law instead).
    Source: derived here; drafters of this kind: arXiv:2401.10774.
    """
    return TOKENS.build(s) / (1 + s.gamma * s.verify_slope + s.draft_call)


@formula(
    "block_draft_speedup", r"S_\mathrm{block}", group="speed-up",
    alpha=0.8, gamma=8, draft_block=8, verify_slope=0.01, draft_call=0.15, overhead=0.0,
)  # fmt: skip
def BLOCK_DRAFT_SPEEDUP(s: Any) -> Any:
    """Speed-up of a drafter that makes blocks of k tokens, each in one call (or one set of calls).

    A whole number of blocks is best where further verified tokens are free (b = 0); else the best
    gamma within a block is found by the rule of `choose`, and the blocks are compared.

    Assumes: one acceptance probability, calls of equal time whatever part of the block is used.
    Wrong when: tokens late in a block are accepted less (sum the survival of a measured law).
    Source: derived here; for diffusion drafters the call is all denoising steps of a block.
    """
    import sympy

    calls = sympy.ceiling(s.gamma / s.draft_block)
    time = 1 + calls * s.draft_call + s.gamma * s.verify_slope + s.overhead
    return TOKENS.build(s) / time


@evaluates(BLOCK_DRAFT_SPEEDUP)
def block_draft_speedup(
    alpha: ArrayLike,
    gamma: ArrayLike,
    *,
    draft_block: ArrayLike,
    draft_call: ArrayLike,
    verify_slope: ArrayLike = 0.0,
    overhead: ArrayLike = 0.0,
) -> Any:
    """E[N] / (1 + ceil(gamma / k) d + gamma b + o); exactly 1 at gamma = 0.

    alpha: in [0, 1]; gamma: whole number >= 0 [token]; draft_block: whole number >= 1 [token];
    draft_call, verify_slope, overhead: >= 0 [target step]. Shapes broadcast. Raises ValueError
    outside the ranges.
    """
    g = check("gamma", gamma, whole=True)
    calls = np.ceil(g / check("draft_block", draft_block)) * check("draft_call", draft_call)
    extra = np.where(g > 0.0, check("overhead", overhead), 0.0)
    time = 1.0 + calls + g * check("verify_slope", verify_slope) + extra
    return unwrap(geometric_sum(check("alpha", alpha), g + 1.0) / time)


@evaluates(PARALLEL_SPEEDUP)
def parallel_speedup(
    alpha: ArrayLike, gamma: ArrayLike, *, verify_slope: ArrayLike, draft_call: ArrayLike
) -> Any:
    """E[N] / (1 + gamma b + d); exactly 1 at gamma = 0, where no call is made.

    alpha: in [0, 1]; gamma: >= 0 [token]; verify_slope, draft_call: >= 0 [target step]. Shapes
    broadcast; returns a float for scalars. Raises ValueError outside the ranges.
    """
    d = check("draft_call", draft_call)
    return speedup(alpha, gamma, 0.0, verify_slope=verify_slope, overhead=d)


@dataclass(frozen=True)
class ParallelDraftCost:
    """Cost law of a draft that makes one pass a round for all its tokens, or one a block.

    Round with gamma > 0: target pass over gamma + 1 tokens, draft passes, overhead. Round with
    gamma = 0: a plain step of the target, and nothing else. Without ``block`` there is one draft
    pass over gamma tokens; with it ``calls`` passes over ``block`` tokens for every block begun.
    target, draft: pass laws in one time unit; overhead: >= 0, paid only when speculating; block:
    whole number >= 1 [token]; calls: whole number >= 1, such as denoising steps. The steps of this
    law make it non-convex, so one draft token is not decisive.
    """

    target: PassLaw
    draft: PassLaw
    overhead: ArrayLike = 0.0
    block: int | None = None
    calls: int = 1

    def __post_init__(self) -> None:
        check("round_overhead", self.overhead, label="overhead")
        if self.block is not None:
            check("draft_block", self.block, label="block")
        check("draft_block", self.calls, label="calls")

    @property
    def shape(self) -> tuple[int, ...]:
        return np.broadcast_shapes(self.target.shape, self.draft.shape, np.shape(self.overhead))

    def round_time(self, gamma: int, *, batch: float = 1, context: float = 0) -> Floats:
        g = drafted(gamma)
        verify = self.target.step_time(g + 1.0, batch=batch, context=context)
        if self.block is None:
            draft = self.draft.step_time(np.maximum(g, 1.0), batch=batch, context=context)
        else:
            one = self.draft.step_time([float(self.block)], batch=batch, context=context)
            draft = np.ceil(g / self.block) * one
        draft = self.calls * draft
        extra = draft + np.asarray(self.overhead, dtype=np.float64)[..., None]
        total = verify + np.where(g > 0.0, extra, 0.0)
        return np.asarray(np.broadcast_to(total, (*self.shape, g.size)))
