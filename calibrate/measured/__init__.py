"""Records of a pair as the laws of theory: costs, acceptance, and the time of requests."""

from .costs import (
    BETWEEN_RUNS,
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
    "BETWEEN_RUNS",
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
