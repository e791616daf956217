"""Records of a pair as the laws of theory: costs, acceptance, and the time of requests."""

from .acceptance import Rounds, rounds_of
from .costs import MeasuredCost, measured_cost, requests_s
from .passes import operation_s, pass_law
from .rounds import TimedRounds, timed_rounds
from .sampled import BETWEEN_RUNS, SampledCost, sampled

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
