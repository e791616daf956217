"""Requests of finite length: rounds, percentiles, completion, what a user sees.

`round_length_pmf` turns any acceptance law into the lengths of its rounds; everything about the
number of rounds follows from those. `plan_horizon` and `request_time` add a cost law.
"""

from __future__ import annotations

from .completion import (
    completion_pmf,
    completion_rounds,
    lockstep_penalty,
    lockstep_tokens,
    longest_round,
)
from .distribution import (
    round_length_pmf,
    round_moments,
    rounds_moments,
    rounds_pmf,
    rounds_quantile,
)
from .heterogeneity import RequestMix, beta_nodes, mixed_rounds_mean, mixed_rounds_variance
from .horizon import HorizonPlan, plan_horizon, request_time, time_of_two
from .latency import (
    end_to_end_speedup,
    first_token_time,
    gap_mean,
    gap_quantile,
    gap_variance,
    gap_zero_probability,
    request_latency_quantile,
)
from .length import (
    factorial_moment_2,
    factorial_moment_3,
    length_factor,
    overshoot,
    rounds_mean,
    rounds_quantile_normal,
    rounds_variance,
)
from .under_load import request_latency

__all__ = [
    "HorizonPlan",
    "RequestMix",
    "beta_nodes",
    "completion_pmf",
    "completion_rounds",
    "end_to_end_speedup",
    "factorial_moment_2",
    "factorial_moment_3",
    "first_token_time",
    "gap_mean",
    "gap_quantile",
    "gap_variance",
    "gap_zero_probability",
    "length_factor",
    "lockstep_penalty",
    "lockstep_tokens",
    "longest_round",
    "mixed_rounds_mean",
    "mixed_rounds_variance",
    "overshoot",
    "plan_horizon",
    "request_latency",
    "request_latency_quantile",
    "request_time",
    "round_length_pmf",
    "round_moments",
    "rounds_mean",
    "rounds_moments",
    "rounds_pmf",
    "rounds_quantile",
    "rounds_quantile_normal",
    "rounds_variance",
    "time_of_two",
]
