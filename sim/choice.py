"""What is computed draw by draw of one draft or many: tokens, relative times, best gamma."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from ..theory import CostLaw
from ..theory.domain import Floats
from ..theory.interval import Interval


@dataclass(frozen=True)
class RoundTimes:
    """A cost law at one batch and context: its times in plain steps, index = gamma."""

    times: Floats

    @classmethod
    def of(
        cls, law: CostLaw, gamma_max: int, *, batch: float = 1, context: float = 0
    ) -> RoundTimes:
        """The median over a law's draws."""
        times = np.asarray(law.round_time(gamma_max, batch=batch, context=context))
        ratio = (times / times[..., :1]).reshape(-1, gamma_max + 1)
        return cls(np.asarray(np.median(ratio, axis=0)))

    @property
    def shape(self) -> tuple[int, ...]:
        return ()

    def round_time(self, gamma: int, *, batch: float = 1, context: float = 0) -> Floats:
        if not 0 <= gamma < self.times.size:
            raise ValueError(f"gamma must be in [0, {self.times.size - 1}], got {gamma}")
        return self.times[: gamma + 1]


@dataclass(frozen=True)
class Choice:
    """The best gamma of one draft and its speed-up there.

    gamma: 0 for plain decoding; speedup: mean over the draws; low, high: interval; draws: at that
    gamma, (draws,); probability_gain: share of the draws above 1.
    """

    gamma: int
    speedup: float
    low: float
    high: float
    draws: Floats
    probability_gain: float
    level: float = 0.9

    @property
    def interval(self) -> Interval:
        """The speed-up with its interval."""
        return Interval(self.speedup, self.low, self.high, self.level)

    @property
    def off(self) -> Interval:
        """The speed-up of plain decoding."""
        return Interval(1.0, 1.0, 1.0, self.level)


def choose(table: Floats, *, level: float = 0.9) -> Choice:
    """The gamma with the largest mean speed-up in a table of shape (draws, gammas)."""
    center = table.mean(axis=0)
    best = int(center.argmax())
    own = np.ascontiguousarray(table[:, best])
    low, high = np.quantile(own, [0.5 * (1.0 - level), 0.5 * (1.0 + level)])
    gain = float((own > 1.0).mean()) if best else 0.0
    return Choice(best, float(center[best]), float(low), float(high), own, gain, level)


def probabilities_best(choices: Sequence[Choice]) -> Floats:
    """Share of the draws in which each choice beats the others and plain decoding, (choices + 1,).

    The last entry is plain decoding. Choices of gamma 0 are plain decoding too.
    """
    draws = choices[0].draws.size
    rows = [c.draws if c.gamma else np.full(draws, -np.inf) for c in choices]
    winner = np.argmax(np.stack([*rows, np.ones(draws)]), axis=0)
    return np.bincount(winner, minlength=len(rows) + 1) / draws
