"""From cost and acceptance records of a pair to its laws: nothing is fitted to a sweep.

A round of gamma draft tokens at batch 1 is: the draft's pass over the tokens it has not seen (one,
or two after a round that was accepted whole), gamma - 1 further draft passes over one token, gamma
draws, the target's pass over gamma + 1 tokens, and the rejection rule. A plain step is the target's
pass over one token and a draw. Every one of these was timed on its own.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ..theory.acceptance import PositionalAcceptance
from ..theory.costs import TablePass
from ..theory.requests import rounds_moments
from .records import Record

Floats = NDArray[np.float64]
Point = Mapping[str, Any]


def pass_law(record: Record, model: str, *, mode: str = "eager") -> TablePass:
    """The median pass times of a model as a law over tokens, batch and context [s].

    Points that could not be measured (an error in place of times) narrow the grid: batches and
    contexts at which any number of tokens is missing are left out. Raises ValueError where the
    record has no pass of the model in this mode.
    """
    times: dict[tuple[int, int], dict[int, float]] = {}
    for p in record.points:
        own = p["operation"] == "pass" and p["model"] == model and p["mode"] == mode
        if own and p.get("times_s"):
            place = (p["batch"], p["context"])
            times.setdefault(place, {})[p["tokens"]] = float(np.median(p["times_s"]))
    if not times:
        known = sorted({str(p["model"]) for p in record.points if p["operation"] == "pass"})
        raise ValueError(
            f"model must have {mode} passes in the record, known: {', '.join(known)}; got {model}"
        )
    widest = max(times.values(), key=len)
    tokens = sorted(widest)
    whole = [place for place, t in times.items() if set(tokens) <= set(t)]
    batches = sorted({b for b, _ in whole})
    contexts = sorted({c for _, c in whole if all((b, c) in whole for b in batches)})
    grid = [[[times[b, c][n] for c in contexts] for b in batches] for n in tokens]
    return TablePass(
        np.array(tokens, dtype=float),
        np.array(grid),
        batches=np.array(batches, dtype=float),
        contexts=np.array(contexts, dtype=float),
    )


def operation_s(
    record: Record, operation: str, model: str, *, temperature: float, batch: int = 1
) -> dict[int, float]:
    """Median time of ``draw`` or ``verify`` by its tokens [s]; temperatures above 0 are alike."""
    wanted = 1.0 if temperature > 0 else 0.0
    return {
        p["tokens"]: float(np.median(p["times_s"]))
        for p in record.points
        if p["operation"] == operation
        and p.get("model") == model
        and p.get("batch") == batch
        and p.get("temperature") == wanted
        and p.get("times_s")
    }


@dataclass(frozen=True)
class MeasuredCost:
    """Cost law of a measured pair at batch 1 and one context [s].

    target, draft: pass laws; draw_s: of one token; rule_s: of the rejection rule by gamma; whole:
    probability that a round is accepted whole, by gamma, index 0 unused.
    """

    target: TablePass
    draft: TablePass
    draw_s: float
    rule_s: Mapping[int, float]
    whole: Floats

    @property
    def shape(self) -> tuple[int, ...]:
        """A single law."""
        return ()

    def round_time(self, gamma: int, *, batch: float = 1, context: float = 0) -> Floats:
        """Time of a round at 0..gamma, (gamma + 1,) [s]; entry 0 is a plain step."""
        g = np.arange(gamma + 1.0)
        verify = self.target.step_time(g + 1.0, batch=batch, context=context)
        first, second = self.draft.step_time(np.array([1.0, 2.0]), batch=batch, context=context)
        whole = np.append(self.whole, np.full(gamma, self.whole[-1]))[: gamma + 1]
        caught_up = whole * (second - first)
        known = sorted(self.rule_s)
        rule = np.interp(g, known, [self.rule_s[k] for k in known]) if known else np.zeros_like(g)
        speculative = verify + g * (first + self.draw_s) + caught_up + rule
        return np.asarray(np.where(g > 0, speculative, verify + self.draw_s))


def measured_cost(
    record: Record,
    target: str,
    draft: str,
    *,
    whole: Floats,
    temperature: float = 1.0,
    mode: str = "eager",
) -> MeasuredCost:
    """The cost law of two models of a cost record. Raises ValueError where one is not in it."""
    draws = operation_s(record, "draw", target, temperature=temperature)
    rule = operation_s(record, "verify", target, temperature=temperature)
    if not draws:
        raise ValueError(f"the cost record must hold the draw of {target}, got none")
    return MeasuredCost(
        pass_law(record, target, mode=mode),
        pass_law(record, draft, mode=mode),
        draws[min(draws)],
        rule,
        np.asarray(whole, dtype=np.float64),
    )


@dataclass(frozen=True)
class Rounds:
    """Speculative rounds of one draft: accepted tokens of every request, domains apart.

    drafted: tokens drafted in every round; accepted: one array a request; domains: of each.
    """

    drafted: int
    accepted: tuple[NDArray[np.int64], ...]
    domains: tuple[str, ...]

    def survival(self, weights: Floats | None = None) -> Floats:
        """s_0..s_drafted, requests counted ``weights`` times (default once), (drafted + 1,)."""
        w = np.ones(len(self.accepted)) if weights is None else weights
        at_least = np.array([[(a >= k).sum() for k in range(self.drafted + 1)]
                             for a in self.accepted])  # fmt: skip
        return np.asarray(w @ at_least / (w @ at_least[:, 0]))

    def law(self) -> PositionalAcceptance:
        """The survival as an acceptance law, hazards by position."""
        return PositionalAcceptance(_hazards(self.survival()))

    def sample(self, rng: np.random.Generator, *, draws: int) -> Floats:
        """Survivals of bootstrap samples of requests, each domain resampled on its own.

        Requests are drawn with Dirichlet weights; shape (draws, drafted + 1).
        """
        domains = np.array(self.domains)
        weights = np.zeros((draws, domains.size))
        for name in dict.fromkeys(self.domains):
            own = np.flatnonzero(domains == name)
            weights[:, own] = rng.dirichlet(np.ones(own.size), draws) * own.size
        return np.array([self.survival(w) for w in weights])


def _hazards(survival: Floats) -> Floats:
    with np.errstate(invalid="ignore", divide="ignore"):
        rates = survival[1:] / survival[:-1]
    return np.where(np.isfinite(rates), rates, 0.0)


def rounds_of(
    record: Record, draft: str, *, temperature: float, domains: Sequence[str] | None = None
) -> Rounds:
    """The rounds of a draft in an acceptance record. Raises ValueError where there are none."""
    found = [
        p
        for p in record.points
        if p.get("type") == "rounds"
        and p["draft"] == draft
        and p["temperature"] == temperature
        and (domains is None or p["domain"] in domains)
        and p.get("accepted")
    ]
    if not found:
        raise ValueError(
            f"the acceptance record must hold rounds of {draft} at temperature {temperature:g}"
        )
    if len({str(p["drafted"]) for p in found}) > 1 or not isinstance(found[0]["drafted"], int):
        raise ValueError(
            f"drafted must be one number in all rounds of {draft}, got {found[0]['drafted']}, "
            f"... {found[-1]['drafted']}"
        )
    return Rounds(
        int(found[0]["drafted"]),
        tuple(np.array(p["accepted"], dtype=np.int64) for p in found),
        tuple(str(p["domain"]) for p in found),
    )


def requests_s(survival: Floats, cost: MeasuredCost, *, tokens: int, context: float) -> Floats:
    """Expected time of decoding ``tokens`` tokens at gamma = 0..k, shape (*draws, k + 1) [s].

    survival: s_0..s_k on the last axis. The last round is not shortened, so that its overshoot is
    paid, as a decoder pays it.
    """
    top = survival.shape[-1] - 1
    times = cost.round_time(top, context=context)
    rounds = [np.full(survival.shape[:-1], float(tokens))]
    for gamma in range(1, top + 1):
        cut = survival[..., : gamma + 1]
        pmf = np.concatenate([-np.diff(cut), cut[..., -1:]], axis=-1)
        rounds.append(np.asarray(rounds_moments(np.clip(pmf, 0.0, 1.0), tokens)[0]))
    return np.stack(rounds, axis=-1) * times
