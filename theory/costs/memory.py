"""What the draft takes from the memory of the device, and how many requests a server decodes.

    B_max = (M - W - W_d) / (S (kv + kv_d))

The draft's weights and its cache make the batch that fits smaller. At saturation the server runs
at that batch, so speculation is worth the tokens of a round times the ratio of the batches times
the ratio of the round times, each at its own batch.

How many requests a loaded server decodes together.

With n requests in service each progresses at E / (F + n H), so with r = x H / E the number in
service is negative binomial,

    P(n) = (F/H + 1)_n / n!  (1 - r)^{F/H + 1} r^n,   E[n] = x w,

whatever the distribution of lengths: processor sharing is insensitive to it.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from ..either import demand, only_where, share
from ..formula import Number, equation, numeric
from ..rounds import geometric
from .linear import round_fixed_time, round_sequence_time
from .load import GROUP, POINT, TIMES, latency_under_load, round_terms

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


@equation(r"\mathrm{E}[n_s]", group=GROUP, others=TIMES, token_load=2000, **POINT)
def requests_in_service(
    alpha: Number, gamma: Number, token_load: Number, **times: Number
) -> Number:
    """Mean number of requests in service, the load times the latency of a token.

    Assumes: as for the latency under load.
    Wrong when: the latency under load is wrong.
    Source: derived here; Little's law.
    Returns: the mean batch, 0 without load.
    """
    return token_load * latency_under_load(alpha, gamma, token_load, **times)


@equation(r"\mathrm{P}(n_s + 1)/\mathrm{P}(n_s)", group=GROUP, others=TIMES, in_service=3,
          token_load=2000, **POINT)  # fmt: skip
def in_service_ratio(
    in_service: Number, alpha: Number, gamma: Number, token_load: Number, **times: Number
) -> Number:
    """Probability of n + 1 requests in service over that of n: a negative binomial of size 1 + F/H.

    Assumes: as for the latency under load.
    Wrong when: the latency under load is wrong.
    Source: derived here from the balance P(n + 1) (n + 1) / (F + (n + 1) H) = P(n) x / E.
    """
    t = round_terms(alpha, gamma, **times)
    return token_load / t.tokens * (t.fixed / (in_service + 1) + t.row)


@numeric(others=TIMES)
def in_service_probability(
    in_service: Number, alpha: Number, gamma: Number, token_load: Number, **times: Number
) -> Number:
    """P(n requests in service), the product of the ratios; 0 at and above the capacity.

    in_service: whole number >= 0; the rest as in :func:`latency_under_load`. Shapes broadcast.
    Where a sequence adds no time the law is Poisson. Raises ValueError outside the ranges.
    """
    t = round_terms(alpha, gamma, **times)
    offered, r = token_load * t.fixed / t.tokens, token_load * t.row / t.tokens
    offered, r, n = np.broadcast_arrays(offered, r, in_service)
    stable = r < 1.0
    empty = np.log1p(-np.where(stable, r, 0.0))
    with np.errstate(invalid="ignore"):
        # (F/H) ln(1 - r) = offered ln(1 - r)/r, which is -offered in the limit H = 0.
        total = empty + offered * np.where(r > 0.0, empty / r, -1.0)
    steps = np.arange(1.0, n.max(initial=0.0) + 1.0)
    logs = np.log(offered[..., None] / steps + r[..., None])
    logs = np.where(steps <= n[..., None], logs, 0.0)
    return np.exp(np.where(stable, total + logs.sum(axis=-1), -np.inf))
