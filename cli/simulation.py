"""One simulated setting: what the options of `howspec simulate` ask for, from parsing to result."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from .checks import utf8
from .laws import acceptance_law, cost_law
from .laws import policy as named_policy

if TYPE_CHECKING:
    import numpy as np

    from ..sim.policies import Policy
    from ..sim.requests import Served
    from ..sim.traces import Trace
    from ..theory import AcceptanceLaw, CostLaw

PERCENTILES = (50, 90, 95, 99)
_TOKENS = 256  # of a request, where latencies are asked for without a length
_MOST_TOKENS = 400_000_000  # kept in memory, two bytes each
_RANGES = {
    "gamma": (0, 10**4), "tokens": (1, 10**7), "requests": (1, 10**7), "batch": (1, 10**6),
    "rounds": (64, 10**12),
}  # fmt: skip
_BUDGET = 2_000_000  # tokens simulated where the number of requests is not given


def simulate_point(
    rng: np.random.Generator,
    *,
    alpha: float | None = None,
    law: str | None = None,
    trace: str | None = None,
    drafter: str | None = None,
    gamma: int | None = None,
    policy: str | None = None,
    cost_ratio: float | None = None,
    costs: str | None = None,
    tokens: int | None = None,
    requests: int | None = None,
    batch: int | None = None,
    arrival_rate: float | None = None,
    rounds: int = 1_000_000,
) -> dict[str, Any]:
    """Simulate one setting; the arguments are the options of `howspec simulate`.

    Returns tokens_per_round and speedup with their standard errors, rounds, and latencies where the
    setting has requests. Raises ValueError for options that do not fit together.
    """
    acceptance, recorded = _source(alpha, law, trace, drafter, tokens, requests, arrival_rate)
    rule = _rule(gamma, policy)
    cost, seconds = _costs(cost_ratio, costs)
    if rule.name == "oracle":
        from ..sim.policies import cost_oracle

        rule = cost_oracle(cost, rule.gamma_max, batch=batch or 1)
    _within(gamma=gamma, tokens=tokens, requests=requests, batch=batch, rounds=rounds)
    if arrival_rate is not None:
        assert acceptance is not None
        if not seconds:
            raise ValueError('--arrival-rate is per second: give --costs in seconds ("unit": "s")')
        return _fleet(
            rng, acceptance, cost, rule, arrival_rate, tokens or _TOKENS, requests, batch or 256
        )
    if recorded is None and tokens is None and policy is None and requests is None:
        assert acceptance is not None
        assert gamma is not None
        answer = _endless(rng, acceptance, cost, gamma, rounds, batch or 1)
        if seconds:
            served = _requests(rng, acceptance, None, cost, rule, _TOKENS, None, batch or 1, True)
            answer |= {k: served[k] for k in ("latency_s", "request_tokens")}
        return answer
    return _requests(
        rng, acceptance, recorded, cost, rule, tokens or _TOKENS, requests, batch or 1, seconds
    )


def _one_of(**given: Any) -> None:
    present = [f"--{name.replace('_', '-')}" for name, value in given.items() if value is not None]
    names = " or ".join(f"--{name.replace('_', '-')}" for name in given)
    if len(present) != 1:
        raise ValueError(f"give one of {names}, got {' and '.join(present) or 'none'}")


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


def _source(
    alpha: float | None,
    law: str | None,
    trace: str | None,
    drafter: str | None,
    tokens: int | None,
    requests: int | None,
    arrival_rate: float | None,
) -> tuple[AcceptanceLaw | None, Trace | None]:
    _one_of(alpha=alpha, law=law, trace=trace)
    if trace is None:
        from ..theory import DepthAcceptance

        if drafter is not None:
            raise ValueError(f"--drafter names a column of a --trace, got {drafter!r} without one")
        return (acceptance_law(law) if law is not None else DepthAcceptance(alpha or 0.0)), None
    for name, value in (
        ("tokens", tokens),
        ("requests", requests),
        ("arrival-rate", arrival_rate),
    ):
        if value is not None:
            raise ValueError(f"a trace has its own requests, so --{name} cannot be given with it")
    from ..sim.traces import load_trace

    with utf8(trace):
        return None, load_trace(trace, drafter or "eagle")


def _rule(gamma: int | None, policy: str | None) -> Policy:
    _one_of(gamma=gamma, policy=policy)
    if policy is not None:
        return named_policy(policy)
    from ..sim.policies import constant

    return constant(gamma or 0)


def _costs(cost_ratio: float | None, costs: str | None) -> tuple[CostLaw, bool]:
    _one_of(cost_ratio=cost_ratio, costs=costs)
    if costs is not None:
        return cost_law(costs)
    from ..theory import AffineCost

    return AffineCost(cost_ratio or 0.0), False


def _estimate(mean: float, se: float) -> dict[str, float]:
    return {"mean": float(mean), "se": float(se)}


def _endless(
    rng: np.random.Generator,
    law: AcceptanceLaw,
    cost: CostLaw,
    gamma: int,
    rounds: int,
    batch: int,
) -> dict[str, Any]:
    from ..sim.laws import simulate_tokens

    found = simulate_tokens(rng, law, gamma=gamma, rounds=rounds)
    times = cost.round_time(gamma, batch=batch)
    ratio = float(times[0] / times[gamma])
    return {
        "tokens_per_round": _estimate(found.mean, found.se),
        "speedup": _estimate(found.mean * ratio, found.se * ratio),
        "rounds": rounds - rounds % 64,
    }


def _requests(
    rng: np.random.Generator,
    law: AcceptanceLaw | None,
    trace: Trace | None,
    cost: CostLaw,
    rule: Policy,
    tokens: int,
    requests: int | None,
    batch: int,
    seconds: bool,
) -> dict[str, Any]:
    import numpy as np

    from ..sim.estimate import ratio_estimate
    from ..sim.policies import constant
    from ..sim.requests import serve_batches

    length: int | None = None
    if trace is None:
        assert law is not None
        count = requests or max(min(_BUDGET // tokens, 4000), 8 * batch)
        trace, length = _drawn(rng, law, rule, tokens, count), tokens
    if trace.requests < 2 * batch:
        raise ValueError(
            f"a standard error needs two batches or more: {trace.requests} requests in batches "
            f"of {batch}"
        )
    fast = serve_batches(trace, cost, rule, batch=batch)
    plain = serve_batches(trace, cost, constant(0), batch=batch)

    def whole(values: Any) -> Any:  # the requests of a batch share their rounds
        return np.add.reduceat(values, np.arange(0, trace.requests, batch))

    per_round = ratio_estimate(whole(fast.accepted + fast.rounds), whole(fast.rounds))
    speedup = ratio_estimate(whole(plain.latency), whole(fast.latency))
    return {
        "tokens_per_round": _estimate(per_round.mean, per_round.se),
        "speedup": _estimate(speedup.mean, speedup.se),
        "latency_s" if seconds else "latency_steps": _spread(fast),
        "request_tokens": length,
        "requests": trace.requests,
        "rounds": int(fast.rounds.sum()),
    }


def _drawn(
    rng: np.random.Generator, law: AcceptanceLaw, rule: Policy, tokens: int, requests: int
) -> Trace:
    """Requests drawn from a law, each with consecutive rounds of its own."""
    import numpy as np

    from ..sim.traces import Trace
    from ..theory import DepthAcceptance
    from ..theory.acceptance import BetaRequestAcceptance, GammaDependentLaw

    laws = [law] * requests
    if isinstance(law, BetaRequestAcceptance):
        own = rng.beta(np.asarray(law.shape_accept), np.asarray(law.shape_reject), requests)
        laws = [DepthAcceptance(alpha) for alpha in own.tolist()]
    elif isinstance(law, GammaDependentLaw) and not rule.name.startswith("constant"):
        raise ValueError(
            f"rounds of this law depend on gamma, so --policy {rule.name!r} cannot run"
        )
    drawn = [each.draw(rng, gamma=rule.gamma_max, rounds=tokens) for each in laws]
    return Trace(
        np.arange(requests + 1) * tokens,
        np.concatenate(drawn).astype(np.int16),
        np.zeros(requests, np.int64),
        by_round=True,
    )


def _spread(served: Served) -> dict[str, float]:
    values = served.latency_quantiles([p / 100 for p in PERCENTILES])
    named = {f"p{p}": float(v) for p, v in zip(PERCENTILES, values, strict=True)}
    return {"mean": float(served.latency.mean()), **named}


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
    import copy

    import numpy as np

    from ..sim.fleet import simulate_fleet
    from ..sim.fleet_engine import build_engine

    runs = {}
    for name, gamma in (("fast", _schedule(rule, batch)), ("plain", 0)):
        engine = build_engine(_kinds(law), cost, gamma=gamma, max_batch=batch)
        runs[name] = simulate_fleet(
            copy.deepcopy(rng), engine=engine, arrival_rate=rate, lengths=tokens,
            requests=requests or 4000,
        )  # fmt: skip
    fast, plain = runs["fast"], runs["plain"]
    ratio = plain.samples["latency_s_mean"] / fast.samples["latency_s_mean"]
    answer: dict[str, Any] = {
        "tokens_per_round": vars(fast.estimates["tokens_per_round"]),
        "speedup": _estimate(ratio.mean(), ratio.std(ddof=1) / np.sqrt(ratio.size)),
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
