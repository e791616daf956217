"""A measured cost law with the error of its timing: what a prediction draws from."""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from .costs import MeasuredCost

Floats = NDArray[np.float64]

# Spread of ln(round / plain step) of one pair from one run of the timing to the next, beside what
# the spread of the times within a run says: three runs within an hour on two cores of a shared
# machine, ten drafts of the bundled ladder, 1 to 8 draft tokens (0.01 at 1, 0.04 from 4 on).
BETWEEN_RUNS = 0.03


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
