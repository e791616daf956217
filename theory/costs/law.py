r"""Cost laws: the time of a speculative round and of a plain step.

A law is a frozen set of parameters. Time is in seconds, or in plain steps of the target where the
law says so (``unit``); speed-up divides it out. Parameters may be arrays, as in `acceptance`.

A round is put together from passes, each timed by a pass law: the target's verifying pass, and the
draft's, one a token (`SequentialDraftCost`) or one a round or a block (`ParallelDraftCost`). Any
pass law goes with any other. Drafters that cost once per round (heads, diffusion drafts) have

    S = E[N] / (1 + gamma b + d)

d is the one draft call of the round and b what each further token adds to the verifying pass, both
in plain steps. It is the affine law with no cost per draft token and d in the place of the
overhead, so its optimum is that of the reduced cost b / (1 + d). A block drafter makes k tokens a
call, and its cost has steps:

    S = E[N] / (1 + ceil(gamma / k) d + gamma b)
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Protocol, runtime_checkable

import numpy as np
from numpy.typing import ArrayLike

from ..domain import Floats, as_floats, check
from ..either import ceiling, when_drafting
from ..formula import Number, equation
from ..rounds import geometric


@runtime_checkable
class CostLaw(Protocol):
    """What every cost law offers. ``shape`` is the common shape of its parameters."""

    @property
    def shape(self) -> tuple[int, ...]:
        """Shape of the parameters; () for a single law."""
        ...

    def round_time(self, gamma: int, *, batch: float = 1, context: float = 0) -> Floats:
        """Time of one round at gamma = 0..gamma on a new last axis, (*shape, gamma + 1).

        Entry 0 is a plain step. batch: sequences decoded together; context: tokens in the cache
        of each.
        """
        ...


@dataclass(frozen=True)
class AffineCost:
    """A round takes step (1 + gamma (cost_ratio + verify_slope) + overhead), a plain step step.

    cost_ratio: draft step; verify_slope: one more token in the verifying pass; overhead: the rest
    of a round, paid only when speculating; all >= 0 [target step]. step: time of a plain step, > 0
    (1 where time is counted in plain steps). Neither batch nor context enters: the law holds at
    the batch and context where it was measured.
    Arrays of parameters broadcast. Raises ValueError outside the ranges.
    """

    cost_ratio: ArrayLike
    verify_slope: ArrayLike = 0.0
    overhead: ArrayLike = 0.0
    step: float = 1.0

    def __post_init__(self) -> None:
        for name in ("cost_ratio", "verify_slope", "overhead"):
            check(name, getattr(self, name))
        if not (np.isfinite(self.step) and self.step > 0):
            raise ValueError(f"step must be in (0, inf), got {self.step}")

    @property
    def shape(self) -> tuple[int, ...]:
        return np.broadcast_shapes(
            np.shape(self.cost_ratio), np.shape(self.verify_slope), np.shape(self.overhead)
        )

    def round_time(self, gamma: int, *, batch: float = 1, context: float = 0) -> Floats:
        drafted = np.arange(int(check("gamma", gamma, whole=True)) + 1.0)
        per_token = as_floats("cost_ratio", self.cost_ratio) + as_floats(
            "verify_slope", self.verify_slope
        )
        per_token = np.broadcast_to(per_token, self.shape)[..., None]
        extra = np.broadcast_to(as_floats("overhead", self.overhead), self.shape)[..., None]
        with np.errstate(over="ignore"):  # beyond the largest float a round takes forever
            return np.asarray(self.step * (1.0 + drafted * per_token + (drafted > 0) * extra))


@runtime_checkable
class PassLaw(Protocol):
    """What every law of a single forward pass offers. Times are in seconds, or in any one unit."""

    @property
    def shape(self) -> tuple[int, ...]:
        """Shape of the parameters; () for a single law."""
        ...

    def step_time(self, tokens: ArrayLike, *, batch: float = 1, context: float = 0) -> Floats:
        """Time of a pass over ``tokens`` tokens of each sequence, (*shape, len(tokens)).

        tokens: one-dimensional, >= 1; batch: sequences in the pass; context: tokens in the cache
        of each.
        """
        ...


def token_grid(tokens: ArrayLike) -> Floats:
    """``tokens`` as a checked one-dimensional array; ValueError for another shape or range."""
    grid = check("pass_tokens", tokens, label="tokens")
    if grid.ndim != 1:
        raise ValueError(f"tokens must be one-dimensional, got shape {grid.shape}")
    return grid


def operating_point(batch: float, context: float) -> tuple[float, float]:
    """(batch, context) as checked numbers; ValueError for arrays and outside the ranges."""
    b, s = check("batch", batch), check("context", context)
    if b.ndim or s.ndim:
        raise ValueError("batch and context must be numbers: call once for each operating point")
    return float(b), float(s)


def column(name: str, value: ArrayLike, shape: tuple[int, ...]) -> Floats:
    """A checked parameter of a law, broadcast to ``shape`` with a new last axis."""
    return np.broadcast_to(check(name, value), shape)[..., None]


def drafted(gamma: int) -> Floats:
    """0, 1, ..., gamma as float64, after checking gamma."""
    return np.arange(int(check("gamma", gamma, whole=True)) + 1.0)


@dataclass(frozen=True)
class SequentialDraftCost:
    """Cost law of a draft that makes one pass for each draft token.

    Round with gamma > 0: target pass over gamma + 1 tokens, gamma draft passes over one token,
    overhead. Round with gamma = 0: a plain step of the target, and nothing else.
    target, draft: pass laws in one time unit; overhead: >= 0, paid only when speculating.
    Arrays of parameters broadcast.
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
        draft = self.draft.step_time(np.ones(1), batch=batch, context=context)
        extra = np.asarray(self.overhead, dtype=np.float64)[..., None]
        # The draws of one gamma one after the other: sums over them are what a choice asks for.
        times = np.multiply(draft, g, order="F") + np.multiply(extra, g > 0.0, order="F") + verify
        return np.asarray(np.broadcast_to(times, (*self.shape, g.size)))


def target_efficiency(law: PassLaw, gamma: int, *, batch: float = 1, context: float = 0) -> Floats:
    """Time of a plain step over that of the verifying pass, for 0..gamma, (*shape, gamma + 1).

    1 where the extra tokens of verification are free, 1 / (gamma + 1) where they cost as much as
    steps of their own. Source: the quantity of this name in arXiv:2505.19645.
    """
    times = law.step_time(drafted(gamma) + 1.0, batch=batch, context=context)
    return np.asarray(times[..., :1] / times)


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
