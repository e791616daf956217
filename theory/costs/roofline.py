"""Step time from the shape of a model and the rates of a machine.

    T = t_0 + agg( (W + B S kv) / BW,  B m (phi + S phi_a) / R )

The first part reads weights and cache, the second computes. agg is the p-norm: p = 1 adds the two
(no overlap), p = inf takes the larger (perfect overlap). The tokens that a pass computes before
computing costs as much as reading the weights, the free tokens, are W R / (phi BW).

Cost laws of models whose passes follow the roofline.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import ArrayLike

from ..domain import Floats, check, unwrap
from ..either import larger
from ..formula import Number, equation, symbolic
from .law import SequentialDraftCost, column, operating_point, token_grid


@equation(r"\mathrm{kv}", group="cost laws", layers=32, kv_heads=8, head_size=128, value_bytes=2)
def kv_bytes_per_token(
    layers: Number, kv_heads: Number, *, head_size: Number, value_bytes: Number = 2.0
) -> Number:
    """Bytes of cache that one token of one sequence takes: a key and a value per head and layer.

    Assumes: every layer caches, keys and values of one size and format.
    Wrong when: layers share caches, attend to a window, or compress keys and values together.
    Source: derived here by counting; the grouped heads are those of arXiv:2305.13245.
    """
    return 2 * layers * kv_heads * head_size * value_bytes


@equation(r"n_\mathrm{free}", group="cost laws", weight_bytes=16e9, token_ops=16e9,
          bandwidth=3.35e12, compute_rate=989e12)  # fmt: skip
def free_tokens(
    weight_bytes: Number, token_ops: Number, *, bandwidth: Number, compute_rate: Number
) -> Number:
    """Tokens of a pass, over all sequences, at which computing takes as long as reading weights.

    Assumes: an empty cache, perfect overlap; a long cache moves the balance to more tokens.
    Wrong when: kernels reach different shares of the peak rates at different sizes.
    Source: derived here; the balance of the roofline model (Williams, Waterman, Patterson 2009).
    Returns: tokens over all sequences.
    """
    return (weight_bytes / bandwidth) / (token_ops / compute_rate)


@equation(r"t_\mathrm{mem}", group="cost laws", batch=8, context=4000, weight_bytes=16e9,
          kv_bytes=131072, bandwidth=3e12)  # fmt: skip
def memory_time(
    batch: Number, context: Number, *, weight_bytes: Number, kv_bytes: Number, bandwidth: Number
) -> Number:
    """Time to read the weights once and the caches of all sequences.

    Assumes: dense weights, each read once a pass; no cache shared between sequences.
    Wrong when: only some experts are read, or sequences share a long prefix.
    Source: derived here; the memory term of arXiv:2211.05102.
    """
    return (weight_bytes + batch * context * kv_bytes) / bandwidth


@equation(r"t_\mathrm{comp}", group="cost laws", pass_tokens=4, batch=8, context=4000,
          token_ops=16e9, attention_ops=5e5, compute_rate=700e12)  # fmt: skip
def compute_time(pass_tokens: Number, batch: Number, *, context: Number = 0.0, token_ops: Number,
                 attention_ops: Number = 0.0, compute_rate: Number) -> Number:  # fmt: skip
    """Time to compute a pass over m tokens of each sequence.

    Assumes: operations proportional to tokens, attention to tokens times context.
    Wrong when: tokens are padded to tiles or captured graphs (see `uneven`).
    Source: derived here; the compute term of arXiv:2211.05102.
    """
    ops = token_ops + context * attention_ops
    return batch * pass_tokens * ops / compute_rate


_POINT: dict[str, Any] = {
    "pass_tokens": 4, "batch": 8, "context": 4000, "weight_bytes": 16e9, "kv_bytes": 131072,
    "bandwidth": 3e12, "token_ops": 16e9, "attention_ops": 5e5, "compute_rate": 700e12,
    "launch": 5e-4,
}  # fmt: skip


@equation("T", group="cost laws", others=tuple(_POINT), overlap=3, **_POINT)
def roofline_step(*, overlap: Number = 1.0, **terms: Number) -> Number:
    """Time of a pass: launch, and the p-norm of memory time and computing time.

    Between the sum of the two at p = 1 and the larger of them as p grows without bound.

    Assumes: steady clocks, one device or perfectly split work.
    Wrong when: small models are bound by launches, or devices wait for each other's results.
    Source: derived here; sum and maximum are the two usual readings of arXiv:2211.05102.
    """
    launch, memory, compute = _parts(**terms)
    if symbolic(overlap, memory):
        return launch + (memory**overlap + compute**overlap) ** (1 / overlap)
    return launch + _join(memory, compute, overlap)


@equation("T", group="cost laws", others=tuple(_POINT), **_POINT)
def roofline_step_max(**terms: Number) -> Number:
    """Time of a pass when memory and computing overlap perfectly.

    Assumes: steady clocks, one device or perfectly split work.
    Wrong when: the overlap is partial, which is most visible where the two times are equal.
    Source: the roofline model (Williams, Waterman, Patterson 2009).
    """
    launch, memory, compute = _parts(**terms)
    return launch + larger(memory, compute)


def _join(memory: Floats, compute: Floats, power: Floats) -> Floats:
    """(memory^p + compute^p)^(1/p); the larger is taken out first, so that no power overflows."""
    large, small = np.maximum(memory, compute), np.minimum(memory, compute)
    with np.errstate(divide="ignore", under="ignore"):
        log_ratio = np.log(small / large)  # small may underflow to 0 beside large: the limit
        grown = np.log1p(np.exp(power * log_ratio)) / power
    return np.asarray(large * np.exp(grown))


def _parts(*, pass_tokens: Number, batch: Number, context: Number, weight_bytes: Number,
           kv_bytes: Number, bandwidth: Number, token_ops: Number, compute_rate: Number,
           attention_ops: Number = 0.0,
           launch: Number = 0.0) -> tuple[Number, Number, Number]:  # fmt: skip
    """(t_0, t_mem, t_comp)."""
    memory = memory_time(
        batch, context, weight_bytes=weight_bytes, kv_bytes=kv_bytes, bandwidth=bandwidth
    )
    compute = compute_time(
        pass_tokens,
        batch,
        context=context,
        token_ops=token_ops,
        attention_ops=attention_ops,
        compute_rate=compute_rate,
    )
    return launch, memory, compute


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
