"""Requests of `howspec simulate`: served by a policy or a rule that learns, or searched."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from .estimate import ratio_estimate
from .named import learner

if TYPE_CHECKING:
    from ...theory import AcceptanceLaw, CostLaw
    from .policies import Policy
    from .requests import Served
    from .traces import Trace

PERCENTILES = (50, 90, 95, 99)
_BUDGET = 2_000_000  # tokens simulated where the number of requests is not given


def estimate(mean: float, se: float) -> dict[str, float]:
    return {"mean": float(mean), "se": float(se)}


def served_requests(
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
    from .policies import constant
    from .requests import serve_batches

    length = None if trace is not None else tokens
    trace = _served(rng, law, trace, rule, tokens, requests, batch, _BUDGET)
    fast = serve_batches(trace, cost, rule, batch=batch)
    plain = serve_batches(trace, cost, constant(0), batch=batch)

    def whole(values: Any) -> Any:  # the requests of a batch share their rounds
        return np.add.reduceat(values, np.arange(0, trace.requests, batch))

    per_round = ratio_estimate(whole(fast.accepted + fast.rounds), whole(fast.rounds))
    speedup = ratio_estimate(whole(plain.latency), whole(fast.latency))
    return {
        "tokens_per_round": estimate(per_round.mean, per_round.se),
        "speedup": estimate(speedup.mean, speedup.se),
        "latency_s" if seconds else "latency_steps": _spread(fast),
        "request_tokens": length,
        "requests": trace.requests,
        "rounds": int(fast.rounds.sum()),
    }


def _served(
    rng: np.random.Generator,
    law: AcceptanceLaw | None,
    trace: Trace | None,
    rule: Policy,
    tokens: int,
    requests: int | None,
    batch: int,
    budget: int,
) -> Trace:
    """The requests that are decoded: those recorded, or drawn from the law."""
    if trace is None:
        assert law is not None
        count = requests or max(min(budget // tokens, 4000), 8 * batch)
        trace = _drawn(rng, law, rule, tokens, count)
    if trace.requests < 2 * batch:
        raise ValueError(
            f"a standard error needs two batches or more: {trace.requests} requests in batches "
            f"of {batch}"
        )
    return trace


def learnt(
    rng: np.random.Generator,
    law: AcceptanceLaw | None,
    trace: Trace | None,
    cost: CostLaw,
    rule: Policy,
    policy: str,
    tokens: int,
    requests: int | None,
    batch: int,
) -> dict[str, Any]:
    """A rule that learns, on requests in running order, beside the best constant gamma."""
    from ..control.compared import compare

    served = _served(rng, law, trace, rule, tokens, requests, batch, _BUDGET // 20)
    best, (_, found) = compare(
        served, cost, {policy: lambda: learner(policy, cost)}, batch=batch,
        constants=range(rule.gamma_max + 1), gamma_max=rule.gamma_max,
    )  # fmt: skip
    run = found.run
    per_round = ratio_estimate(run.tokens, run.sequence_rounds)
    return {
        "tokens_per_round": estimate(per_round.mean, per_round.se),
        "speedup": estimate(found.speedup.mean, found.speedup.se),
        "excess_over_best_constant": estimate(found.excess.mean, found.excess.se),
        "best_constant": best,
        "gamma_share": (run.gammas / run.gammas.sum()).tolist(),
        "request_tokens": None if trace is not None else tokens,
        "requests": served.requests,
        "rounds": run.rounds,
    }


def best_gamma(
    rng: np.random.Generator,
    law: AcceptanceLaw | None,
    trace: Trace | None,
    cost: CostLaw,
    gamma_max: int,
    rounds: int,
    batch: int,
) -> dict[str, Any]:
    """The best gamma, simulated until it is decided or ``rounds`` are spent; or of a trace."""
    from .selection import Draft, select, trace_gamma

    if trace is not None:
        found = trace_gamma(rng, trace, cost, gamma_max=gamma_max, batch=batch)
    else:
        assert law is not None
        found = select(rng, [Draft(law, cost)], gamma_max=gamma_max, batch=batch, max_rounds=rounds)
    times = cost.round_time(found.gamma, batch=batch)
    speedup, round_steps = found.speedups[found.best], float(times[found.gamma] / times[0])
    return {
        "tokens_per_round": estimate(speedup.mean * round_steps, speedup.se * round_steps),
        "speedup": estimate(speedup.mean, speedup.se),
        "gamma": found.gamma,
        "decided": found.decided,
        "probability_best": found.probabilities.tolist(),
        "rounds": found.rounds,
    }


def _drawn(
    rng: np.random.Generator, law: AcceptanceLaw, rule: Policy, tokens: int, requests: int
) -> Trace:
    """Requests drawn from a law, each with consecutive rounds of its own."""
    from ...theory import DepthAcceptance
    from ...theory.acceptance import BetaRequestAcceptance, GammaDependentLaw
    from .traces import Trace

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
