"""Requests of `howspec simulate`: served by a policy or a rule that learns, or searched.

What chooses the draft tokens of a round is known by its name.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from inspect import signature
from typing import TYPE_CHECKING, Any

import numpy as np

from ...calibrate.doors.written import check_names, split
from .estimate import ratio_estimate

if TYPE_CHECKING:
    from ...theory import AcceptanceLaw, CostLaw
    from .compared import Chooser
    from .policy import Policy
    from .requests import Served
    from .traces import Trace

POLICIES = (
    "constant", "heuristic", "confidence-threshold", "survival-threshold", "batch-table", "oracle",
    "moving-average",
)  # fmt: skip
LEARNERS = ("controller", "bandit")  # one state for all requests, in running order
BEST = "best"  # the gamma that a simulation finds
TOKENS = 256  # of a request, where latencies are asked for without a length
_TOP = 16  # the largest gamma of those that search


@dataclass(frozen=True)
class Point:
    """What is simulated; each None where it was not asked for.

    law: of acceptance, or trace: recorded instead; cost: single; seconds: whether its times are;
    rule: the policy, of which a rule that learns gives the largest gamma alone; tokens: of a
    request; batch: sequences together.
    """

    law: AcceptanceLaw | None
    trace: Trace | None
    cost: CostLaw
    seconds: bool
    rule: Policy
    tokens: int | None = None
    requests: int | None = None
    batch: int | None = None

    @property
    def drawn(self) -> AcceptanceLaw:
        """The law, where no trace was recorded."""
        assert self.law is not None
        return self.law


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
    from .controller import BanditChooser, GammaController

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
_CONFIDENCES = (8_000_000, 100_000_000)  # drawn then, and at most: kept in memory, 8 bytes each
_DRAWN = (
    "confidences are assumed, not measured: calibrated (a token of confidence x is accepted with "
    "probability x), Beta(alpha, 1 - alpha) about the acceptance alpha, drawn for each token alone"
)
_RECORDED = (
    "confidences are those recorded behind the target's own text, also for tokens drafted after a "
    "rejection"
)


def estimate(mean: float, se: float) -> dict[str, float]:
    return {"mean": float(mean), "se": float(se)}


def endless(rng: np.random.Generator, point: Point, rounds: int) -> dict[str, Any]:
    """Rounds that follow on each other at one gamma, without requests."""
    from .laws import simulate_tokens

    gamma = point.rule.gamma_max
    found = simulate_tokens(rng, point.drawn, gamma=gamma, rounds=rounds)
    times = point.cost.round_time(gamma, batch=point.batch or 1)
    ratio = float(times[0] / times[gamma])
    return {
        "tokens_per_round": estimate(found.mean, found.se),
        "speedup": estimate(found.mean * ratio, found.se * ratio),
        "rounds": rounds - rounds % 64,
    }


def served_requests(rng: np.random.Generator, point: Point) -> dict[str, Any]:
    """Requests under a policy, beside plain decoding of the same."""
    from .policies import constant
    from .requests import serve_batches

    batch = point.batch or 1
    trace = _requests(rng, point, _BUDGET)
    fast = serve_batches(trace, point.cost, point.rule, batch=batch)
    plain = serve_batches(trace, point.cost, constant(0), batch=batch)

    def whole(values: Any) -> Any:  # the requests of a batch share their rounds
        return np.add.reduceat(values, np.arange(0, trace.requests, batch))

    per_round = ratio_estimate(whole(fast.accepted + fast.rounds), whole(fast.rounds))
    speedup = ratio_estimate(whole(plain.latency), whole(fast.latency))
    answer: dict[str, Any] = {
        "tokens_per_round": estimate(per_round.mean, per_round.se),
        "speedup": estimate(speedup.mean, speedup.se),
        "latency_s" if point.seconds else "latency_steps": _spread(fast),
        "request_tokens": None if point.trace is not None else point.tokens or TOKENS,
        "requests": trace.requests,
        "rounds": int(fast.rounds.sum()),
    }
    if point.rule.keep is not None:
        drafted = ratio_estimate(whole(fast.drafted), whole(fast.rounds))
        answer["drafted_per_round"] = estimate(drafted.mean, drafted.se)
        answer["notes"] = [_DRAWN if point.trace is None else _RECORDED]
    return answer


def learnt(rng: np.random.Generator, point: Point, policy: str) -> dict[str, Any]:
    """A rule that learns, on requests in running order, beside the best constant gamma."""
    from .compared import compare

    trace, most = _requests(rng, point, _BUDGET // 20), point.rule.gamma_max
    best, (_, found) = compare(
        trace, point.cost, {policy: lambda: learner(policy, point.cost)}, batch=point.batch or 1,
        constants=range(most + 1), gamma_max=most,
    )  # fmt: skip
    run = found.run
    per_round = ratio_estimate(run.tokens, run.sequence_rounds)
    return {
        "tokens_per_round": estimate(per_round.mean, per_round.se),
        "speedup": estimate(found.speedup.mean, found.speedup.se),
        "excess_over_best_constant": estimate(found.excess.mean, found.excess.se),
        "best_constant": best,
        "gamma_share": (run.gammas / run.gammas.sum()).tolist(),
        "request_tokens": None if point.trace is not None else point.tokens or TOKENS,
        "requests": trace.requests,
        "rounds": run.rounds,
    }


def best_gamma(rng: np.random.Generator, point: Point, rounds: int) -> dict[str, Any]:
    """The best gamma, simulated until it is decided or ``rounds`` are spent; or of a trace."""
    from .selection import Draft, select, trace_gamma

    cost, most, batch = point.cost, point.rule.gamma_max, point.batch or 1
    if point.trace is not None:
        found = trace_gamma(rng, point.trace, cost, gamma_max=most, batch=batch)
    else:
        draft = Draft(point.drawn, cost)
        found = select(rng, [draft], gamma_max=most, batch=batch, max_rounds=rounds)
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


def _requests(rng: np.random.Generator, point: Point, budget: int) -> Trace:
    """The requests that are decoded: those recorded, or drawn from the law."""
    batch, tokens, trace = point.batch or 1, point.tokens or TOKENS, point.trace
    if trace is None:
        if point.rule.keep is not None:
            budget = min(budget, _CONFIDENCES[0] // point.rule.gamma_max)
        count = point.requests or max(min(budget // tokens, 4000), 8 * batch)
        trace = _drawn(rng, point.drawn, point.rule, tokens, count)
    if trace.requests < 2 * batch:
        raise ValueError(
            f"a standard error needs two batches or more: {trace.requests} requests in batches "
            f"of {batch}"
        )
    return trace


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
    accepted = np.empty((requests, tokens), np.int16)
    confidence = None
    if rule.keep is None:
        for i, each in enumerate(laws):
            accepted[i] = each.draw(rng, gamma=rule.gamma_max, rounds=tokens)
    else:
        from .gate import confident_rounds

        drawn = requests * tokens * rule.gamma_max
        if drawn > _CONFIDENCES[1]:
            raise ValueError(
                f"requests times tokens times the most draft tokens of {rule.name!r} must be in "
                f"[1, {_CONFIDENCES[1]:g}], got {requests} times {tokens} times {rule.gamma_max}"
            )
        confidence = np.empty((requests * tokens, rule.gamma_max))
        for i, each in enumerate(laws):
            rounds = slice(i * tokens, (i + 1) * tokens)
            accepted[i], confidence[rounds] = confident_rounds(
                rng, each, gamma=rule.gamma_max, rounds=tokens
            )
    return Trace(
        np.arange(requests + 1) * tokens,
        accepted.ravel(),
        np.zeros(requests, np.int64),
        by_round=True,
        confidence=confidence,
    )


def _spread(served: Served) -> dict[str, float]:
    values = served.latency_quantiles([p / 100 for p in PERCENTILES])
    named = {f"p{p}": float(v) for p, v in zip(PERCENTILES, values, strict=True)}
    return {"mean": float(served.latency.mean()), **named}
