"""Cost laws of models whose passes follow the roofline."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import ArrayLike

from ..domain import Floats, check, unwrap
from .passes import SequentialDraftCost, column, operating_point, token_grid
from .roofline import free_tokens, roofline_step, roofline_step_max

_FIELDS = (
    "weight_bytes", "kv_bytes", "token_ops", "bandwidth", "compute_rate", "attention_ops", "launch",
)  # fmt: skip


@dataclass(frozen=True)
class RooflinePass:
    """A pass whose time follows from bytes, operations and the rates that the machine reaches.

    weight_bytes, token_ops, bandwidth, compute_rate: > 0; kv_bytes, attention_ops, launch: >= 0;
    overlap: order p >= 1 of the norm, math.inf for the larger of the two times.
    Arrays of parameters (not of overlap) broadcast. Raises ValueError outside the ranges.
    """

    weight_bytes: ArrayLike
    token_ops: ArrayLike
    bandwidth: ArrayLike
    compute_rate: ArrayLike
    kv_bytes: ArrayLike = 0.0
    attention_ops: ArrayLike = 0.0
    launch: ArrayLike = 0.0
    overlap: float = 1.0

    def __post_init__(self) -> None:
        for name in _FIELDS:
            check(name, getattr(self, name))
        if self.overlap != math.inf:
            check("overlap", self.overlap)

    @property
    def shape(self) -> tuple[int, ...]:
        return np.broadcast_shapes(*(np.shape(getattr(self, name)) for name in _FIELDS))

    @property
    def free_tokens(self) -> Any:
        """Tokens, over all sequences, that one pass computes in the time it reads its weights."""
        return free_tokens(
            self.weight_bytes,
            self.token_ops,
            bandwidth=self.bandwidth,
            compute_rate=self.compute_rate,
        )

    def step_time(self, tokens: ArrayLike, *, batch: float = 1, context: float = 0) -> Floats:
        rows, ctx = operating_point(batch, context)
        terms = {name: column(name, getattr(self, name), self.shape) for name in _FIELDS}
        grid = token_grid(tokens)
        if self.overlap == math.inf:
            value = roofline_step_max(pass_tokens=grid, batch=rows, context=ctx, **terms)
        else:
            value = roofline_step(
                pass_tokens=grid, batch=rows, context=ctx, overlap=self.overlap, **terms
            )
        return np.asarray(value)


@dataclass(frozen=True)
class RooflineCost(SequentialDraftCost):
    """Cost law of a target and a draft whose passes follow the roofline, one draft pass a token.

    target, draft: `RooflinePass`; overhead: >= 0 [s], paid only when speculating.
    """

    target: RooflinePass
    draft: RooflinePass
    overhead: ArrayLike = 0.0

    def free_gamma(self, batch: float = 1) -> Any:
        """Draft tokens per sequence that the verifying pass takes before it is compute-bound.

        free tokens / batch - 1, and 0 where even plain decoding is compute-bound [token].
        """
        rows, _ = operating_point(batch, 0.0)
        return unwrap(np.maximum(np.asarray(self.target.free_tokens) / rows - 1.0, 0.0))
