r"""Drafters that cost once per round: several heads, diffusion drafts, one call for all tokens.

    S = E[N] / (1 + gamma b + d)

d is the one draft call of the round and b what each further token adds to the verifying pass, both
in plain steps. It is the affine law with no cost per draft token and d in the place of the
overhead, so its optimum is that of the reduced cost b / (1 + d).
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import ArrayLike

from ..domain import Floats, check
from ..formula import evaluates, formula
from ..rounds import TOKENS
from ..speedup import speedup
from ..symbols import register
from .passes import PassLaw, drafted

register("draft_call", "d", "time of the one draft call of a round", unit="target step")


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
    """Cost law of a draft that makes one pass a round for all its tokens.

    Round with gamma > 0: target pass over gamma + 1 tokens, one draft pass over gamma tokens,
    overhead. Round with gamma = 0: a plain step of the target, and nothing else.
    target, draft: pass laws in one time unit; overhead: >= 0, paid only when speculating. The
    step at gamma = 1 makes this law non-convex at 0, so one draft token is not decisive.
    """

    target: PassLaw
    draft: PassLaw
    overhead: ArrayLike = 0.0

    def __post_init__(self) -> None:
        check("round_overhead", self.overhead, label="overhead")

    @property
    def shape(self) -> tuple[int, ...]:
        return np.broadcast_shapes(self.target.shape, self.draft.shape, np.shape(self.overhead))

    def round_time(self, gamma: int, *, batch: float = 1, context: float = 0) -> Floats:
        g = drafted(gamma)
        verify = self.target.step_time(g + 1.0, batch=batch, context=context)
        draft = self.draft.step_time(np.maximum(g, 1.0), batch=batch, context=context)
        extra = draft + np.asarray(self.overhead, dtype=np.float64)[..., None]
        total = verify + np.where(g > 0.0, extra, 0.0)
        return np.asarray(np.broadcast_to(total, (*self.shape, g.size)))
