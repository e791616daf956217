"""Records of a pair as the laws of theory: costs, acceptance, and the time of requests."""

from .costs import (
    MeasuredCost,
    SampledCost,
    measured_cost,
    operation_s,
    pass_law,
    requests_s,
    sampled,
)
from .rounds import Rounds, TimedRounds, rounds_of, timed_rounds

__all__ = [
    "MeasuredCost",
    "Rounds",
    "SampledCost",
    "TimedRounds",
    "measured_cost",
    "operation_s",
    "pass_law",
    "requests_s",
    "rounds_of",
    "sampled",
    "timed_rounds",
]
