"""Other ways to arrange a round: cascades, overlap, batched verification, cheap drafters.

`budget` shares verified tokens over a batch; `overlap` and `cached` draft while the target
verifies; `cascade` nests or chains drafters, `two_layers` steps and tokens; `self_speculation`,
`lookup`, `trimmed` and `sparse_cache` are drafters with a cost law of their own.
"""

from __future__ import annotations

from .budget import BatchBudget as BatchBudget
from .budget import best_budget as best_budget
from .budget import budgeted_lengths as budgeted_lengths
from .cached import cached_batch_speedup as cached_batch_speedup
from .cached import cached_speedup as cached_speedup
from .cached import fan_out as fan_out
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
from .drafters import best_vocabulary as best_vocabulary
from .drafters import self_speculation_lower as self_speculation_lower
from .drafters import self_speculation_upper as self_speculation_upper
from .drafters import sparse_cache_cost as sparse_cache_cost
from .drafters import trimmed_acceptance as trimmed_acceptance
from .drafters import trimmed_speedup as trimmed_speedup
from .lookup import best_lookup_gamma as best_lookup_gamma
from .lookup import lookup_speedup as lookup_speedup
from .overlap import best_overlapped_gamma as best_overlapped_gamma
from .overlap import overlapped_speedup as overlapped_speedup
from .overlap import stopped_overlap_speedup as stopped_overlap_speedup
from .two_layers import two_layer_bound as two_layer_bound
from .two_layers import two_layer_speedup as two_layer_speedup
