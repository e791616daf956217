r"""Batches: where speculation stops paying, and what the draft takes from the memory.

With T = F + k B S + c_t B m and a draft pass F_d + c_d B + k_d B S, one draft token gains

    (alpha F - F_d) - B [ c_t (1 - alpha) + c_d - (alpha k - k_d) S ]

seconds of plain decoding a round, and the cost is convex in gamma, so if one draft token does not
pay, no gamma does. The gain is linear in B: its root is the crossover batch, and the context at
which the bracket vanishes is the critical one, past which a larger batch no longer hurts.

    B_max = (M - W - W_d) / (S (kv + kv_d))

The draft's weights and its cache make the batch that fits smaller. At saturation the server runs
at that batch, so speculation is worth the tokens of a round times the ratio of the batches times
the ratio of the round times, each at its own batch.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from ..domain import Floats
from ..either import demand, only_where, share
from ..formula import Number, equation, numeric, symbolic
from ..rounds import geometric, geometric_sum, tokens_per_round
from .passes import linear_step_time, round_fixed_time, round_sequence_time

_TIMES: dict[str, Any] = {
    "step_fixed": 7e-3, "step_per_token": 2e-5, "step_per_cached": 4e-8,
    "draft_fixed": 1e-3, "draft_per_token": 1e-6, "draft_per_cached": 2e-9,
}  # fmt: skip


@equation(r"B_\times", group="batch, load and memory", others=tuple(_TIMES), alpha=0.7, context=200,
          **_TIMES)  # fmt: skip
def crossover_batch(alpha: Number, context: Number, **times: Number) -> Number:
    """Batch below which some gamma >= 1 beats plain decoding, where alpha F > F_d.

    If alpha F <= F_d the direction turns: past the critical context speculation then helps only
    ABOVE this batch, and before it never.

    Assumes: linear step times, equal contexts, independent acceptance, one draft pass a token, no
    cost paid only when speculating.
    Wrong when: the batch lies outside the fitted range (compute overtakes memory, cache is
    evicted), or the drafter makes one call a round (see `parallel_gain`).
    Source: derived here; that long contexts undo the limit is the observation of arXiv:2408.11049.
    Returns: inf where speculation helps at every batch, 0 where at none. On which side of it
    batches help :func:`helpful_batches` says, whose arguments these are.
    """
    gain, loss = _sides(alpha, context, **times)
    if symbolic(gain, loss):
        return gain / loss
    low, high = half_line(gain, loss)
    return np.where(low > 0.0, low, high)


@equation(r"S_\times", group="batch, load and memory", alpha=0.7,
          **{k: v for k, v in _TIMES.items() if not k.endswith("fixed")})  # fmt: skip
def critical_context(alpha: Number, *, step_per_token: Number, step_per_cached: Number,
                     draft_per_token: Number = 0.0,
                     draft_per_cached: Number = 0.0) -> Number:  # fmt: skip
    """Context from which on no batch is too large for speculation, where alpha F > F_d.

    Assumes: as for the crossover batch, and alpha k > k_d.
    Wrong when: the cache of that context and a large batch does not fit the device.
    Source: derived here; the phenomenon is that of arXiv:2408.11049.
    Returns: inf where alpha k <= k_d.
    """
    tokens = step_per_token * (1 - alpha) + draft_per_token
    saved = alpha * step_per_cached - draft_per_cached
    return only_where(saved > 0, share(tokens, saved), np.inf)


@equation(r"\Delta t", group="batch, load and memory", alpha=0.7, gamma=3, batch=16, context=200,
          draft_fixed=2e-3, step_fixed=7e-3, step_per_token=2e-5, step_per_cached=4e-8)  # fmt: skip
def parallel_gain(alpha: Number, gamma: Number, *, batch: Number, context: Number,
                  step_fixed: Number, step_per_token: Number, step_per_cached: Number,
                  draft_fixed: Number) -> Number:  # fmt: skip
    """Plain decoding time that a round with one draft call saves: (E[N] - 1) T_1 - gamma c_t B - F_d.

    Speculation with this gamma helps iff it is positive; a larger gamma can pay where 1 does not.

    Assumes: linear step times, a draft call whose time depends on neither gamma nor batch.
    Wrong when: the batch lies outside the fitted range.
    Source: derived here.
    Returns: 0 at gamma = 0, where no call is made.
    """  # noqa: E501
    if symbolic(alpha, gamma):
        plain = step_fixed + batch * step_per_cached * context + batch * step_per_token
        verify = gamma * step_per_token * batch
        return (tokens_per_round(alpha, gamma) - 1) * plain - verify - draft_fixed
    a, g, rows = alpha, gamma, batch
    token = step_per_token
    plain = linear_step_time(
        1.0,
        rows,
        context=context,
        step_fixed=step_fixed,
        step_per_token=token,
        step_per_cached=step_per_cached,
    )
    more = a * geometric_sum(a, g)  # E[N] - 1 without its cancellation
    value = more * plain - g * token * rows - draft_fixed
    return np.where(g > 0.0, value, 0.0)


def half_line(gain: Floats, loss: Floats) -> tuple[Floats, Floats]:
    """Where gain - x loss > 0 for x >= 0: the open interval (low, high); (0, 0) where nowhere."""
    positive = gain > 0.0
    with np.errstate(divide="ignore", invalid="ignore", over="ignore"):
        root = gain / loss
    low = np.where(positive | (loss >= 0.0), 0.0, root) + 0.0  # no negative zero
    high = np.where(loss > 0.0, np.where(positive, root, 0.0), np.inf)
    high = np.where((loss == 0.0) & ~positive, 0.0, high)
    return np.asarray(low), np.asarray(high)


def _sides(
    alpha: Number,
    context: Number,
    *,
    step_fixed: Number,
    step_per_token: Number,
    step_per_cached: Number,
    draft_fixed: Number,
    draft_per_token: Number = 0.0,
    draft_per_cached: Number = 0.0,
) -> tuple[Number, Number]:
    """What one draft token gains without a batch, and what it loses with each sequence of it."""
    saved = alpha * step_per_cached - draft_per_cached
    loss = step_per_token * (1 - alpha) + draft_per_token - saved * context
    return alpha * step_fixed - draft_fixed, loss


@numeric(others=tuple(_TIMES))
def helpful_batches(alpha: Number, context: Number, **times: Number) -> Number:
    """(low, high): some gamma >= 1 beats plain decoding for low < batch < high.

    alpha: in [0, 1]; context: >= 0 [token]; times: step_fixed > 0, step_per_token, step_per_cached,
    draft_fixed, and draft_per_token and draft_per_cached, 0 by default, >= 0 [s]. Shapes broadcast.
    high is inf where no batch is too large, and both are 0 where none helps. A bound outside the
    batches of the fit is an extrapolation. Raises ValueError outside the ranges.
    """
    return half_line(*_sides(alpha, context, **times))


_MEMORY: dict[str, Any] = {
    "memory": 72e9, "weight_bytes": 16e9, "kv_bytes": 131072,
    "draft_weight_bytes": 2e9, "draft_kv_bytes": 4096,
}  # fmt: skip


@equation(r"B_{\max}", group="batch, load and memory", context=4000, **_MEMORY)
def largest_batch(memory: Number, context: Number, *, weight_bytes: Number, kv_bytes: Number,
                  draft_weight_bytes: Number = 0.0,
                  draft_kv_bytes: Number = 0.0) -> Number:  # fmt: skip
    """Sequences of S tokens whose caches fit beside the weights of target and draft.

    Assumes: a fixed split of the memory, every sequence at the same context; round it down.
    Wrong when: the cache is paged out, shared between sequences, or quantised on the way.
    Source: derived here by counting bytes.
    Returns: not rounded; inf where nothing is cached.
    """
    free = _free(memory, weight_bytes, draft_weight_bytes)
    return free / (context * (kv_bytes + draft_kv_bytes))


@equation(r"B_{\max}/B_{\max,0}", group="batch, load and memory", **_MEMORY)
def batch_kept(memory: Number, *, weight_bytes: Number, kv_bytes: Number,
               draft_weight_bytes: Number, draft_kv_bytes: Number = 0.0) -> Number:  # fmt: skip
    """Share of the largest batch that is left when a draft is loaded too; context cancels.

    Assumes: as for the largest batch.
    Wrong when: the cache is paged out, shared between sequences, or quantised on the way.
    Source: derived here as the ratio of the largest batches with and without the draft.
    Returns: in (0, 1]; 1 where nothing is cached, 0 where only the draft caches.
    """
    weights = _free(memory, weight_bytes, draft_weight_bytes) / _free(memory, weight_bytes, 0)
    both = kv_bytes + draft_kv_bytes
    return only_where(both > 0, weights * share(kv_bytes, both), 1.0)


@equation(r"G_M", group="batch, load and memory", alpha=0.7, gamma=3, context=500, step_fixed=7e-3,
          step_per_token=2e-5, step_per_cached=4e-8, draft_fixed=1e-3, draft_per_token=1e-6,
          draft_per_cached=2e-9, round_overhead=2e-4, **_MEMORY)  # fmt: skip
def memory_limited_gain(alpha: Number, gamma: Number, *, memory: Number, context: Number,
                        weight_bytes: Number, kv_bytes: Number, draft_weight_bytes: Number,
                        draft_kv_bytes: Number = 0.0, step_fixed: Number, step_per_token: Number,
                        step_per_cached: Number, draft_fixed: Number, draft_per_token: Number = 0.0,
                        draft_per_cached: Number = 0.0,
                        round_overhead: Number = 0.0) -> Number:  # fmt: skip
    """Throughput with speculation over throughput without, each at its own largest batch.

    The speed-up at a common batch between the two largest ones, times `batch_kept`, is a lower
    bound on it, because the smaller batch also has the shorter rounds. At a smaller common batch,
    where the speed-up is larger, it is none.

    Assumes: enough requests to fill the batch, linear step times, gamma >= 1.
    Wrong when: the load does not fill the batch (then memory does not bind).
    Source: derived here.
    Returns: step times must not all vanish for a batch without bound.
    """
    sizes = {"weight_bytes": weight_bytes, "kv_bytes": kv_bytes}
    draft = {"draft_weight_bytes": draft_weight_bytes, "draft_kv_bytes": draft_kv_bytes}
    both = largest_batch(memory, context, **sizes, **draft)
    alone = largest_batch(memory, context, **sizes, draft_weight_bytes=0, draft_kv_bytes=0)
    cache = {"context": context, "step_per_token": step_per_token}
    cache["step_per_cached"] = step_per_cached
    row = round_sequence_time(
        gamma, draft_per_token=draft_per_token, draft_per_cached=draft_per_cached, **cache
    )
    fixed = round_fixed_time(
        gamma, step_fixed=step_fixed, draft_fixed=draft_fixed, round_overhead=round_overhead
    )
    plain = step_fixed / alone + round_sequence_time(0, **cache)
    return geometric(alpha, gamma + 1) * plain / (fixed / both + row)


def _free(memory: Number, weights: Number, draft: Number) -> Number:
    left = memory - weights - draft
    demand(left > 0, "memory must be more than weight_bytes + draft_weight_bytes", memory)
    return left
