r"""Step time from the shape of a model and the rates of a machine.

    T = t_0 + agg( (W + B S kv) / BW,  B m (phi + S phi_a) / R )

The first part reads weights and cache, the second computes. agg is the p-norm: p = 1 adds the two
(no overlap), p = inf takes the larger (perfect overlap). The tokens that a pass computes before
computing costs as much as reading the weights, the free tokens, are W R / (phi BW).
"""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import ArrayLike

from ..domain import Floats, check, unwrap
from ..formula import evaluates, formula
from ..symbols import register
from . import passes as _registers_tokens  # noqa: F401

register("layers", r"n_\ell", "layers of a model", low=1.0)
register("kv_heads", "n_h", "key-value heads of a layer", low=1.0)
register("head_size", "d_h", "numbers in one key or value of one head", low=1.0)
register("value_bytes", r"b_v", "bytes of one cached number", unit="byte", open_low=True)
register("weight_bytes", "W", "bytes of weights that a pass reads", unit="byte", open_low=True)
register("kv_bytes", r"\mathrm{kv}", "bytes of cache of one token", unit="byte")
register("bandwidth", r"\mathrm{BW}", "memory bandwidth reached", unit="byte/s", open_low=True)
register("token_ops", r"\varphi", "operations of a pass per token", unit="op", open_low=True)
register(
    "attention_ops", r"\varphi_a", "operations per token and per cached token of it", unit="op"
)
register("compute_rate", "R", "operations per second reached", unit="op/s", open_low=True)
register("launch", "t_0", "time of a pass that neither memory nor computing explains", unit="s")
register("overlap", "p", "order of the norm that joins memory time and computing time", low=1.0)


@formula(
    "kv_bytes_per_token", r"\mathrm{kv}", group="cost laws",
    layers=32, kv_heads=8, head_size=128, value_bytes=2,
)  # fmt: skip
def KV_BYTES(s: Any) -> Any:
    """Bytes of cache that one token of one sequence takes: a key and a value per head and layer.

    Assumes: every layer caches, keys and values of one size and format.
    Wrong when: layers share caches, attend to a window, or compress keys and values together.
    Source: derived here by counting; the grouped heads are those of arXiv:2305.13245.
    """
    return 2 * s.layers * s.kv_heads * s.head_size * s.value_bytes


@formula(
    "free_tokens", r"n_\mathrm{free}", group="cost laws",
    weight_bytes=16e9, token_ops=16e9, bandwidth=3.35e12, compute_rate=989e12,
)  # fmt: skip
def FREE_TOKENS(s: Any) -> Any:
    """Tokens of a pass, over all sequences, at which computing takes as long as reading weights.

    Assumes: an empty cache, perfect overlap; a long cache moves the balance to more tokens.
    Wrong when: kernels reach different shares of the peak rates at different sizes.
    Source: derived here; the balance of the roofline model (Williams, Waterman, Patterson 2009).
    """
    return s.compute_rate * s.weight_bytes / (s.token_ops * s.bandwidth)


@formula(
    "memory_time", r"t_\mathrm{mem}", group="cost laws",
    batch=8, context=4000, weight_bytes=16e9, kv_bytes=131072, bandwidth=3e12,
)  # fmt: skip
def MEMORY_TIME(s: Any) -> Any:
    """Time to read the weights once and the caches of all sequences.

    Assumes: dense weights, each read once a pass; no cache shared between sequences.
    Wrong when: only some experts are read, or sequences share a long prefix.
    Source: derived here; the memory term of arXiv:2211.05102.
    """
    return (s.weight_bytes + s.batch * s.context * s.kv_bytes) / s.bandwidth


@formula(
    "compute_time", r"t_\mathrm{comp}", group="cost laws",
    pass_tokens=4, batch=8, context=4000, token_ops=16e9, attention_ops=5e5, compute_rate=700e12,
)  # fmt: skip
def COMPUTE_TIME(s: Any) -> Any:
    """Time to compute a pass over m tokens of each sequence.

    Assumes: operations proportional to tokens, attention to tokens times context.
    Wrong when: tokens are padded to tiles or captured graphs (see `staircase`).
    Source: derived here; the compute term of arXiv:2211.05102.
    """
    ops = s.token_ops + s.context * s.attention_ops
    return s.batch * s.pass_tokens * ops / s.compute_rate


_POINT = {
    "pass_tokens": 4, "batch": 8, "context": 4000, "weight_bytes": 16e9, "kv_bytes": 131072,
    "bandwidth": 3e12, "token_ops": 16e9, "attention_ops": 5e5, "compute_rate": 700e12,
    "launch": 5e-4,
}  # fmt: skip


@formula("roofline_step", "T", group="cost laws", overlap=3, **_POINT)
def ROOFLINE_STEP(s: Any) -> Any:
    """Time of a pass: launch, and the p-norm of memory time and computing time.

    Between the sum of the two at p = 1 and the larger of them as p grows without bound.

    Assumes: steady clocks, one device or perfectly split work.
    Wrong when: small models are bound by launches, or devices wait for each other's results.
    Source: derived here; sum and maximum are the two usual readings of arXiv:2211.05102.
    """
    p = s.overlap
    return s.launch + (MEMORY_TIME.build(s) ** p + COMPUTE_TIME.build(s) ** p) ** (1 / p)


@formula("roofline_step_max", "T", group="cost laws", **_POINT)
def ROOFLINE_MAX(s: Any) -> Any:
    """Time of a pass when memory and computing overlap perfectly.

    Assumes: steady clocks, one device or perfectly split work.
    Wrong when: the overlap is partial, which is most visible where the two times are equal.
    Source: the roofline model (Williams, Waterman, Patterson 2009).
    """
    import sympy

    return s.launch + sympy.Max(MEMORY_TIME.build(s), COMPUTE_TIME.build(s))


@evaluates(KV_BYTES)
def kv_bytes_per_token(
    layers: ArrayLike, kv_heads: ArrayLike, *, head_size: ArrayLike, value_bytes: ArrayLike = 2.0
) -> Any:
    """2 layers kv_heads head_size value_bytes [byte]. Shapes broadcast.

    layers, kv_heads, head_size: >= 1; value_bytes: > 0. Raises ValueError outside the ranges.
    """
    heads = check("layers", layers) * check("kv_heads", kv_heads)
    return unwrap(2.0 * heads * check("head_size", head_size) * check("value_bytes", value_bytes))


@evaluates(FREE_TOKENS)
def free_tokens(
    weight_bytes: ArrayLike,
    token_ops: ArrayLike,
    *,
    bandwidth: ArrayLike,
    compute_rate: ArrayLike,
) -> Any:
    """W R / (phi BW), tokens over all sequences [token]. All > 0; shapes broadcast.

    Raises ValueError outside the range.
    """
    read = check("weight_bytes", weight_bytes) / check("bandwidth", bandwidth)
    return unwrap(read / (check("token_ops", token_ops) / check("compute_rate", compute_rate)))


@evaluates(MEMORY_TIME)
def memory_time(
    batch: ArrayLike,
    context: ArrayLike,
    *,
    weight_bytes: ArrayLike,
    kv_bytes: ArrayLike,
    bandwidth: ArrayLike,
) -> Any:
    """(W + B S kv) / BW [s].

    batch: >= 1; context, kv_bytes: >= 0; weight_bytes, bandwidth: > 0. Shapes broadcast.
    Raises ValueError outside the ranges.
    """
    cache = check("batch", batch) * check("context", context) * check("kv_bytes", kv_bytes)
    return unwrap((check("weight_bytes", weight_bytes) + cache) / check("bandwidth", bandwidth))


@evaluates(COMPUTE_TIME)
def compute_time(
    pass_tokens: ArrayLike,
    batch: ArrayLike,
    *,
    context: ArrayLike = 0.0,
    token_ops: ArrayLike,
    attention_ops: ArrayLike = 0.0,
    compute_rate: ArrayLike,
) -> Any:
    """B m (phi + S phi_a) / R [s].

    pass_tokens, batch: >= 1; context, attention_ops: >= 0; token_ops, compute_rate: > 0. Shapes
    broadcast. Raises ValueError outside the ranges.
    """
    ops = check("token_ops", token_ops) + check("context", context) * check(
        "attention_ops", attention_ops
    )
    tokens = check("batch", batch) * check("pass_tokens", pass_tokens)
    return unwrap(tokens * ops / check("compute_rate", compute_rate))


def _join(memory: Floats, compute: Floats, power: Floats) -> Floats:
    """(memory^p + compute^p)^(1/p); the larger is taken out first, so that no power overflows."""
    large, small = np.maximum(memory, compute), np.minimum(memory, compute)
    with np.errstate(divide="ignore", under="ignore"):
        log_ratio = np.log(small / large)  # small may underflow to 0 beside large: the limit
        grown = np.log1p(np.exp(power * log_ratio)) / power
    return np.asarray(large * np.exp(grown))


@evaluates(ROOFLINE_STEP)
def roofline_step(*, overlap: ArrayLike = 1.0, **terms: ArrayLike) -> Any:
    """t_0 + (t_mem^p + t_comp^p)^(1/p) [s].

    overlap: p >= 1; terms: as in :func:`roofline_step_max`. Shapes broadcast. Raises ValueError
    outside the ranges.
    """
    launch, memory, compute = _parts(**terms)
    return unwrap(launch + _join(memory, compute, check("overlap", overlap)))


@evaluates(ROOFLINE_MAX)
def roofline_step_max(**terms: ArrayLike) -> Any:
    """t_0 + max(t_mem, t_comp) [s].

    terms: pass_tokens, batch >= 1; context, kv_bytes, attention_ops, launch >= 0; weight_bytes,
    bandwidth, token_ops, compute_rate > 0. Shapes broadcast. Raises ValueError outside the ranges.
    """
    launch, memory, compute = _parts(**terms)
    return unwrap(launch + np.maximum(memory, compute))


def _parts(
    *,
    pass_tokens: ArrayLike,
    batch: ArrayLike,
    context: ArrayLike,
    weight_bytes: ArrayLike,
    kv_bytes: ArrayLike,
    bandwidth: ArrayLike,
    token_ops: ArrayLike,
    compute_rate: ArrayLike,
    attention_ops: ArrayLike = 0.0,
    launch: ArrayLike = 0.0,
) -> tuple[Floats, Floats, Floats]:
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
    return check("launch", launch), np.asarray(memory), np.asarray(compute)
