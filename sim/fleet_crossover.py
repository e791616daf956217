"""The load at which speculation stops paying: more requests a second make drafting a burden."""

from __future__ import annotations

from dataclasses import dataclass
from math import log, sqrt

import numpy as np

from .fleet import run_fleet
from .fleet_engine import Engine, capacity
from .fleet_workload import Lengths, Workload, draw_workload


@dataclass(frozen=True)
class Crossover:
    """The arrival rate above which plain decoding has the smaller mean latency.

    rate: requests per second, or None where the two do not cross between the rates searched.
    low, high: rates between which the true crossing lies with probability ``confidence``; an end
    that the search did not reach is the end of the search. statement: the result in words.
    """

    rate: float | None
    low: float
    high: float
    confidence: float
    searched: tuple[float, float]
    replications: int
    statement: str


def find_crossover(
    rng: np.random.Generator,
    *,
    engine: Engine,
    plain: Engine,
    lengths: Lengths,
    prompts: Lengths = 0,
    requests: int = 2000,
    replications: int = 12,
    confidence: float = 0.95,
    rates: tuple[float, float] | None = None,
    tolerance: float = 0.005,
) -> Crossover:
    """Find the arrival rate where ``engine`` stops beating ``plain`` in mean latency.

    Both engines serve the same ``replications`` workloads at every rate (common random numbers).
    Assumes one crossing, speculation paying below it. The rate is found by bisection to a relative
    ``tolerance`` of the sign of the mean difference, the interval by inverting Student's t test of
    that difference over the replications. rates: the span searched; by default from 1/1000 of
    95 % of the smaller capacity up to that. Raises ValueError outside these ranges.
    """
    if replications < 2:
        raise ValueError(f"replications must be an integer >= 2, got {replications}")
    if not 0 < confidence < 1:
        raise ValueError(f"confidence must be in (0, 1), got {confidence}")
    if not 0 < tolerance < 1:
        raise ValueError(f"tolerance must be in (0, 1), got {tolerance}")
    drawn = [
        draw_workload(child, requests=requests, lengths=lengths, prompts=prompts)
        for child in rng.spawn(replications)
    ]
    span = rates or _span(engine, plain, drawn)
    if not 0 < span[0] < span[1] < np.inf:
        raise ValueError(f"rates must be 0 < low < high, got {span}")
    found = _Search(engine, plain, drawn, tolerance)
    reach = _critical(confidence, replications)
    rate, low, high = (found.crossing(span, c) for c in (0.0, reach, -reach))
    inside = span[0] < rate < span[1]
    statement = _statement(rate, (low, high), span, confidence=confidence, runs=replications)
    return Crossover(rate if inside else None, low, high, confidence, span, replications, statement)


class _Search:
    """Latency differences by rate, each computed once."""

    def __init__(
        self, engine: Engine, plain: Engine, drawn: list[Workload], tolerance: float
    ) -> None:
        self.engine, self.plain, self.drawn, self.tolerance = engine, plain, drawn, tolerance
        self.known: dict[float, tuple[float, float]] = {}

    def difference(self, rate: float) -> tuple[float, float]:
        """Mean latency of ``engine`` minus ``plain`` [s] and its standard error."""
        if rate not in self.known:
            gaps = [
                _latency(w, self.engine, rate) - _latency(w, self.plain, rate) for w in self.drawn
            ]
            self.known[rate] = (
                float(np.mean(gaps)),
                float(np.std(gaps, ddof=1)) / sqrt(len(gaps)),
            )
        return self.known[rate]

    def crossing(self, span: tuple[float, float], reach: float) -> float:
        """The rate where the difference plus ``reach`` standard errors turns positive.

        An end of the span where it has one sign throughout.
        """
        low, high = span

        def loses(rate: float) -> bool:
            mean, se = self.difference(rate)
            return mean + reach * se > 0

        if loses(low):
            return low
        if not loses(high):
            return high
        while log(high / low) > self.tolerance:
            middle = sqrt(low * high)
            low, high = (low, middle) if loses(middle) else (middle, high)
        return sqrt(low * high)


def _latency(workload: Workload, engine: Engine, rate: float) -> float:
    run = run_fleet(workload, engine, arrival_rate=rate, windows=1)
    return float((run.finish - run.arrival)[run.bounds[0] :].mean())


def _span(engine: Engine, plain: Engine, drawn: list[Workload]) -> tuple[float, float]:
    lengths = np.concatenate([w.lengths for w in drawn])
    prompts = np.concatenate([w.prompts for w in drawn])
    high = 0.95 * min(capacity(e, lengths, prompts=prompts) for e in (engine, plain))
    return high / 1000, high


def _critical(confidence: float, replications: int) -> float:
    from scipy.stats import t

    return float(t.ppf(0.5 + confidence / 2, replications - 1))


def _statement(
    rate: float,
    interval: tuple[float, float],
    span: tuple[float, float],
    *,
    confidence: float,
    runs: int,
) -> str:
    low, high = interval
    basis = f"{100 * confidence:g} % confidence, {runs} paired replications"
    if rate <= span[0]:
        sure = high <= span[0]
        return (
            f"speculation does not pay even at {span[0]:.4g} requests/s"
            f" ({basis if sure else 'not significant'})"
        )
    if rate >= span[1]:
        sure = low >= span[1]
        return (
            f"speculation pays up to {span[1]:.4g} requests/s, the highest rate searched"
            f" ({basis if sure else 'not significant at the top'})"
        )
    return (
        f"speculation pays below {rate:.4g} requests/s, between {low:.4g} and {high:.4g} ({basis})"
    )
