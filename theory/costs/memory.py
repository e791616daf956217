r"""What the draft takes from the memory of the device, and so from the largest batch.

    B_max = (M - W - W_d) / (S (kv + kv_d))

The draft's weights and its cache make the batch that fits smaller. At saturation the server runs
at that batch, so speculation is worth the tokens of a round times the ratio of the batches times
the ratio of the round times, each at its own batch.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import ArrayLike

from ..domain import Floats, check, unwrap
from ..formula import evaluates, formula
from ..rounds import TOKENS, geometric_sum
from ..symbols import register
from . import linear
from . import roofline as _registers_bytes  # noqa: F401

register("memory", "M", "memory for weights and cache", unit="byte", open_low=True)
register("draft_weight_bytes", "W_d", "bytes of the draft's weights", unit="byte")
register("draft_kv_bytes", r"\mathrm{kv}_d", "bytes of the draft's cache of one token", unit="byte")
_MEMORY = {
    "memory": 72e9, "weight_bytes": 16e9, "kv_bytes": 131072,
    "draft_weight_bytes": 2e9, "draft_kv_bytes": 4096,
}  # fmt: skip


@formula("largest_batch", r"B_{\max}", group="batch, load and memory", context=4000, **_MEMORY)
def LARGEST_BATCH(s: Any) -> Any:
    """Sequences of S tokens whose caches fit beside the weights of target and draft.

    Assumes: a fixed split of the memory, every sequence at the same context; round it down.
    Wrong when: the cache is paged out, shared between sequences, or quantised on the way.
    Source: derived here by counting bytes.
    """
    free = s.memory - s.weight_bytes - s.draft_weight_bytes
    return free / (s.context * (s.kv_bytes + s.draft_kv_bytes))


@formula("batch_kept", r"B_{\max}/B_{\max,0}", group="batch, load and memory", **_MEMORY)
def BATCH_KEPT(s: Any) -> Any:
    """Share of the largest batch that is left when a draft is loaded too; context cancels.

    Assumes: as for the largest batch.
    Wrong when: the cache is paged out, shared between sequences, or quantised on the way.
    Source: derived here as the ratio of the largest batches with and without the draft.
    """
    free = s.memory - s.weight_bytes
    weights = (free - s.draft_weight_bytes) / free
    return weights * s.kv_bytes / (s.kv_bytes + s.draft_kv_bytes)


@formula("memory_limited_gain", r"G_M", group="batch, load and memory",
         alpha=0.7, gamma=3, context=500, step_fixed=7e-3, step_per_token=2e-5,
         step_per_cached=4e-8, draft_fixed=1e-3, draft_per_token=1e-6, draft_per_cached=2e-9,
         round_overhead=2e-4, **_MEMORY)  # fmt: skip
def MEMORY_LIMITED_GAIN(s: Any) -> Any:
    """Throughput with speculation over throughput without, each at its own largest batch.

    The speed-up at a common batch between the two largest ones, times `batch_kept`, is a lower
    bound on it, because the smaller batch also has the shorter rounds. At a smaller common batch,
    where the speed-up is larger, it is none.

    Assumes: enough requests to fill the batch, linear step times, gamma >= 1.
    Wrong when: the load does not fill the batch (then memory does not bind).
    Source: derived here.
    """
    both = LARGEST_BATCH.build(s)
    alone = both.subs({s.draft_weight_bytes: 0, s.draft_kv_bytes: 0})
    row0 = s.step_per_cached * s.context + s.step_per_token
    spec = linear.ROUND_FIXED.build(s) / both + linear.ROUND_SEQUENCE.build(s)
    return TOKENS.build(s) * (s.step_fixed / alone + row0) / spec


def _free(memory: ArrayLike, weight_bytes: ArrayLike, draft_weight_bytes: ArrayLike) -> Floats:
    left = check("memory", memory) - check("weight_bytes", weight_bytes)
    left = left - check("draft_weight_bytes", draft_weight_bytes)
    if (left <= 0.0).any():
        raise ValueError("memory must be more than weight_bytes + draft_weight_bytes")
    return np.asarray(left)


@evaluates(LARGEST_BATCH)
def largest_batch(
    memory: ArrayLike,
    context: ArrayLike,
    *,
    weight_bytes: ArrayLike,
    kv_bytes: ArrayLike,
    draft_weight_bytes: ArrayLike = 0.0,
    draft_kv_bytes: ArrayLike = 0.0,
) -> Any:
    """(M - W - W_d) / (S (kv + kv_d)) [sequence], not rounded; inf where nothing is cached.

    memory, weight_bytes: > 0 [byte]; context: >= 0 [token]; the rest >= 0 [byte]. Shapes
    broadcast. Raises ValueError outside the ranges and where the weights do not fit.
    """
    left = _free(memory, weight_bytes, draft_weight_bytes)
    each = check("kv_bytes", kv_bytes) + check("draft_kv_bytes", draft_kv_bytes)
    with np.errstate(divide="ignore"):
        return unwrap(left / (check("context", context) * each))


@evaluates(BATCH_KEPT)
def batch_kept(
    memory: ArrayLike,
    *,
    weight_bytes: ArrayLike,
    kv_bytes: ArrayLike,
    draft_weight_bytes: ArrayLike,
    draft_kv_bytes: ArrayLike = 0.0,
) -> Any:
    """Largest batch with the draft over that without, in (0, 1].

    Arguments as in :func:`largest_batch`; 1 where nothing is cached and the weights fit, and 0
    where only the draft caches. Raises ValueError outside the ranges.
    """
    alone = _free(memory, weight_bytes, 0.0)
    weights = _free(memory, weight_bytes, draft_weight_bytes) / alone
    own, extra = check("kv_bytes", kv_bytes), check("draft_kv_bytes", draft_kv_bytes)
    both = own + extra
    nothing = both == 0.0
    cache = np.where(nothing, 1.0, own / np.where(nothing, 1.0, both))
    return unwrap(np.where(nothing, 1.0, weights * cache))


@evaluates(MEMORY_LIMITED_GAIN)
def memory_limited_gain(
    alpha: ArrayLike,
    gamma: ArrayLike,
    *,
    memory: ArrayLike,
    context: ArrayLike,
    weight_bytes: ArrayLike,
    kv_bytes: ArrayLike,
    draft_weight_bytes: ArrayLike,
    draft_kv_bytes: ArrayLike = 0.0,
    step_fixed: ArrayLike,
    step_per_token: ArrayLike,
    step_per_cached: ArrayLike,
    draft_fixed: ArrayLike,
    draft_per_token: ArrayLike = 0.0,
    draft_per_cached: ArrayLike = 0.0,
    round_overhead: ArrayLike = 0.0,
) -> Any:
    """Throughput ratio at the largest batches with and without a draft, for gamma >= 1.

    Arguments as in :func:`largest_batch` and `LinearStepCost`; step times must not all vanish for
    a batch without bound. Shapes broadcast. Raises ValueError outside the ranges.
    """
    sizes = {"weight_bytes": weight_bytes, "kv_bytes": kv_bytes}
    cache = {"context": context, "step_per_token": step_per_token}
    cache["step_per_cached"] = step_per_cached
    both = largest_batch(
        memory,
        context,
        draft_weight_bytes=draft_weight_bytes,
        draft_kv_bytes=draft_kv_bytes,
        **sizes,
    )
    alone = largest_batch(memory, context, **sizes)
    row = linear.round_sequence_time(
        gamma, draft_per_token=draft_per_token, draft_per_cached=draft_per_cached, **cache
    )
    fixed = linear.round_fixed_time(
        gamma, step_fixed=step_fixed, draft_fixed=draft_fixed, round_overhead=round_overhead
    )
    plain = check("step_fixed", step_fixed) / alone + linear.round_sequence_time(0.0, **cache)
    tokens = geometric_sum(check("alpha", alpha), check("gamma", gamma) + 1.0)
    return unwrap(np.asarray(tokens * plain / (fixed / both + row)))
