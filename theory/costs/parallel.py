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

import numpy as np
from numpy.typing import ArrayLike

from ..domain import Floats, check
from ..either import ceiling, when_drafting
from ..formula import Number, equation
from ..rounds import geometric
from .law import PassLaw, drafted


@equation(r"S_\parallel", group="speed-up", alpha=0.8, gamma=5, verify_slope=0.01, draft_call=0.15)
def parallel_speedup(
    alpha: Number, gamma: Number, *, verify_slope: Number, draft_call: Number
) -> Number:
    """Speed-up of a drafter that makes all its tokens in one call, gamma >= 1.

    Assumes: one acceptance probability, a call whose time does not depend on gamma.
    Wrong when: the heads are compute-bound, or later heads are accepted much less than earlier
    ones (then sum the survival of a measured law instead).
    Source: derived here; drafters of this kind: arXiv:2401.10774.
    Returns: exactly 1 at gamma = 0, where no call is made.
    """
    time = 1 + gamma * verify_slope + when_drafting(gamma, draft_call)
    return geometric(alpha, gamma + 1) / time


@equation(r"S_\mathrm{block}", group="speed-up", whole=("gamma",), alpha=0.8, gamma=8,
          draft_block=8, verify_slope=0.01, draft_call=0.15, overhead=0.0)  # fmt: skip
def block_draft_speedup(alpha: Number, gamma: Number, *, draft_block: Number, draft_call: Number,
                        verify_slope: Number = 0.0, overhead: Number = 0.0) -> Number:  # fmt: skip
    """Speed-up of a drafter that makes blocks of k tokens, each in one call (or one set of calls).

    A whole number of blocks is best where further verified tokens are free (b = 0); else the best
    gamma within a block is found by the rule of `choose`, and the blocks are compared.

    Assumes: one acceptance probability, calls of equal time whatever part of the block is used.
    Wrong when: tokens late in a block are accepted less (sum the survival of a measured law).
    Source: derived here; for diffusion drafters the call is all denoising steps of a block.
    Returns: exactly 1 at gamma = 0; gamma a whole number.
    """
    time = 1 + ceiling(gamma / draft_block) * draft_call + gamma * verify_slope
    return geometric(alpha, gamma + 1) / (time + when_drafting(gamma, overhead))


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
