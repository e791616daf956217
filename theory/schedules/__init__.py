"""Other ways to arrange a round: cascades, overlap, batched verification, cheap drafters.

`budget` shares verified tokens over a batch; `overlap` and `cached` draft while the target
verifies; `cascade` nests or chains drafters, `two_layers` steps and tokens; `self_speculation`,
`lookup`, `trimmed` and `sparse_cache` are drafters with a cost law of their own.
"""

from __future__ import annotations

from .budget import BatchBudget, best_budget, budgeted_lengths
from .cached import cached_batch_speedup, cached_speedup, fan_out
from .cascade import (
    VerticalChoice,
    best_vertical,
    horizontal_speedup,
    horizontal_tokens,
    vertical_speedup,
    vertical_tokens,
)
from .chain import chain_time, even_chain_time, insertion_gain, insertion_saving
from .lookup import best_lookup_gamma, lookup_speedup
from .overlap import best_overlapped_gamma, overlapped_speedup, stopped_overlap_speedup
from .self_speculation import self_speculation_lower, self_speculation_upper
from .sparse_cache import sparse_cache_cost
from .trimmed import best_vocabulary, trimmed_acceptance, trimmed_speedup
from .two_layers import two_layer_bound, two_layer_speedup

__all__ = [
    "BatchBudget",
    "VerticalChoice",
    "best_budget",
    "best_lookup_gamma",
    "best_overlapped_gamma",
    "best_vertical",
    "best_vocabulary",
    "budgeted_lengths",
    "cached_batch_speedup",
    "cached_speedup",
    "chain_time",
    "even_chain_time",
    "fan_out",
    "horizontal_speedup",
    "horizontal_tokens",
    "insertion_gain",
    "insertion_saving",
    "lookup_speedup",
    "overlapped_speedup",
    "self_speculation_lower",
    "self_speculation_upper",
    "sparse_cache_cost",
    "stopped_overlap_speedup",
    "trimmed_acceptance",
    "trimmed_speedup",
    "two_layer_bound",
    "two_layer_speedup",
    "vertical_speedup",
    "vertical_tokens",
]
