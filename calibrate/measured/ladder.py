"""An own ladder: what its costs and acceptance predict of the latencies that its sweep measured.

Latency is the time of decoding, prefill apart. Predictions are ratios to plain decoding as well as
seconds: a shared machine drifts between the stage that timed passes and the one that decoded.
"""

from __future__ import annotations

from collections import defaultdict
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ...theory.domain import Floats
from ..library.own import OwnCampaign
from ..records import Record
from .costs import MeasuredCost, measured_cost, requests_s, sampled
from .rounds import rounds_of

DRAWS = 400


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


def predict_ladder(ladder: OwnCampaign, *, seed: int = 0) -> tuple[Predicted, ...]:
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


def request_tokens(ladder: OwnCampaign) -> int:
    """Tokens that a request of the sweep decodes behind the first, which its prefill draws."""
    return int(ladder.sweep.settings["new_tokens"]) - 1


def request_contexts(ladder: OwnCampaign, *, stretches: int = 4) -> tuple[float, ...]:
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
