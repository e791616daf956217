"""From the costs of a pair to the time of its rounds, and with its acceptance to that of requests.

A round of gamma draft tokens is: the draft's pass over the tokens it has not seen (one,
or two after a round that was accepted whole), gamma - 1 further draft passes over one token, gamma
draws, the target's pass over gamma + 1 tokens, and the rejection rule. A plain step is the target's
pass over one token and a draw. Each of these was timed on its own; where whole rounds were timed
too, what they take more than the sum of their parts is added. Nothing is fitted to a sweep.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from ...theory.costs import TablePass
from ...theory.requests import rounds_moments
from ..records import Record
from .passes import operation_s, pass_law
from .rounds import TimedRounds, timed_rounds

Floats = NDArray[np.float64]


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
