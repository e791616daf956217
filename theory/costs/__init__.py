"""Cost laws: time of a round, batch, load and memory.

A `PassLaw` times one forward pass (linear, roofline, padded, mixture of experts, table); a
`CostLaw` times a round, put together from passes or affine by itself; `choose_gamma` takes any
cost law with any acceptance law.
"""

from __future__ import annotations

from .choose import Choice as Choice
from .choose import choose_gamma as choose_gamma
from .choose import draft_threshold as draft_threshold
from .crossover import critical_context as critical_context
from .crossover import crossover_batch as crossover_batch
from .crossover import helpful_batches as helpful_batches
from .crossover import parallel_gain as parallel_gain
from .law import AffineCost as AffineCost
from .law import CostLaw as CostLaw
from .law import PassLaw as PassLaw
from .law import SequentialDraftCost as SequentialDraftCost
from .law import target_efficiency as target_efficiency
from .linear import LinearPass as LinearPass
from .linear import LinearStepCost as LinearStepCost
from .linear import linear_step_time as linear_step_time
from .linear import round_fixed_time as round_fixed_time
from .linear import round_sequence_time as round_sequence_time
from .load import capacity_gain as capacity_gain
from .load import crossover_load as crossover_load
from .load import gamma_at_load as gamma_at_load
from .load import helpful_loads as helpful_loads
from .load import latency_under_load as latency_under_load
from .load import mean_field_latency as mean_field_latency
from .load import token_capacity as token_capacity
from .memory import batch_kept as batch_kept
from .memory import in_service_probability as in_service_probability
from .memory import in_service_ratio as in_service_ratio
from .memory import largest_batch as largest_batch
from .memory import memory_limited_gain as memory_limited_gain
from .memory import requests_in_service as requests_in_service
from .moe import MoEPass as MoEPass
from .moe import correlated_experts as correlated_experts
from .moe import experts_touched as experts_touched
from .moe import moe_step_time as moe_step_time
from .parallel import ParallelDraftCost as ParallelDraftCost
from .parallel import block_draft_speedup as block_draft_speedup
from .parallel import parallel_speedup as parallel_speedup
from .roofline import RooflineCost as RooflineCost
from .roofline import RooflinePass as RooflinePass
from .roofline import compute_time as compute_time
from .roofline import free_tokens as free_tokens
from .roofline import kv_bytes_per_token as kv_bytes_per_token
from .roofline import memory_time as memory_time
from .roofline import roofline_step as roofline_step
from .roofline import roofline_step_max as roofline_step_max
from .staircase import StaircasePass as StaircasePass
from .staircase import padded_tokens as padded_tokens
from .table import TablePass as TablePass
