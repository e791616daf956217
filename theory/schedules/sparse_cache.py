r"""A draft that reads only part of the cache: cheap exactly where the cache dominates.

    c = (W_d + B kv n_d) / (W + B kv n)  ->  n_d / n  as B n grows

n_d of the n cached tokens are read by the draft. With a long context or a large batch the weights
no longer matter and the cost is the share of the cache.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import ArrayLike

from ..domain import check, unwrap
from ..formula import evaluates, formula
from ..symbols import register

register(
    "draft_cached", "n_d", "cached tokens of each sequence that a draft step reads", unit="token"
)


@formula(
    "sparse_cache_cost", "c", group="schedules and cascades",
    draft_weight_bytes=16e9, draft_cached=1000, weight_bytes=16e9, kv_bytes=131072, batch=32,
    context=32000,
)  # fmt: skip
def SPARSE_CACHE_COST(s: Any) -> Any:
    """Draft step time of a drafter that reads part of the target's cache.

    Assumes: draft and target are bound by reading memory; draft and target cache alike per token.
    Wrong when: choosing what to read costs time, or the context is short.
    Source: derived here; the regime is that of arXiv:2408.11049.
    """
    draft = s.draft_weight_bytes + s.batch * s.kv_bytes * s.draft_cached
    return draft / (s.weight_bytes + s.batch * s.kv_bytes * s.context)


@evaluates(SPARSE_CACHE_COST)
def sparse_cache_cost(
    draft_cached: ArrayLike,
    context: ArrayLike,
    *,
    batch: ArrayLike,
    weight_bytes: ArrayLike,
    draft_weight_bytes: ArrayLike,
    kv_bytes: ArrayLike,
) -> Any:
    """Draft step time of a drafter with a sparse cache [target step].

    draft_cached: in [0, context] [token]; context: >= 0 [token]; batch: >= 1; weight_bytes: > 0,
    draft_weight_bytes, kv_bytes: >= 0 [byte]. Equal weights are self-speculation. Shapes broadcast.
    Raises ValueError outside these ranges.
    """
    read, n = check("draft_cached", draft_cached), check("context", context)
    if np.any(read > n):
        raise ValueError("draft_cached must be in [0, context], got a larger one")
    cache = check("batch", batch) * check("kv_bytes", kv_bytes)
    draft = check("draft_weight_bytes", draft_weight_bytes) + cache * read
    return unwrap(draft / (check("weight_bytes", weight_bytes) + cache * n))
