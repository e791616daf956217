"""What bounds the speed-up: headroom, ceilings, sensitivities.

`headroom` compares a fixed draft length with perfect knowledge, `threshold` with the best stopping
rule in between; `ceilings` are set by entropy and bandwidth, `rejections` and `certificates` by
exactness, `bandit` by having to learn; `sensitivity` says which investment pays, `objectives` what
changes for energy or money.
"""

from __future__ import annotations

from .bandit import BanditRegret, bandit_regret, ucb_plays
from .ceilings import (
    branching_ceiling,
    entropy_ceiling,
    hardware_ceiling,
    left_entropy_ceiling,
    left_entropy_of,
)
from .certificates import (
    acceptance_at_temperature,
    covered_certificate,
    greedy_certificate,
    logit_oscillation,
    rule_certificate,
)
from .headroom import (
    NONADAPTIVITY_BOUND,
    costless_length_ratio,
    indifferent_cost,
    lookahead_latency,
    lookahead_replicas,
    nonadaptivity,
    nonadaptivity_cost,
    nonadaptivity_limit,
    oracle_speedup,
    worst_nonadaptivity,
)
from .objectives import blended_slope, energy_per_token, energy_slope, optimal_gamma_for_energy
from .rejections import (
    biased_acceptance_ceiling,
    expected_rejections,
    lenient_verification,
    total_variation,
)
from .relaxed import (
    Relaxed,
    entropy_set,
    relaxed_loss,
    relaxed_loss_floor,
    relaxed_verification,
    top_set,
    typical_level,
    typical_set,
)
from .sensitivity import (
    acceptance_elasticity,
    draft_cost_elasticity,
    exchange_rate,
    investments,
    overhead_elasticity,
    verify_cost_elasticity,
)
from .threshold import (
    Headroom,
    ThresholdPolicy,
    headroom_report,
    stopping_threshold,
    threshold_policy,
)

__all__ = [
    "NONADAPTIVITY_BOUND",
    "BanditRegret",
    "Headroom",
    "Relaxed",
    "ThresholdPolicy",
    "acceptance_at_temperature",
    "acceptance_elasticity",
    "bandit_regret",
    "biased_acceptance_ceiling",
    "blended_slope",
    "branching_ceiling",
    "costless_length_ratio",
    "covered_certificate",
    "draft_cost_elasticity",
    "energy_per_token",
    "energy_slope",
    "entropy_ceiling",
    "entropy_set",
    "exchange_rate",
    "expected_rejections",
    "greedy_certificate",
    "hardware_ceiling",
    "headroom_report",
    "indifferent_cost",
    "investments",
    "left_entropy_ceiling",
    "left_entropy_of",
    "lenient_verification",
    "logit_oscillation",
    "lookahead_latency",
    "lookahead_replicas",
    "nonadaptivity",
    "nonadaptivity_cost",
    "nonadaptivity_limit",
    "optimal_gamma_for_energy",
    "oracle_speedup",
    "overhead_elasticity",
    "relaxed_loss",
    "relaxed_loss_floor",
    "relaxed_verification",
    "rule_certificate",
    "stopping_threshold",
    "threshold_policy",
    "top_set",
    "total_variation",
    "typical_level",
    "typical_set",
    "ucb_plays",
    "verify_cost_elasticity",
    "worst_nonadaptivity",
]
