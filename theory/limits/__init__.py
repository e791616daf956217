"""What bounds the speed-up: headroom, ceilings, sensitivities.

`headroom` compares a fixed draft length with perfect knowledge, `threshold` with the best stopping
rule in between; `ceilings` are set by entropy and bandwidth, `rejections` and `certificates` by
exactness, `bandit` by having to learn; `sensitivity` says which investment pays, `objectives` what
changes for energy or money.
"""

from __future__ import annotations

from .bandit import BanditRegret as BanditRegret
from .bandit import bandit_regret as bandit_regret
from .bandit import ucb_plays as ucb_plays
from .ceilings import branching_ceiling as branching_ceiling
from .ceilings import entropy_ceiling as entropy_ceiling
from .ceilings import hardware_ceiling as hardware_ceiling
from .ceilings import left_entropy_ceiling as left_entropy_ceiling
from .ceilings import left_entropy_of as left_entropy_of
from .certificates import acceptance_at_temperature as acceptance_at_temperature
from .certificates import covered_certificate as covered_certificate
from .certificates import greedy_certificate as greedy_certificate
from .certificates import logit_oscillation as logit_oscillation
from .certificates import rule_certificate as rule_certificate
from .headroom import NONADAPTIVITY_BOUND as NONADAPTIVITY_BOUND
from .headroom import costless_length_ratio as costless_length_ratio
from .headroom import indifferent_cost as indifferent_cost
from .headroom import lookahead_latency as lookahead_latency
from .headroom import lookahead_replicas as lookahead_replicas
from .headroom import nonadaptivity as nonadaptivity
from .headroom import nonadaptivity_cost as nonadaptivity_cost
from .headroom import nonadaptivity_limit as nonadaptivity_limit
from .headroom import oracle_speedup as oracle_speedup
from .headroom import worst_nonadaptivity as worst_nonadaptivity
from .rejections import Relaxed as Relaxed
from .rejections import biased_acceptance_ceiling as biased_acceptance_ceiling
from .rejections import entropy_set as entropy_set
from .rejections import expected_rejections as expected_rejections
from .rejections import lenient_verification as lenient_verification
from .rejections import relaxed_loss as relaxed_loss
from .rejections import relaxed_loss_floor as relaxed_loss_floor
from .rejections import relaxed_verification as relaxed_verification
from .rejections import top_set as top_set
from .rejections import total_variation as total_variation
from .rejections import typical_level as typical_level
from .rejections import typical_set as typical_set
from .sensitivity import acceptance_elasticity as acceptance_elasticity
from .sensitivity import blended_slope as blended_slope
from .sensitivity import draft_cost_elasticity as draft_cost_elasticity
from .sensitivity import energy_per_token as energy_per_token
from .sensitivity import energy_slope as energy_slope
from .sensitivity import exchange_rate as exchange_rate
from .sensitivity import investments as investments
from .sensitivity import optimal_gamma_for_energy as optimal_gamma_for_energy
from .sensitivity import overhead_elasticity as overhead_elasticity
from .sensitivity import verify_cost_elasticity as verify_cost_elasticity
from .threshold import Headroom as Headroom
from .threshold import ThresholdPolicy as ThresholdPolicy
from .threshold import headroom_report as headroom_report
from .threshold import stopping_threshold as stopping_threshold
from .threshold import threshold_policy as threshold_policy
