"""One simulated setting: what the options of `howspec simulate` ask for, from parsing to result."""

from __future__ import annotations

import warnings
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from ..calibrate.doors import Deployment, resolve
from ..calibrate.doors import costs as known_costs
from ..calibrate.files import utf8
from ..calibrate.known import KnownCosts
from .known import Sources
from .laws import both_laws
from .rounds.simulated import (
    BEST,
    LEARNERS,
    TOKENS,
    Point,
    best_gamma,
    endless,
    learnt,
    named_policy,
    served_requests,
)

if TYPE_CHECKING:
    from ..theory import CostLaw
    from .fleet.crossover import Crossover
    from .rounds.policy import Policy
    from .rounds.traces import Trace

# Former names of the two doors, which grids may still use.
_DOORS = {"alpha": "acceptance", "law": "acceptance", "cost_ratio": "costs"}
_UNCROSSED = ("trace", "drafter", "arrival_rate", "rule", "width", "vocabulary", "replay", "match")
_MOST_TOKENS = 400_000_000  # kept in memory, two bytes each
_RANGES = {
    "gamma": (0, 10**4), "tokens": (1, 10**7), "requests": (1, 10**7), "batch": (1, 10**6),
    "rounds": (64, 10**12),
}  # fmt: skip


def simulate_point(
    rng: np.random.Generator,
    *,
    acceptance: float | str | None = None,
    costs: float | str | None = None,
    trace: str | None = None,
    drafter: str | None = None,
    gamma: int | None = None,
    policy: str | None = None,
    tokens: int | None = None,
    requests: int | None = None,
    batch: int | None = None,
    arrival_rate: float | None = None,
    rounds: int,
    rule: str | None = None,
    width: int | None = None,
    vocabulary: int | None = None,
    replay: str | None = None,
    match: float | None = None,
    **deployment: Any,
) -> dict[str, Any]:
    """Simulate one setting; the arguments are those of `howspec.simulate`, as JSON knows them.

    acceptance, costs: what the two doors take as a number or a text; where they hold draws, the
    law in the middle is simulated. deployment: fields of `howspec.calibrate.doors.Deployment`.
    Returns tokens_per_round and speedup with their standard errors, rounds, and latencies where the
    setting has requests. Raises ValueError for options that do not fit together.
    """
    if replay is not None:
        _alone("a replay has times and requests of its own", acceptance=acceptance, costs=costs,
               tokens=tokens, requests=requests, arrival_rate=arrival_rate, rule=rule)  # fmt: skip
        return _replay(rng, trace, drafter, gamma, policy, batch or 1, replay, match)
    if match is not None:
        raise ValueError(f"match goes with a replay, got {match:g} without one")
    chosen = _rule(gamma, policy)
    _within(gamma=gamma, tokens=tokens, requests=requests, batch=batch, rounds=rounds)
    at = Deployment(**deployment, batch=float(batch or 1))
    if rule is not None:
        _alone("a rule of verification has endless requests, one gamma", trace=trace, policy=policy,
               tokens=tokens, requests=requests, arrival_rate=arrival_rate)  # fmt: skip
        from .verify.simulated import rule_rounds

        both = both_laws(at, Sources(acceptance, costs=costs), gamma_max=max(chosen.gamma_max, 1))
        return rule_rounds(
            rng, rule, both.acceptance.single, _at_context(both.costs, at), gamma=gamma or 0,
            width=width, vocabulary=vocabulary, rounds=rounds, batch=batch or 1,
        )  # fmt: skip
    for name, value in (("width", width), ("vocabulary", vocabulary)):
        if value is not None:
            raise ValueError(f"{name} goes with a rule of verification, got {value} without one")
    if trace is None:
        if drafter is not None:
            raise ValueError(f"drafter names a column of a trace, got {drafter!r} without one")
        found = both_laws(at, Sources(acceptance, costs=costs), gamma_max=max(chosen.gamma_max, 1))
        recorded, law, known = None, found.acceptance.single, found.costs
    else:
        if acceptance is not None:
            raise ValueError("acceptance comes from a trace or from a source, got both")
        recorded, law = _recorded(trace, drafter, tokens, requests, arrival_rate), None
        known = known_costs(costs, rng=np.random.default_rng(0), pair=resolve(at))
    cost = _at_context(known, at)
    if chosen.name == "oracle":
        from .rounds.policies import cost_oracle

        chosen = cost_oracle(cost, chosen.gamma_max, batch=batch or 1)
    point = Point(law, recorded, cost, known.seconds, chosen, tokens, requests, batch)
    kind = "" if policy is None else policy.partition(":")[0]
    if kind == BEST:
        if tokens is not None or requests is not None or arrival_rate is not None:
            raise ValueError(
                "policy best is of endless requests, or of a trace: no tokens, no load"
            )
        return best_gamma(rng, point, rounds)
    if policy is not None and kind in LEARNERS:
        if arrival_rate is not None:
            raise ValueError(f"under load gamma may follow the batch only, got {policy!r}")
        return learnt(rng, point, policy)
    if arrival_rate is not None:
        if not known.seconds:
            raise ValueError('arrival_rate is per second: give costs in seconds ("unit": "s")')
        from .fleet.crossover import served_fleet

        return served_fleet(rng, point, arrival_rate)
    if recorded is not None or tokens is not None or requests is not None or policy is not None:
        return served_requests(rng, point)
    answer = endless(rng, point, rounds)
    if known.seconds:
        served = served_requests(rng, point)
        answer |= {k: served[k] for k in ("latency_s", "request_tokens")}
    return answer


def simulate_grid(
    axes: Mapping[str, Sequence[Any]], setting: Mapping[str, Any], *, seed: int, **running: Any
) -> tuple[list[dict[str, Any]], tuple[str, ...]]:
    """(every combination of the values of the axes, simulated, with its own ``setting``; remarks).

    setting: the other arguments of `simulate_point`; running: backend, address, workers and resume
    of `sweep`. Raises ValueError where both give an argument, and as these two do.
    """
    from .parallel import grid, sweep

    points = grid(**axes)
    twice = sorted({_DOORS.get(name, name) for name in axes} & set(setting) - {"rounds"})
    if twice:
        raise ValueError(f"the grid and an argument both give {twice[0]}")
    settings = [{**setting, **{_DOORS.get(k, k): v for k, v in p.items()}} for p in points]
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        results = sweep(simulate_point, settings, seed=seed, **running)
    found = [{"setting": p, **r} for p, r in zip(points, results, strict=True)]
    notes = [note for result in results for note in result.get("notes", ())]
    remarks = [str(w.message) for w in caught]  # such as a line that a killed run left
    return found, (*remarks, *dict.fromkeys(notes))


def fleet_crossing(
    rng: np.random.Generator,
    *,
    acceptance: float | str | None = None,
    costs: float | str | None = None,
    gamma: int | None = None,
    policy: str | None = None,
    tokens: int | None = None,
    requests: int | None = None,
    batch: int | None = None,
    confidence: float = 0.9,
    **more: Any,
) -> Crossover:
    """The arrival rate above which a fleet does better without speculation; see `find_crossover`.

    Arguments as of `simulate_point`. Raises ValueError for those that have no place here, and for
    costs that are not in seconds.
    """
    from .fleet.crossover import fleet_crossover

    for name in _UNCROSSED:
        if name in more:
            raise ValueError(f"a crossing is searched over rates of a fleet: no {name} with it")
    more.pop("rounds", None)
    chosen = _rule(gamma, policy)
    _within(gamma=gamma, tokens=tokens, requests=requests, batch=batch, rounds=None)
    at = Deployment(**more, batch=float(batch or 1))
    found = both_laws(at, Sources(acceptance, costs=costs), gamma_max=max(chosen.gamma_max, 1))
    if not found.costs.seconds:
        raise ValueError('a rate is per second: give costs in seconds ("unit": "s")')
    cost, law = _at_context(found.costs, at), found.acceptance.single
    point = Point(law, None, cost, True, chosen, tokens, requests, batch)
    return fleet_crossover(rng, point, confidence)


def _replay(
    rng: np.random.Generator,
    trace: str | None,
    drafter: str | None,
    gamma: int | None,
    policy: str | None,
    batch: int,
    times: str,
    match: float | None,
) -> dict[str, Any]:
    from .rounds.replay import replayed, step_times

    if trace is None:
        raise ValueError("trace must be a published trace of rounds for a replay, got none")
    if (gamma is None) == (policy is None) or policy not in (None, "oracle"):
        raise ValueError(f"a replay takes a gamma or the policy oracle, got {policy or gamma}")
    if gamma == 0:
        raise ValueError("gamma must be a whole number >= 1 in a replay, got 0")
    known = step_times(times)
    with utf8(trace):
        from .rounds.traces import load_trace

        recorded = load_trace(trace, drafter or "eagle")
    return replayed(rng, recorded, known, lookahead=gamma, batch=batch, match=match)


def _alone(why: str, **given: object) -> None:
    """Raise ValueError for an argument that does not go with another."""
    odd = [name for name, value in given.items() if value is not None]
    if odd:
        raise ValueError(f"{why}: {' and '.join(odd)} cannot be given with it")


def _at_context(known: KnownCosts, at: Deployment) -> CostLaw:
    """The single law of the costs; named pairs at the context asked for, which grows no further."""
    law = known.single
    return law if at.target is None and at.context is None else AtContext(law, at.cached)


@dataclass(frozen=True)
class AtContext:
    """A cost law at one context, whatever the simulation counts."""

    law: CostLaw
    context: float

    @property
    def shape(self) -> tuple[int, ...]:
        """()."""
        return self.law.shape

    def round_time(self, gamma: int, *, batch: float = 1, context: float = 0) -> Any:
        """Times of rounds at 0..gamma at the law's own context, (gamma + 1,)."""
        return self.law.round_time(gamma, batch=batch, context=self.context)


def _within(**given: int | None) -> None:
    """Raise ValueError for counts outside what can be simulated."""
    for name, (low, high) in _RANGES.items():
        value = given[name]
        if value is not None and not low <= value <= high:
            raise ValueError(f"{name} must be an integer in [{low}, {high:g}], got {value}")
    requests, tokens = given["requests"], given["tokens"]
    if (requests or 1) * (tokens or TOKENS) > _MOST_TOKENS:
        raise ValueError(
            f"requests times tokens must be in [1, {_MOST_TOKENS:g}], "
            f"got {requests or 1} times {tokens or TOKENS}"
        )


def _recorded(
    trace: str,
    drafter: str | None,
    tokens: int | None,
    requests: int | None,
    arrival_rate: float | None,
) -> Trace:
    given = {"tokens": tokens, "requests": requests, "arrival_rate": arrival_rate}
    for name, value in given.items():
        if value is not None:
            raise ValueError(f"a trace has its own requests, so {name} cannot be given with it")
    from .rounds.traces import load_trace

    with utf8(trace):
        return load_trace(trace, drafter or "eagle")


def _rule(gamma: int | None, policy: str | None) -> Policy:
    if (gamma is None) == (policy is None):
        raise ValueError(f"give one of gamma and policy, got {'none' if gamma is None else 'both'}")
    if policy is not None:
        return named_policy(policy)
    from .rounds.policies import constant

    return constant(gamma or 0)
