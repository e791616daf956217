"""Requests of finite length: rounds, percentiles, completion, what a user sees.

`round_length_pmf` turns any acceptance law into the lengths of its rounds; everything about the
number of rounds follows from those. `plan_horizon` and `request_time` add a cost law.
"""

from __future__ import annotations

from .distribution import completion_pmf as completion_pmf
from .distribution import completion_rounds as completion_rounds
from .distribution import lockstep_penalty as lockstep_penalty
from .distribution import lockstep_tokens as lockstep_tokens
from .distribution import longest_round as longest_round
from .distribution import round_length_pmf as round_length_pmf
from .distribution import round_moments as round_moments
from .distribution import rounds_moments as rounds_moments
from .distribution import rounds_pmf as rounds_pmf
from .distribution import rounds_quantile as rounds_quantile
from .horizon import HorizonPlan as HorizonPlan
from .horizon import plan_horizon as plan_horizon
from .horizon import request_time as request_time
from .horizon import time_of_two as time_of_two
from .latency import end_to_end_speedup as end_to_end_speedup
from .latency import first_token_time as first_token_time
from .latency import gap_mean as gap_mean
from .latency import gap_quantile as gap_quantile
from .latency import gap_variance as gap_variance
from .latency import gap_zero_probability as gap_zero_probability
from .latency import request_latency as request_latency
from .latency import request_latency_quantile as request_latency_quantile
from .length import RequestMix as RequestMix
from .length import beta_nodes as beta_nodes
from .length import factorial_moment_2 as factorial_moment_2
from .length import factorial_moment_3 as factorial_moment_3
from .length import length_factor as length_factor
from .length import mixed_rounds_mean as mixed_rounds_mean
from .length import mixed_rounds_variance as mixed_rounds_variance
from .length import overshoot as overshoot
from .length import rounds_mean as rounds_mean
from .length import rounds_quantile_normal as rounds_quantile_normal
from .length import rounds_variance as rounds_variance
