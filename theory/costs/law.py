r"""Cost laws: the time of a speculative round and of a plain step.

A law is a frozen set of parameters. Time is in seconds, or in plain steps of the target where the
law says so (``unit``); speed-up divides it out. Parameters may be arrays, as in `acceptance`.
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
