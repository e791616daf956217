"""An own ladder put to the test: its sweep from its costs and rounds, and one draft left out."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

import numpy as np
from numpy.typing import NDArray

from ...calibrate.learned.sweeps import forecast_gamma
from ...calibrate.library.own import OwnCampaign
from ...calibrate.measured.ladder import (
    DRAWS,
    Predicted,
    relative_latency,
    request_contexts,
)
from ...calibrate.measured.sizes import fit_sizes, latency_over_plain
from ...calibrate.tables.sweep import Sweep, read_only
from ...theory import tokens_per_round
from ...theory.acceptance import alpha_from_length
from ...theory.domain import Floats
from ...theory.interval import ends
from .result import LEVEL, PLAIN, Point, Test

WINDOW = 0.01


def campaign_test(ladder: OwnCampaign, predicted: tuple[Predicted, ...], *, seed: int = 0) -> Test:
    """Latency of every (draft, gamma) of the sweep, and the regret of the gamma chosen."""
    points, regrets, hits, ties = [], [], [], []
    contexts = request_contexts(ladder)
    middle = sum(contexts) / len(contexts)
    for i, p in enumerate(predicted):
        rng = np.random.default_rng([seed, 47, i])
        alpha = alpha_from_length(1.0 + float(p.survival[1:].sum()), p.survival.size - 1)
        draft, target = (
            law.step_time(np.ones(1), context=middle)[0] for law in (p.cost.draft, p.cost.target)
        )
        ratio = float(draft / target)
        for gamma in p.gammas:
            own = np.nan_to_num(p.error[gamma] / p.measured[gamma])  # none from a single prompt
            noise = rng.normal(0.0, own, DRAWS)
            sample = p.sample[:, gamma] * np.exp(noise)
            ideal = (1 + gamma * ratio) / tokens_per_round(alpha, gamma)
            points.append(Point(
                f"{p.draft}, gamma {gamma}", float(p.measured[gamma]), float(p.center[gamma]),
                *_ends(sample), {PLAIN: float(ideal)},
            ))  # fmt: skip
        seen, best = _choice(p)
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
        tuple(points),
        tuple(regrets),
        (note, best_draft(predicted)),
    )


def second_measurement_test(ladder: OwnCampaign, *, seed: int = 0) -> Test:
    """What `predict --sweep` says of a measured gamma, against the same gamma on other prompts.

    Every second prompt makes the sweep of a draft that is given, the others are predicted.
    """
    prompts = sorted({p["prompt"] for p in ladder.sweep.points})
    halves = (
        tuple(p for p in ladder.sweep.points if p["prompt"] in half)
        for half in (set(prompts[::2]), set(prompts[1::2]))
    )
    given, other = (relative_latency(replace(ladder.sweep, points=half)) for half in halves)
    points = []
    for draft, measured in given.items():
        gammas = sorted(measured)
        speeds = read_only(1.0 / measured[g][0] for g in gammas)
        sweep = Sweep(ladder.target, draft, read_only(gammas), speeds, source="own ladder")
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
        tuple(points),
    )


def _choice(p: Predicted) -> tuple[NDArray[np.int64], int]:
    """The gammas of the sweep, plain decoding among them, and the one predicted to be the best."""
    seen = np.concatenate([[0], p.gammas])
    return seen, int(seen[p.center[seen].argmin()])


def best_draft(predicted: tuple[Predicted, ...]) -> str:
    """The draft that is predicted to be the fastest beside the one that was, and the regret."""
    chosen = min(predicted, key=lambda p: p.center[_choice(p)[1]])
    at = _choice(chosen)[1]
    fastest = min(predicted, key=lambda p: float(np.nanmin(p.measured)))
    lowest = float(np.nanmin(fastest.measured))
    regret = float(chosen.measured[at]) / lowest - 1.0
    alone = float(np.nanmin(chosen.measured)) / lowest - 1.0
    return (
        f"best draft predicted {chosen.draft} at gamma {at}, measured {fastest.draft} at gamma "
        f"{int(np.nanargmin(fastest.measured))}: regret {100 * alone:.1f} % of the draft, "
        f"{100 * regret:.1f} % with its gamma (error {100 * float(chosen.error[at]):.1f} %)"
    )


def leave_one_draft_out(
    ladder: OwnCampaign, predicted: Sequence[Predicted], *, seed: int = 0
) -> tuple[Test, Test]:
    """(alpha, speed-up at the measured best gamma) of every draft, from the other drafts alone."""
    alphas, gains, chosen = [], [], []
    for i, own in enumerate(predicted):
        rng = np.random.default_rng([seed, 53, i])
        rest = [p for p in predicted if p is not own]
        law = fit_sizes(ladder, rest, rng)
        size = np.array([float(ladder.parameters[own.draft])])
        layers = np.array([float(ladder.layers[own.draft])])
        survival = law.survival(size, layers, rng)
        pooled = _pooled(survival[:, 0])
        alphas.append(Point(own.draft, float(_pooled(own.survival)), float(np.median(pooled)),
                            *_ends(pooled)))  # fmt: skip
        relative = latency_over_plain(ladder, survival, law.drafting.at(size, layers, rng))
        speed = 1.0 / relative[:, 0]
        seen = np.concatenate([[0], own.gammas])
        best = int(seen[np.nanargmin(own.measured[seen])]) or int(own.gammas[0])
        error = float(own.error[best] / own.measured[best])
        noisy = speed[:, best] * np.exp(rng.normal(0.0, error, speed.shape[0]))
        gains.append(Point(f"{own.draft}, gamma {best}", float(1.0 / own.measured[best]),
                           float(np.median(speed[:, best])), *_ends(noisy)))  # fmt: skip
        chosen.append(float(np.median(relative[:, 0], axis=0).min()))
    pick = int(np.argmin(chosen))
    lowest = [float(np.nanmin(p.measured)) for p in predicted]
    regret = lowest[pick] / min(lowest) - 1.0
    note = f"best draft by these predictions: {predicted[pick].draft}, regret {100 * regret:.1f} %"
    given = (
        "the other drafts of the ladder, sizes and layers; not the answer of a verb: `scale` rests "
        "on published pairs, this on one ladder"
    )
    return (
        Test("own ladder: alpha, one draft left out", given, tuple(alphas), error="absolute"),
        Test("own ladder: speed-up, one draft left out", given, tuple(gains), notes=(note,)),
    )


def _pooled(survival: Floats) -> Floats:
    """Accepted over decided draft tokens of rounds of all gammas up to the last, (...)."""
    return np.asarray(survival[..., 1:].sum(-1) / survival[..., :-1].sum(-1))


def _ends(sample: Floats) -> tuple[float, float]:
    low, high = ends(sample, LEVEL)
    return float(low), float(high)
