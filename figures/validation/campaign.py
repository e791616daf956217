"""An own ladder: from its costs and acceptance alone, the latencies that its sweep measured.

Latency is the time of decoding, prefill apart. Predictions are ratios to plain decoding as well as
seconds: a shared machine drifts between the stage that timed passes and the one that decoded.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ...calibrate.learned.sweeps import forecast_gamma
from ...calibrate.library.own import OwnCampaign
from ...calibrate.library.sweep import Sweep, read_only
from ...calibrate.measured import (
    MeasuredCost,
    measured_cost,
    requests_s,
    rounds_of,
    sampled,
)
from ...calibrate.records import Record
from ...theory import tokens_per_round
from .result import LEVEL, Floats, Point, Test, interval
from .rivals import PLAIN, iid_alpha

DRAWS = 400
WINDOW = 0.01


@dataclass(frozen=True)
class Ladder:
    """Records of one campaign, with the sizes of its models.

    parameters, layers: by model; roles: ``target``, ``ladder`` or ``depth`` by model.
    """

    costs: Record
    acceptance: Record
    sweep: Record
    parameters: Mapping[str, int]
    layers: Mapping[str, int]
    roles: Mapping[str, str]
    losses: Mapping[str, float]

    @property
    def target(self) -> str:
        """The model whose tokens are decoded."""
        return next(m for m, role in self.roles.items() if role == "target")

    @property
    def drafts(self) -> tuple[str, ...]:
        """The drafts of the sweep, the largest first."""
        seen = {str(p["draft"]) for p in self.sweep.points if p["method"] == "sps"}
        return tuple(sorted(seen, key=lambda m: -self.parameters[m]))


def ladder_of(campaign: OwnCampaign) -> Ladder:
    """The ladder of a campaign's records."""
    models = campaign.models
    return Ladder(
        campaign.costs,
        campaign.acceptance,
        campaign.sweep,
        {n: int(m["parameters"]) for n, m in models.items()},
        {n: int(m["layers"]) for n, m in models.items()},
        {n: str(m["role"]) for n, m in models.items()},
        {n: float(m["held_out"]["loss_nats"]) for n, m in models.items()},
    )


@dataclass(frozen=True)
class Predicted:
    """One draft: predicted and measured decoding at gamma = 0..k, over plain decoding.

    sample: shape (draws, k + 1); measured, error: relative latency and its standard error, NaN
    where it was not measured; rounds, passes: mean time of a round over a request, and of the
    draft's passes in it [plain step].
    """

    draft: str
    sample: Floats
    measured: Floats
    error: Floats
    rounds: Floats
    passes: Floats
    cost: MeasuredCost
    survival: Floats

    @property
    def center(self) -> Floats:
        """Mean predicted latency over plain decoding, (k + 1,)."""
        return np.asarray(self.sample.mean(axis=0))

    @property
    def gammas(self) -> NDArray[np.int64]:
        """The gammas above 0 that were measured."""
        return np.asarray(np.flatnonzero(np.isfinite(self.measured[1:])) + 1)


def predict_ladder(ladder: Ladder, *, seed: int = 0) -> tuple[Predicted, ...]:
    """Every draft of the sweep, from costs and acceptance; nothing is fitted to the sweep."""
    tokens, temperature = request_tokens(ladder), float(ladder.sweep.settings["temperature"])
    contexts = request_contexts(ladder)
    measured = relative_latency(ladder.sweep)
    out = []
    for i, draft in enumerate(ladder.drafts):
        rng = np.random.default_rng([seed, 43, i])
        accepted = rounds_of(ladder.acceptance, draft, temperature=temperature)
        survival = accepted.survival()
        cost = measured_cost(
            ladder.costs, ladder.target, draft, whole=survival, temperature=temperature
        )
        sample = requests_s(
            accepted.sample(rng, draws=DRAWS), cost, tokens=tokens, contexts=contexts
        )
        top = sample.shape[-1]
        factors = sampled(cost, rng, draws=DRAWS).factors(top - 1)
        seen = np.full((2, top), np.nan)
        for gamma, value in measured[draft].items():
            if gamma < top:
                seen[:, gamma] = value
        seen[:, 0] = (1.0, 0.0)
        rounds, passes = (
            np.mean([law(top - 1, context=c) for c in contexts], axis=0)
            for law in (cost.round_time, cost.draft_time)
        )
        out.append(
            Predicted(
                draft,
                sample / sample[:, :1] * factors / factors[:, :1],
                seen[0],
                seen[1],
                rounds / rounds[0],
                passes / rounds[0],
                cost,
                survival,
            )
        )
    return tuple(out)


def request_tokens(ladder: Ladder) -> int:
    """Tokens that a request of the sweep decodes behind the first, which its prefill draws."""
    return int(ladder.sweep.settings["new_tokens"]) - 1


def request_contexts(ladder: Ladder, *, stretches: int = 4) -> tuple[float, ...]:
    """Tokens in the cache in the middle of equal stretches of a request of the sweep."""
    prompt, tokens = float(ladder.sweep.settings["prompts"]["tokens"]), request_tokens(ladder)
    return tuple(prompt + tokens * (i + 0.5) / stretches for i in range(stretches))


def relative_latency(sweep: Record, *, batch: int = 1) -> dict[str, dict[int, tuple[float, float]]]:
    """Decoding time over plain decoding of the same prompt: draft -> gamma -> (mean, error).

    The mean over prompts of both times are taken and divided; the error is that of the ratio over
    prompts.
    """
    plain: dict[Any, list[float]] = defaultdict(list)
    times: dict[tuple[str, int], dict[Any, list[float]]] = defaultdict(lambda: defaultdict(list))
    for p in sweep.points:
        if p["batch"] != batch or p.get("decode_s") is None:
            continue
        if p["method"] == "plain":
            plain[p["prompt"]].append(float(p["decode_s"]))
        elif p["method"] == "sps":
            times[str(p["draft"]), int(p["gamma"])][p["prompt"]].append(float(p["decode_s"]))
    out: dict[str, dict[int, tuple[float, float]]] = defaultdict(dict)
    for (draft, gamma), by_prompt in times.items():
        own = np.array([np.mean(t) for prompt, t in by_prompt.items() if prompt in plain])
        base = np.array([np.median(plain[prompt]) for prompt in by_prompt if prompt in plain])
        if not own.size:
            continue
        ratio = float(own.mean() / base.mean())
        spread = own / base.mean() - ratio * base / base.mean()
        error = float(spread.std(ddof=1) / np.sqrt(own.size)) if own.size > 1 else float("nan")
        out[draft][gamma] = (ratio, error)
    return out


def campaign_test(ladder: Ladder, predicted: tuple[Predicted, ...], *, seed: int = 0) -> Test:
    """Latency of every (draft, gamma) of the sweep, and the regret of the gamma chosen."""
    points, regrets, hits, ties = [], [], [], []
    contexts = request_contexts(ladder)
    middle = sum(contexts) / len(contexts)
    for i, p in enumerate(predicted):
        rng = np.random.default_rng([seed, 47, i])
        for gamma in p.gammas:
            own = np.nan_to_num(p.error[gamma] / p.measured[gamma])  # none from a single prompt
            noise = rng.normal(0.0, own, DRAWS)
            sample = p.sample[:, gamma] * np.exp(noise)
            alpha = iid_alpha(1.0 + float(p.survival[1:].sum()), p.survival.size - 1)
            alone = [
                law.step_time(np.ones(1), context=middle)[0]
                for law in (p.cost.draft, p.cost.target)
            ]
            ratio = float(alone[0] / alone[1])
            ideal = (1 + gamma * ratio) / tokens_per_round(alpha, gamma)
            points.append(
                Point(
                    f"{p.draft}, gamma {gamma}",
                    float(p.measured[gamma]),
                    float(p.center[gamma]),
                    *interval(sample, LEVEL),
                    {PLAIN: float(ideal)},
                )
            )
        seen = np.concatenate([[0], p.gammas])
        best = int(seen[p.center[seen].argmin()])
        lowest = float(np.nanmin(p.measured))
        regrets.append(float(p.measured[best] / lowest - 1.0))
        window = seen[p.center[seen] <= p.center[best] * (1.0 + WINDOW)]
        fastest = int(np.nanargmin(p.measured))
        hits.append(fastest in window)
        between = float(np.hypot(np.nan_to_num(p.error[best]), np.nan_to_num(p.error[fastest])))
        ties.append(float(p.measured[best]) - lowest <= 2.0 * between)
    note = (
        f"measured best gamma in the predicted 1 % window: {sum(hits)} of {len(hits)} drafts; "
        f"the predicted one within two standard errors of it: {sum(ties)}"
    )
    return Test(
        "own ladder: latency over plain decoding",
        "costs and acceptance, nothing of the sweep; laws as `predict` takes them of such records, "
        "for requests of a stated length, of which no verb gives the latency",
        "relative",
        tuple(points),
        tuple(regrets),
        (note, best_draft(predicted)),
    )


def second_measurement_test(ladder: Ladder, *, seed: int = 0) -> Test:
    """What `predict --sweep` says of a measured gamma, against the same gamma on other prompts.

    Every second prompt makes the sweep of a draft that is given, the others are predicted.
    """
    prompts = sorted({p["prompt"] for p in ladder.sweep.points})
    given, other = (
        relative_latency(
            replace(
                ladder.sweep,
                points=tuple(p for p in ladder.sweep.points if p["prompt"] in half),
            )
        )
        for half in (set(prompts[::2]), set(prompts[1::2]))
    )
    points = []
    for draft, measured in given.items():
        gammas = sorted(measured)
        sweep = Sweep(
            ladder.target,
            draft,
            read_only(gammas),
            read_only(1.0 / measured[g][0] for g in gammas),
            source="own ladder",
        )
        for gamma in gammas:
            if gamma in other[draft] and sweep.gamma.size > 1:
                found = forecast_gamma(sweep, gamma, seed=seed).speedup.interval(LEVEL)
                seen = 1.0 / other[draft][gamma][0]
                points.append(
                    Point(f"{draft}, gamma {gamma}", seen, found.estimate, found.low, found.high)
                )
    return Test(
        "own ladder: speed-up at a measured gamma, measured again on other prompts",
        "the sweep of one draft on every second prompt, that gamma included",
        "relative",
        tuple(points),
    )


def best_draft(predicted: tuple[Predicted, ...]) -> str:
    """The draft that is predicted to be the fastest beside the one that was, and the regret."""
    chosen = min(predicted, key=lambda p: p.center[np.concatenate([[0], p.gammas])].min())
    at = int(np.concatenate([[0], chosen.gammas])[
        chosen.center[np.concatenate([[0], chosen.gammas])].argmin()
    ])  # fmt: skip
    fastest = min(predicted, key=lambda p: float(np.nanmin(p.measured)))
    lowest = float(np.nanmin(fastest.measured))
    regret = float(chosen.measured[at]) / lowest - 1.0
    alone = float(np.nanmin(chosen.measured)) / lowest - 1.0
    return (
        f"best draft predicted {chosen.draft} at gamma {at}, measured {fastest.draft} at gamma "
        f"{int(np.nanargmin(fastest.measured))}: regret {100 * alone:.1f} % of the draft, "
        f"{100 * regret:.1f} % with its gamma (error {100 * float(chosen.error[at]):.1f} %)"
    )
