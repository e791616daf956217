"""A fleet of `howspec simulate`: served at one rate, and the rate above which drafting loses."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from ..rounds.simulated import PERCENTILES, estimate
from .crossover import Crossover, find_crossover
from .engine import build_engine
from .fleet import simulate_fleet
from .workload import afresh

if TYPE_CHECKING:
    from ...theory import AcceptanceLaw, CostLaw
    from ..rounds.policies import Policy


def fleet_crossover(
    rng: np.random.Generator,
    law: AcceptanceLaw,
    cost: CostLaw,
    rule: Policy,
    tokens: int,
    requests: int | None,
    batch: int,
    confidence: float,
) -> Crossover:
    """Where a policy of the batch stops beating plain decoding; see `find_crossover`."""
    drafting, plain = (
        build_engine(_kinds(law), cost, gamma=g, max_batch=batch)
        for g in (_schedule(rule, batch), 0)
    )
    return find_crossover(
        rng, engine=drafting, plain=plain, lengths=tokens, requests=requests, confidence=confidence
    )


def served_fleet(
    rng: np.random.Generator,
    law: AcceptanceLaw,
    cost: CostLaw,
    rule: Policy,
    rate: float,
    tokens: int,
    requests: int | None,
    batch: int,
) -> dict[str, Any]:
    """Latencies and rates of a fleet with a policy of the batch, beside plain decoding."""
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
