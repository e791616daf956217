"""Requests of `howspec simulate`: served by a policy or a rule that learns, or searched.

What chooses the draft tokens of a round is known by its name.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from inspect import signature
from typing import TYPE_CHECKING, Any

import numpy as np

from ...calibrate.doors.written import check_names, split
from .estimate import ratio_estimate

if TYPE_CHECKING:
    from ...theory import AcceptanceLaw, CostLaw
    from ..control.compared import Chooser
    from .policies import Policy
    from .requests import Served
    from .traces import Trace

POLICIES = (
    "constant", "heuristic", "confidence-threshold", "survival-threshold", "batch-table", "oracle",
    "moving-average",
)  # fmt: skip
LEARNERS = ("controller", "bandit")  # one state for all requests, in running order
BEST = "best"  # the gamma that a simulation finds
_TOP = 16  # the largest gamma of those that search


def named_policy(text: str) -> Policy:
    """The policy written as ``name:parameter=value,...``; batch-table:8=5,32=2 names batches.

    A rule that learns, and the search for the best gamma, are here by the largest gamma they take.
    """
    from . import policies

    name, parameters = split(text)
    if searches(text):
        if name == BEST:
            check_names("policy best", parameters, {"gamma_max"}, [])
        return policies.constant(parameters.get("gamma_max", _TOP))
    if name not in POLICIES:
        known = ", ".join((*POLICIES, *LEARNERS, BEST))
        raise ValueError(f"policy must be one of {known}, got {name!r}")
    make = getattr(policies, name.replace("-", "_"))
    if name == "batch-table":
        if not all(key.isdecimal() for key in parameters):
            raise ValueError(f"policy batch-table takes batch=gamma pairs, got {text!r}")
        return policies.batch_table({int(k): v for k, v in parameters.items()})
    made: Policy = _made(f"policy {name}", make, parameters)
    return made


def searches(text: str | None) -> bool:
    """Whether a policy is a rule that learns, or the search for the best gamma."""
    return text is not None and text.partition(":")[0] in (*LEARNERS, BEST)


def learner(text: str, cost: CostLaw) -> Chooser:
    """The rule that learns, written as ``controller:half_life=200`` or ``bandit:width=0.5``."""
    from ..control.controller import BanditChooser, GammaController

    name, parameters = split(text)
    make = {"controller": GammaController, "bandit": BanditChooser}[name]
    made: Chooser = _made(f"policy {name}", partial(make, cost), parameters)
    return made


def _made(what: str, make: Callable[..., Any], parameters: dict[str, Any]) -> Any:
    known = signature(make).parameters
    needed = [key for key, p in known.items() if p.default is p.empty]
    check_names(what, parameters, set(known), needed)
    return make(**parameters)


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
