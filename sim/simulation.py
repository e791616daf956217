"""One simulated setting: what the options of `howspec simulate` ask for, from parsing to result."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from ..calibrate.doors import Deployment, resolve
from ..calibrate.doors import costs as known_costs
from ..calibrate.known import KnownCosts
from ..calibrate.reading import utf8
from .known import Sources, both_laws
from .rounds.named import BEST, named_policy, searches
from .rounds.simulated import PERCENTILES, best_gamma, estimate, learnt, served_requests

if TYPE_CHECKING:
    from ..theory import AcceptanceLaw, CostLaw
    from .rounds.policies import Policy
    from .rounds.traces import Trace

_TOKENS = 256  # of a request, where latencies are asked for without a length
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
    rounds: int = 1_000_000,
    **deployment: Any,
) -> dict[str, Any]:
    """Simulate one setting; the arguments are those of `howspec.simulate`, as JSON knows them.

    acceptance, costs: what the two doors take as a number or a text; where they hold draws, the
    law in the middle is simulated. deployment: fields of `howspec.calibrate.doors.Deployment`.
    Returns tokens_per_round and speedup with their standard errors, rounds, and latencies where the
    setting has requests. Raises ValueError for options that do not fit together.
    """
    rule = _rule(gamma, policy)
    _within(gamma=gamma, tokens=tokens, requests=requests, batch=batch, rounds=rounds)
    at = Deployment(**deployment, batch=float(batch or 1))
    recorded: Trace | None = None
    law: AcceptanceLaw | None = None
    if trace is None:
        if drafter is not None:
            raise ValueError(f"drafter names a column of a trace, got {drafter!r} without one")
        found = both_laws(at, Sources(acceptance, costs=costs), gamma_max=max(rule.gamma_max, 1))
        law, known = found.acceptance.single, found.costs
    else:
        if acceptance is not None:
            raise ValueError("acceptance comes from a trace or from a source, got both")
        recorded = _recorded(trace, drafter, tokens, requests, arrival_rate)
        known = known_costs(costs, rng=np.random.default_rng(0), pair=resolve(at))
    cost, seconds = _at_context(known, at), known.seconds
    if policy is not None and policy.partition(":")[0] == BEST:
        if tokens is not None or requests is not None or arrival_rate is not None:
            raise ValueError(
                "policy best is of endless requests, or of a trace: no tokens, no load"
            )
        return best_gamma(rng, law, recorded, cost, rule.gamma_max, rounds, batch or 1)
    if rule.name == "oracle":
        from .rounds.policies import cost_oracle

        rule = cost_oracle(cost, rule.gamma_max, batch=batch or 1)
    if policy is not None and searches(policy):
        if arrival_rate is not None:
            raise ValueError(f"under load gamma may follow the batch only, got {policy!r}")
        return learnt(
            rng, law, recorded, cost, rule, policy, tokens or _TOKENS, requests, batch or 1
        )
    if arrival_rate is not None:
        assert law is not None
        if not seconds:
            raise ValueError('arrival_rate is per second: give costs in seconds ("unit": "s")')
        return _fleet(rng, law, cost, rule, arrival_rate, tokens or _TOKENS, requests, batch or 256)
    if recorded is None and tokens is None and policy is None and requests is None:
        assert law is not None
        assert gamma is not None
        answer = _endless(rng, law, cost, gamma, rounds, batch or 1)
        if seconds:
            served = served_requests(rng, law, None, cost, rule, _TOKENS, None, batch or 1, True)
            answer |= {k: served[k] for k in ("latency_s", "request_tokens")}
        return answer
    return served_requests(
        rng, law, recorded, cost, rule, tokens or _TOKENS, requests, batch or 1, seconds
    )


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
    if (requests or 1) * (tokens or _TOKENS) > _MOST_TOKENS:
        raise ValueError(
            f"requests times tokens must be in [1, {_MOST_TOKENS:g}], "
            f"got {requests or 1} times {tokens or _TOKENS}"
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


def _endless(
    rng: np.random.Generator,
    law: AcceptanceLaw,
    cost: CostLaw,
    gamma: int,
    rounds: int,
    batch: int,
) -> dict[str, Any]:
    from .rounds.laws import simulate_tokens

    found = simulate_tokens(rng, law, gamma=gamma, rounds=rounds)
    times = cost.round_time(gamma, batch=batch)
    ratio = float(times[0] / times[gamma])
    return {
        "tokens_per_round": estimate(found.mean, found.se),
        "speedup": estimate(found.mean * ratio, found.se * ratio),
        "rounds": rounds - rounds % 64,
    }


def _fleet(
    rng: np.random.Generator,
    law: AcceptanceLaw,
    cost: CostLaw,
    rule: Policy,
    rate: float,
    tokens: int,
    requests: int | None,
    batch: int,
) -> dict[str, Any]:
    import numpy as np

    from .fleet.engine import build_engine
    from .fleet.fleet import simulate_fleet
    from .fleet.workload import afresh

    runs = {}
    for name, gamma in (("fast", _schedule(rule, batch)), ("plain", 0)):
        engine = build_engine(_kinds(law), cost, gamma=gamma, max_batch=batch)
        runs[name] = simulate_fleet(
            afresh(rng), engine=engine, arrival_rate=rate, lengths=tokens,
            requests=requests,
        )  # fmt: skip
    fast, plain = runs["fast"], runs["plain"]
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


def _kinds(law: AcceptanceLaw, count: int = 64) -> list[AcceptanceLaw]:
    """The kinds of requests of a law: equally likely parts of its requests where these differ."""
    from ..theory import DepthAcceptance
    from ..theory.acceptance import BetaRequestAcceptance

    if not isinstance(law, BetaRequestAcceptance):
        return [law]
    import numpy as np
    from scipy.stats import beta

    shapes = (np.asarray(x, dtype=float) for x in (law.shape_accept, law.shape_reject))
    rates = np.asarray(beta.ppf((np.arange(count) + 0.5) / count, *shapes))
    return [DepthAcceptance(alpha) for alpha in rates.tolist()]


def _schedule(rule: Policy, batch: int) -> list[int]:
    """Gamma at batch 1..batch of a policy that looks at nothing but the batch."""
    if not rule.name.startswith(("constant", "batch table")):
        raise ValueError(f"under load gamma may follow the batch only, got {rule.name!r}")
    return [rule.plan(-1, 0.0, b, 0, rule.params, []) for b in range(1, batch + 1)]
