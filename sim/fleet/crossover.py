"""The load at which speculation stops paying: more requests a second make drafting a burden.

With the fleet of `howspec simulate`: served at one rate, and the rate above which drafting loses.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import cache
from math import log, sqrt
from typing import TYPE_CHECKING, Any

import numpy as np

from ...theory.domain import Floats
from ..rounds.simulated import PERCENTILES, TOKENS, Point, estimate
from .fleet import run_fleet, simulate_fleet
from .inputs import Engine, Lengths, Workload, afresh, build_engine, capacity, draw_all
from .steady import LEAST, MOST, WINDOWS, halfwidth, next_size, stretch

if TYPE_CHECKING:
    from ...theory import AcceptanceLaw
    from ..rounds.policy import Policy

_BATCH = 256  # the most sequences together, where nothing is said


@dataclass(frozen=True)
class Crossover:
    """The arrival rate above which plain decoding has the smaller mean latency.

    rate: requests per second, or None where the two do not cross between the rates searched.
    low, high: rates between which the true crossing lies with probability ``confidence``; an end
    that the search did not reach is the end of the search. stationary: every latency compared near
    the crossing came from a stretch in which the fleet had settled. statement: the result in words.
    """

    rate: float | None
    low: float
    high: float
    confidence: float
    searched: tuple[float, float]
    replications: int
    stationary: bool
    statement: str


def find_crossover(
    rng: np.random.Generator,
    *,
    engine: Engine,
    plain: Engine,
    lengths: Lengths,
    prompts: Lengths = 0,
    requests: int | None = None,
    replications: int = 12,
    confidence: float = 0.95,
    rates: tuple[float, float] | None = None,
    tolerance: float = 0.005,
) -> Crossover:
    """Find the arrival rate where ``engine`` stops beating ``plain`` in mean latency.

    Both engines serve the same ``replications`` workloads at every rate (common random numbers).
    Assumes one crossing, speculation paying below it. The rate is found by bisection to a relative
    ``tolerance`` of the sign of the mean difference, the interval by inverting Student's t test of
    that difference over the replications. requests: of a replication; by default so many that both
    latencies are stationary (see `steady`) and known to 5 % where the engines are compared.
    rates: the span searched; by default from 1/1000 of 95 % of the smaller capacity up to that.
    Raises ValueError outside these ranges.
    """
    if replications < 2:
        raise ValueError(f"replications must be an integer >= 2, got {replications}")
    if not 0 < confidence < 1:
        raise ValueError(f"confidence must be in (0, 1), got {confidence}")
    if not 0 < tolerance < 1:
        raise ValueError(f"tolerance must be in (0, 1), got {tolerance}")
    children = rng.spawn(replications)

    @cache
    def drawn(size: int) -> list[Workload]:
        """The workload of every replication; a longer one starts with a shorter."""
        return draw_all(children, requests=size, lengths=lengths, prompts=prompts)

    span = rates or _span(engine, plain, drawn(requests or LEAST))
    if not 0 < span[0] < span[1] < np.inf:
        raise ValueError(f"rates must be 0 < low < high, got {span}")
    found = _Search(engine, plain, drawn, tolerance, requests)
    reach = _critical(confidence, replications)
    rate, low, high = (found.crossing(span, c) for c in (0.0, reach, -reach))
    inside = span[0] < rate < span[1]
    statement = _statement(rate, (low, high), span, confidence=confidence, runs=replications)
    stationary = found.stationary(low / (1.0 + tolerance), high * (1.0 + tolerance))
    if inside and not stationary:
        statement += "; latencies there are not stationary within the runs, so this is a guess"
    return Crossover(
        rate if inside else None, low, high, confidence, span, replications, stationary, statement
    )


@dataclass(frozen=True)
class _Gap:
    """Mean difference of the two latencies at a rate [s], its standard error, both stationary."""

    mean: float
    se: float
    stationary: bool


class _Search:
    """Latency differences by rate, each computed once."""

    def __init__(
        self, engine: Engine, plain: Engine, drawn: Callable[[int], list[Workload]],
        tolerance: float, requests: int | None,
    ) -> None:  # fmt: skip
        self.engines, self.drawn, self.tolerance = (engine, plain), drawn, tolerance
        self.requests = requests
        self.known: dict[float, _Gap] = {}

    def difference(self, rate: float) -> _Gap:
        """Latency of ``engine`` minus ``plain``, on runs long enough for both."""
        if rate not in self.known:
            size = self.requests or LEAST
            while True:
                work = self.drawn(size)
                (fast, first), (plain, second) = (_latencies(work, e, rate) for e in self.engines)
                gaps, steady = fast - plain, first and second
                se = float(np.std(gaps, ddof=1)) / sqrt(gaps.size)
                reached = max(halfwidth(fast), halfwidth(plain))
                # A difference of ten standard errors has its sign, settled or not.
                clear = abs(float(np.mean(gaps))) > 10.0 * se
                if self.requests or size >= MOST or clear or (steady and reached <= 0.05):
                    break
                size = next_size(size, stationary=steady, reached=reached, wanted=0.05)
            self.known[rate] = _Gap(float(np.mean(gaps)), se, steady)
        return self.known[rate]

    def stationary(self, low: float, high: float) -> bool:
        """Whether every difference computed at rates in [low, high] was stationary."""
        return all(gap.stationary for rate, gap in self.known.items() if low <= rate <= high)

    def crossing(self, span: tuple[float, float], reach: float) -> float:
        """The rate where the difference plus ``reach`` standard errors turns positive.

        An end of the span where it has one sign throughout.
        """
        low, high = span

        def loses(rate: float) -> bool:
            gap = self.difference(rate)
            return gap.mean + reach * gap.se > 0

        if loses(low):
            return low
        if not loses(high):
            return high
        while log(high / low) > self.tolerance:
            middle = sqrt(low * high)
            low, high = (low, middle) if loses(middle) else (middle, high)
        return sqrt(low * high)


def _latencies(work: list[Workload], engine: Engine, rate: float) -> tuple[Floats, bool]:
    """Mean latency of every replication [s], and whether they are stationary."""
    parts = max(min(WINDOWS, work[0].requests // 2), 1)
    runs = [run_fleet(w, engine, arrival_rate=rate, warmup=0.0, windows=parts) for w in work]
    part = stretch(runs)
    values = [(r.finish - r.arrival)[r.bounds[part.low] : r.bounds[part.high]].mean() for r in runs]
    return np.array(values), part.stationary


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


def fleet_crossover(rng: np.random.Generator, point: Point, confidence: float) -> Crossover:
    """Where a policy of the batch stops beating plain decoding; see `find_crossover`."""
    drafting, plain = _engines(point)
    return find_crossover(
        rng, engine=drafting, plain=plain, lengths=point.tokens or TOKENS,
        requests=point.requests, confidence=confidence,
    )  # fmt: skip


def served_fleet(rng: np.random.Generator, point: Point, rate: float) -> dict[str, Any]:
    """Latencies and rates of a fleet with a policy of the batch, beside plain decoding."""
    tokens = point.tokens or TOKENS
    fast, plain = (
        simulate_fleet(
            afresh(rng), engine=engine, arrival_rate=rate, lengths=tokens, requests=point.requests
        )
        for engine in _engines(point)
    )
    ratio = plain.samples["latency_s_mean"] / fast.samples["latency_s_mean"]
    answer: dict[str, Any] = {
        "tokens_per_round": vars(fast.estimates["tokens_per_round"]),
        "speedup": estimate(ratio.mean(), ratio.std(ddof=1) / np.sqrt(ratio.size)),
    }
    for what in ("latency_s", "ttft_s", "queue_s"):
        names = ("mean", *(f"p{p}" for p in PERCENTILES))
        answer[what] = {n: fast.estimates[f"{what}_{n}"].mean for n in names}
        answer[f"{what}_se"] = {n: fast.estimates[f"{what}_{n}"].se for n in names}
    for name in ("tokens_per_s", "requests_per_s", "batch", "utilisation"):
        answer[name] = vars(fast.estimates[name])
    notes = [fast.note, plain.note and f"plain decoding is {plain.note}"]
    return answer | {
        "load": fast.load,
        "saturated": fast.saturated,
        "plain_saturated": plain.saturated,
        "notes": [note for note in notes if note],
        "request_tokens": tokens,
        "requests": fast.requests * fast.replications,
        "rounds": fast.rounds,
    }


def _engines(point: Point) -> tuple[Engine, Engine]:
    """With the policy of the batch, and plain."""
    most, kinds = point.batch or _BATCH, _kinds(point.drawn)
    drafting, plain = (
        build_engine(kinds, point.cost, gamma=g, max_batch=most)
        for g in (_schedule(point.rule, most), 0)
    )
    return drafting, plain


def _kinds(law: AcceptanceLaw, count: int = 64) -> list[AcceptanceLaw]:
    """The kinds of requests of a law: equally likely parts of its requests where these differ."""
    from ...theory import DepthAcceptance
    from ...theory.acceptance import BetaRequestAcceptance

    if not isinstance(law, BetaRequestAcceptance):
        return [law]
    from scipy.stats import beta

    shapes = (np.asarray(x, dtype=float) for x in (law.shape_accept, law.shape_reject))
    rates = np.asarray(beta.ppf((np.arange(count) + 0.5) / count, *shapes))
    return [DepthAcceptance(alpha) for alpha in rates.tolist()]


def _schedule(rule: Policy, batch: int) -> list[int]:
    """Gamma at batch 1..batch of a policy that looks at nothing but the batch."""
    if not rule.name.startswith(("constant", "batch table")):
        raise ValueError(f"under load gamma may follow the batch only, got {rule.name!r}")
    return [rule.plan(-1, 0.0, b, 0, rule.params, []) for b in range(1, batch + 1)]
