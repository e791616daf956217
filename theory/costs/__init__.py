"""Cost laws: time of a round, batch, load and memory.

A `PassLaw` times one forward pass (linear, roofline, padded, mixture of experts, table); a
`CostLaw` times a round, put together from passes or affine by itself; `choose_gamma` takes any
cost law with any acceptance law.
"""

from __future__ import annotations

from .choose import Choice, choose_gamma, draft_threshold
from .crossover import critical_context, crossover_batch, helpful_batches, parallel_gain
from .law import AffineCost, CostLaw
from .linear import (
    LinearPass,
    LinearStepCost,
    linear_step_time,
    round_fixed_time,
    round_sequence_time,
)
from .load import (
    capacity_gain,
    crossover_load,
    gamma_at_load,
    helpful_loads,
    latency_under_load,
    mean_field_latency,
    token_capacity,
)
from .memory import batch_kept, largest_batch, memory_limited_gain
from .moe import MoEPass, correlated_experts, experts_touched, moe_step_time
from .occupancy import in_service_probability, in_service_ratio, requests_in_service
from .parallel import ParallelDraftCost, block_draft_speedup, parallel_speedup
from .passes import PassLaw, SequentialDraftCost, target_efficiency
from .roofline import (
    compute_time,
    free_tokens,
    kv_bytes_per_token,
    memory_time,
    roofline_step,
    roofline_step_max,
)
from .roofline_cost import RooflineCost, RooflinePass
from .staircase import StaircasePass, padded_tokens
from .table import TablePass

__all__ = [
    "AffineCost",
    "Choice",
    "CostLaw",
    "LinearPass",
    "LinearStepCost",
    "MoEPass",
    "ParallelDraftCost",
    "PassLaw",
    "RooflineCost",
    "RooflinePass",
    "SequentialDraftCost",
    "StaircasePass",
    "TablePass",
    "batch_kept",
    "block_draft_speedup",
    "capacity_gain",
    "choose_gamma",
    "compute_time",
    "correlated_experts",
    "critical_context",
    "crossover_batch",
    "crossover_load",
    "draft_threshold",
    "experts_touched",
    "free_tokens",
    "gamma_at_load",
    "helpful_batches",
    "helpful_loads",
    "in_service_probability",
    "in_service_ratio",
    "kv_bytes_per_token",
    "largest_batch",
    "latency_under_load",
    "linear_step_time",
    "mean_field_latency",
    "memory_limited_gain",
    "memory_time",
    "moe_step_time",
    "padded_tokens",
    "parallel_gain",
    "parallel_speedup",
    "requests_in_service",
    "roofline_step",
    "roofline_step_max",
    "round_fixed_time",
    "round_sequence_time",
    "target_efficiency",
    "token_capacity",
]
