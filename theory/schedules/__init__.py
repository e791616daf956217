"""Other ways to arrange a round: cascades, overlap, batched verification, cheap drafters.

`budget` shares verified tokens over a batch; `overlap` drafts while the target verifies; `cascade`
and `chain` nest or chain drafters, `chain` also steps and tokens; `drafters` have a cost law of
their own.
"""

from __future__ import annotations

from .budget import BatchBudget as BatchBudget
from .budget import best_budget as best_budget
from .budget import budgeted_lengths as budgeted_lengths
from .cascade import VerticalChoice as VerticalChoice
from .cascade import best_vertical as best_vertical
from .cascade import horizontal_speedup as horizontal_speedup
from .cascade import horizontal_tokens as horizontal_tokens
from .cascade import vertical_speedup as vertical_speedup
from .cascade import vertical_tokens as vertical_tokens
from .chain import chain_time as chain_time
from .chain import even_chain_time as even_chain_time
from .chain import insertion_gain as insertion_gain
from .chain import insertion_saving as insertion_saving
from .chain import two_layer_bound as two_layer_bound
from .chain import two_layer_speedup as two_layer_speedup
from .drafters import best_lookup_gamma as best_lookup_gamma
from .drafters import best_vocabulary as best_vocabulary
from .drafters import lookup_speedup as lookup_speedup
from .drafters import self_speculation_lower as self_speculation_lower
from .drafters import self_speculation_upper as self_speculation_upper
from .drafters import sparse_cache_cost as sparse_cache_cost
from .drafters import trimmed_acceptance as trimmed_acceptance
from .drafters import trimmed_speedup as trimmed_speedup
from .overlap import best_overlapped_gamma as best_overlapped_gamma
from .overlap import cached_batch_speedup as cached_batch_speedup
from .overlap import cached_speedup as cached_speedup
from .overlap import fan_out as fan_out
from .overlap import overlapped_speedup as overlapped_speedup
from .overlap import stopped_overlap_speedup as stopped_overlap_speedup
