"""Cost laws: the time of a speculative round and of a plain step.

A law is a frozen set of parameters. Time is in seconds, or in plain steps of the target where the
law says so (``unit``); speed-up divides it out. Parameters may be arrays, as in `acceptance`.

A round put together from passes: the target's verifying pass and the passes of a draft.

A pass law gives the time of ONE forward pass; the cost of a round follows from how the draft is
used: one pass a token (here) or one pass a round (`parallel`). Any pass law goes with any other.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Protocol, runtime_checkable

import numpy as np
from numpy.typing import ArrayLike

from ..domain import Floats, as_floats, check


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
