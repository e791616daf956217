r"""A draft that reads only part of the cache: cheap exactly where the cache dominates.

    c = (W_d + B kv n_d) / (W + B kv n)  ->  n_d / n  as B n grows

n_d of the n cached tokens are read by the draft. With a long context or a large batch the weights
no longer matter and the cost is the share of the cache.
"""

from __future__ import annotations

import numpy as np

from ..formula import Number, equation, symbolic


@equation("c", group="schedules and cascades", draft_weight_bytes=16e9, draft_cached=1000,
          weight_bytes=16e9, kv_bytes=131072, batch=32, context=32000)  # fmt: skip
def sparse_cache_cost(draft_cached: Number, context: Number, *, batch: Number, weight_bytes: Number,
                      draft_weight_bytes: Number, kv_bytes: Number) -> Number:  # fmt: skip
    """Draft step time of a drafter that reads part of the target's cache.

    Assumes: draft and target are bound by reading memory; draft and target cache alike per token.
    Wrong when: choosing what to read costs time, or the context is short.
    Source: derived here; the regime is that of arXiv:2408.11049.
    Returns: Draft step time of a drafter with a sparse cache [target step]. draft_cached: in [0,
    context] [token]; context: >= 0 [token]; batch: >= 1; weight_bytes: > 0, draft_weight_bytes,
    kv_bytes: >= 0 [byte]. Equal weights are self-speculation.
    """
    if symbolic(draft_cached, context):
        draft = draft_weight_bytes + batch * kv_bytes * draft_cached
        return draft / (weight_bytes + batch * kv_bytes * context)
    read, n = draft_cached, context
    if np.any(read > n):
        raise ValueError("draft_cached must be in [0, context], got a larger one")
    cache = batch * kv_bytes
    draft = draft_weight_bytes + cache * read
    return draft / (weight_bytes + cache * n)
