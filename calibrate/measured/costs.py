"""From the costs of a pair to the time of its rounds, and with its acceptance to that of requests.

A round of gamma draft tokens is: the draft's pass over the tokens it has not seen (one,
or two after a round that was accepted whole), gamma - 1 further draft passes over one token, gamma
draws, the target's pass over gamma + 1 tokens, and the rejection rule. A plain step is the target's
pass over one token and a draw. Each of these was timed on its own; where whole rounds were timed
too, what they take more than the sum of their parts is added. Nothing is fitted to a sweep.

A prediction draws from the law with the error of its timing (`sampled`).
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

import numpy as np

from ...theory.costs import TablePass
from ...theory.domain import Floats
from ...theory.requests import rounds_moments
from ..known import BETWEEN_RUNS
from ..records import Record
from .rounds import TimedRounds, timed_rounds


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
    """Cost law of a measured pair at the batch that its parts were timed at [s].

    target, draft: pass laws; draw_s: of one token; rule_s: of the rejection rule by gamma; whole:
    probability that a round is accepted whole, by gamma, index 0 unused; rounds: whole rounds as
    they were timed, or None, and then weights that a pass finds in a cache of its own make the law
    too fast.
    """

    target: TablePass
    draft: TablePass
    draw_s: float
    rule_s: Mapping[int, float]
    whole: Floats
    rounds: TimedRounds | None = None

    @property
    def shape(self) -> tuple[int, ...]:
        """A single law."""
        return ()

    def round_time(self, gamma: int, *, batch: float = 1, context: float = 0) -> Floats:
        """Time of a round at 0..gamma, (gamma + 1,) [s]; entry 0 is a plain step."""
        alone = self._alone(gamma, batch=batch, context=context)
        if self.rounds is not None:
            at = self.rounds.gammas
            parts = self._alone(int(at[-1]), batch=batch, context=context)
            excess = self.rounds.round_time(context) - parts[:, at]
            alone = alone + self._over(excess, gamma)
        return self._mixed(alone)

    def draft_time(self, gamma: int, *, batch: float = 1, context: float = 0) -> Floats:
        """What of a round at 0..gamma the draft's passes take, (gamma + 1,) [s]."""
        alone = self._passes(gamma, batch=batch, context=context)
        if self.rounds is not None:
            at = self.rounds.gammas
            parts = self._passes(int(at[-1]), batch=batch, context=context)
            alone = alone + self._over(self.rounds.draft_time(context) - parts[:, at], gamma)
        return self._mixed(alone)

    def _alone(self, gamma: int, *, batch: float, context: float) -> Floats:
        """Sums of parts, (2, gamma + 1): the draft's first pass reads one token, or two."""
        g = np.arange(gamma + 1.0)
        verify = self.target.step_time(g + 1.0, batch=batch, context=context)
        known = sorted(self.rule_s)
        rule = np.interp(g, known, [self.rule_s[k] for k in known]) if known else np.zeros_like(g)
        around = np.where(g > 0, g * self.draw_s + rule, self.draw_s)
        return verify + around + self._passes(gamma, batch=batch, context=context)

    def _passes(self, gamma: int, *, batch: float, context: float) -> Floats:
        """The draft's passes alone, (2, gamma + 1)."""
        g = np.arange(gamma + 1.0)
        first, second = self.draft.step_time(np.array([1.0, 2.0]), batch=batch, context=context)
        caught_up = np.where(g > 0, second - first, 0.0)
        return np.stack([g * first, g * first + caught_up])

    def _over(self, excess: Floats, gamma: int) -> Floats:
        """Excess at the timed gammas at every one up to ``gamma``, constant beyond the last."""
        assert self.rounds is not None
        g = np.arange(gamma + 1.0)
        return np.array([np.interp(g, self.rounds.gammas, row) for row in excess])

    def _mixed(self, times: Floats) -> Floats:
        top = times.shape[-1]
        whole = np.append(self.whole, np.full(top, self.whole[-1]))[:top]
        return np.asarray(times[0] + whole * (times[1] - times[0]))


def measured_cost(
    record: Record,
    target: str,
    draft: str,
    *,
    whole: Floats,
    temperature: float = 1.0,
    mode: str = "eager",
    batch: int = 1,
) -> MeasuredCost:
    """The cost law of two models of a cost record. Raises ValueError where one is not in it."""
    draws = operation_s(record, "draw", target, temperature=temperature, batch=batch)
    rule = operation_s(record, "verify", target, temperature=temperature, batch=batch)
    if not draws:
        raise ValueError(
            f"the cost record must hold the draw of {target} at batch {batch}, got none"
        )
    return MeasuredCost(
        pass_law(record, target, mode=mode),
        pass_law(record, draft, mode=mode),
        draws[min(draws)],
        rule,
        np.asarray(whole, dtype=np.float64),
        timed_rounds(record, target, draft, batch=batch, mode=mode),
    )


def requests_s(
    survival: Floats, cost: MeasuredCost, *, tokens: int, contexts: Sequence[float]
) -> Floats:
    """Expected time of decoding ``tokens`` tokens at gamma = 0..k, shape (*draws, k + 1) [s].

    survival: s_0..s_k on the last axis; contexts: tokens in the cache at equal stretches of the
    request. The last round is not shortened, so that its overshoot is paid, as a decoder pays it.
    Raises ValueError without a context.
    """
    if not len(contexts):
        raise ValueError("contexts must hold at least 1 number of tokens, got none")
    top = survival.shape[-1] - 1
    times = np.mean([cost.round_time(top, context=c) for c in contexts], axis=0)
    rounds = [np.full(survival.shape[:-1], float(tokens))]
    for gamma in range(1, top + 1):
        cut = survival[..., : gamma + 1]
        pmf = np.concatenate([-np.diff(cut), cut[..., -1:]], axis=-1)
        rounds.append(np.asarray(rounds_moments(np.clip(pmf, 0.0, 1.0), tokens)[0]))
    return np.asarray(np.stack(rounds, axis=-1) * times)


@dataclass(frozen=True)
class SampledCost:
    """A measured law at one batch, draws of its error on the first axis.

    law: its medians; common: ln of the factor of all rounds of a draw, (draws,); own: that of the
    round of each gamma, (draws, gammas), gammas as timed, entry 0 zero; step: that of plain steps
    and rounds alike, (draws,); contexts: least and most that were timed, whose ends stand in for
    what lies beyond them.
    """

    law: MeasuredCost
    common: Floats
    own: Floats
    step: Floats
    contexts: tuple[float, float]

    @property
    def shape(self) -> tuple[int, ...]:
        """(draws,)."""
        return self.common.shape

    def round_time(self, gamma: int, *, batch: float = 1, context: float = 0) -> Floats:
        """Times of rounds at 0..gamma, (draws, gamma + 1) [s]; entry 0 is a plain step."""
        times = self.law.round_time(gamma, batch=batch, context=self.within(context))
        return np.asarray(times * self.factors(gamma))

    def within(self, context: float) -> float:
        """The timed context nearest to ``context`` [token]."""
        return float(np.clip(context, *self.contexts))

    def factors(self, gamma: int) -> Floats:
        """What the medians are multiplied by at 0..gamma, (draws, gamma + 1)."""
        assert self.law.rounds is not None
        at = np.arange(gamma + 1.0)
        own = np.array([np.interp(at, self.law.rounds.gammas, row) for row in self.own])
        speculative = np.where(at > 0, self.common[:, None] + own, 0.0)
        return np.exp(speculative + self.step[:, None])

    def plain_step(self, *, batch: float = 1, context: float = 0) -> Floats:
        """Time of a plain step, (draws,) [s]."""
        return self.round_time(0, batch=batch, context=context)[:, 0]

    def cost_ratio(self, *, batch: float = 1, context: float = 0) -> Floats:
        """The draft's pass in a round of one draft token over a plain step, (draws,)."""
        at = {"batch": batch, "context": self.within(context)}
        law = replace(self.law, whole=np.zeros(1))  # a pass over one token, however rounds end
        ratio = law.draft_time(1, **at)[1] / law.round_time(0, **at)[0]
        factors = self.factors(1)
        return np.asarray(ratio * factors[:, 1] / factors[:, 0])

    def after(self, survival: Floats) -> SampledCost:
        """The law where rounds of k draft tokens are accepted whole in a share survival[k]."""
        return replace(self, law=replace(self.law, whole=np.asarray(survival, dtype=np.float64)))


def sampled(law: MeasuredCost, rng: np.random.Generator, *, draws: int) -> SampledCost:
    """Draws of a measured law: each round's own error, and one that all rounds share.

    Raises ValueError for a law without timed rounds, whose errors nobody has measured.
    """
    if law.rounds is None:
        raise ValueError("the cost law must have timed rounds, got passes alone")
    common, step = rng.normal(0.0, BETWEEN_RUNS, (2, draws))
    own = law.rounds.error * rng.standard_normal((draws, law.rounds.error.size))
    timed = law.target.contexts if law.target.contexts is not None else law.rounds.contexts
    ends = float(np.min(timed)), float(np.max(timed))
    return SampledCost(law, common, own, step, ends)
