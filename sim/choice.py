"""The one place where a gamma is chosen from a sample of speed-ups, under any objective.

    latency     least E[1/S]       a fixed amount of work, such as a queue or a user who waits
    throughput  largest E[S]       a fixed time, such as a server that is kept busy
    regret      least E[1 - S/M]   M the best of a draw: least expected loss to not knowing
    safe        least E[1 - S/M] in the tenth of the draws where it is largest; the default
    energy      least E[t/S]       t the time of a plain step: joules a token at a constant power
    price       least E[t/S]       money a token at a price by the hour

The estimate that belongs to an objective is the mean that it compares: 1/E[1/S] for latency, E[S]
for throughput, exp E[ln S] for regret and safe (sums of relative losses, to first order), and
E[t] / E[t/S] for energy and price: how many times less a token costs. Energy is that of time:
devices are taken to draw the same power at every gamma. A verifying pass does more arithmetic in
the same time, so what energy asks for is at most this gamma (`howspec.theory.limits`).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

import numpy as np
from numpy.typing import ArrayLike, NDArray

from ..theory import CostLaw
from ..theory.decision import Decision, decide, samples, score
from ..theory.domain import Floats
from ..theory.interval import Interval, ends

Objective = Literal["safe", "latency", "throughput", "regret", "energy", "price"]
OBJECTIVES: tuple[Objective, ...] = (
    "safe", "latency", "throughput", "regret", "energy", "price",
)  # fmt: skip
# Of them it loses least on measured sweeps of named pairs; see `figures.validation.choices`.
DEFAULT_OBJECTIVE: Objective = "safe"
TOLERANCE = 0.05  # share of the best that a choice may lose and still be called near it
# What each asks for, and the mean over the draws that its estimates are.
MEANINGS: dict[Objective, tuple[str, str]] = {
    "safe": ("least loss against the fastest gamma in the worst tenth of cases", "geometric mean"),
    "latency": ("least mean time for a fixed amount of work", "harmonic mean"),
    "throughput": ("most work in a fixed time", "arithmetic mean"),
    "regret": ("least expected loss against the fastest gamma", "geometric mean"),
    "energy": ("least mean energy a token, at one power at every gamma",
               "harmonic mean weighted by the plain step"),
    "price": ("least mean price a token, at a price by the hour",
              "harmonic mean weighted by the plain step"),
}  # fmt: skip


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


def check_objective(objective: str | None) -> Objective:
    """Return the name of an objective, the usual one for None, or raise ValueError."""
    if objective is None:
        return DEFAULT_OBJECTIVE
    for known in OBJECTIVES:
        if objective == known:
            return known
    raise ValueError(f"objective must be one of {', '.join(OBJECTIVES)}, got {objective!r}")


@dataclass(frozen=True)
class Choice:
    """The best gamma of one draft under an objective, and what is at stake.

    gamma: 0 for plain decoding; speedup: the mean over the draws that belongs to the objective;
    low, high: interval; draws: at that gamma, (draws,); probability_gain: share of the draws above
    1. Arrays by gamma, (gammas,): by_gamma, the same mean, 0 where a gamma was not measured; score,
    what the objective makes largest; probability_best, share of the draws in which it is the
    fastest; probability_within, in which it gives up no more than 5 % of the fastest;
    expected_regret, mean share of the time that a better gamma would save.
    """

    gamma: int
    speedup: float
    low: float
    high: float
    draws: Floats
    probability_gain: float
    level: float
    objective: Objective
    by_gamma: Floats
    score: Floats
    probability_best: Floats
    probability_within: Floats
    expected_regret: Floats

    @property
    def interval(self) -> Interval:
        """The speed-up with its interval."""
        return Interval(self.speedup, self.low, self.high, self.level)

    @property
    def off(self) -> Interval:
        """The speed-up of plain decoding."""
        return Interval(1.0, 1.0, 1.0, self.level)

    @property
    def within(self) -> float:
        """Probability that the choice gives up no more than 5 % of the fastest gamma."""
        return float(self.probability_within[self.gamma])

    @property
    def regret(self) -> float:
        """Mean share of the time that knowing the truth would save."""
        return float(self.expected_regret[self.gamma])

    def window(self, tolerance: float) -> tuple[int, ...]:
        """Gammas whose speed-up is no more than a share below that of the choice."""
        near = self.by_gamma >= (1.0 - tolerance) * self.speedup
        return tuple(int(g) for g in np.flatnonzero(near))


def choose(
    table: Floats,
    *,
    objective: Objective = DEFAULT_OBJECTIVE,
    level: float = 0.9,
    plain: ArrayLike | None = None,
) -> Choice:
    """The best gamma of a table of speed-ups, shape (draws, gammas), one column a gamma from 0.

    table: > 0, or a column of zeros for a gamma that was not measured; objective: of `OBJECTIVES`;
    level: of the interval, in (0, 1); plain: draws of the time of a plain step, (draws,) or one for
    all, in any unit, which energy and price weigh by. Of equals the smallest gamma wins; a gamma
    whose estimate is below that of the first column is not preferred to it. Raises
    ValueError for an unknown objective and for other tables.
    """
    able, known = measured(table)
    kind, weights = _rule(objective, len(table), plain)
    stakes = decide(known, objective=kind, tolerance=TOLERANCE)
    gains = stakes.score if weights is None else score(known, kind, weights=weights)
    center, gains = _worth(known, objective, weights, gains)
    at = int(gains.argmax())
    best = int(np.flatnonzero(able)[at])

    def spread(values: Floats, missing: float = 0.0) -> Floats:
        whole = np.full(able.size, missing)
        whole[able] = values
        return whole

    own = np.ascontiguousarray(table[:, best])
    low, high = ends(own, level)
    return Choice(
        best, float(center[at]), float(low), float(high), own,
        float((own > 1.0).mean()) if best else 0.0, level, objective, spread(center),
        spread(gains), spread(stakes.probability_best), spread(stakes.probability_within),
        spread(stakes.expected_regret, 1.0),
    )  # fmt: skip


def measured(table: Floats) -> tuple[NDArray[np.bool_], Floats]:
    """(which columns of a table hold a measured gamma, those columns, one after the other)."""
    able = np.asarray(table.any(axis=0))
    return able, np.asfortranarray(table if able.all() else table[:, able])


def worth(
    table: Floats, objective: Objective, plain: ArrayLike | None = None
) -> tuple[Floats, Floats]:
    """(by_gamma, score) of the `Choice` from a table of measured gammas alone; see `choose`."""
    kind, weights = _rule(objective, len(table), plain)
    return _worth(table, objective, weights, score(table, kind, weights=weights))


def _worth(
    table: Floats, objective: Objective, weights: Floats | None, gains: Floats
) -> tuple[Floats, Floats]:
    center = estimates(table, objective, weights)
    # What is expected to be slower than plain decoding is worth less than it.
    slower = center < center[0]
    return center, np.where(slower, np.minimum(gains, gains[0] * center / center[0]), gains)


def _rule(
    objective: Objective, draws: int, plain: ArrayLike | None
) -> tuple[samples.Objective, Floats | None]:
    """The objective as one of a sample with weights."""
    weights = None
    if weighed(objective) and plain is not None:
        weights = np.broadcast_to(np.ravel(np.asarray(plain)), draws)
    return sample_rule(objective), weights


def weighed(objective: Objective) -> bool:
    """Whether an objective weighs the draws by the time of a plain step."""
    return objective in ("energy", "price")


def sample_rule(objective: Objective) -> samples.Objective:
    """What an objective makes of a sample: that of a price or an energy is a time with weights."""
    check_objective(objective)
    return "latency" if objective == "energy" or objective == "price" else objective


def estimates(table: Floats, objective: Objective, weights: Floats | None = None) -> Floats:
    """The mean over the draws that belongs to an objective, by column; see the module."""
    if objective in ("regret", "safe"):
        mean = np.exp(np.log(table).mean(axis=0))
    else:
        mean = score(table, "throughput" if objective == "throughput" else "latency",
                     weights=weights)  # fmt: skip
    sure = (table == table[0]).all(axis=0)  # as that of plain decoding, without rounding
    return np.asarray(np.where(sure, table[0], mean))


def among(choices: Sequence[Choice]) -> Decision:
    """What is at stake among choices with draws in common; index 0 is plain decoding, (1 + n,).

    Choices of gamma 0 are plain decoding too, which wins their draws.
    """
    return decide(_with_plain(choices), tolerance=TOLERANCE)


def _with_plain(choices: Sequence[Choice]) -> Floats:
    """Draws of plain decoding and of every choice, (draws, 1 + choices)."""
    plain = np.ones(choices[0].draws.size)
    return np.stack([plain, *(c.draws if c.gamma else plain for c in choices)], axis=1)


def between(choices: Sequence[Choice]) -> Floats:
    """What the objective makes largest among choices with draws in common, (choices,)."""
    if choices[0].objective in ("regret", "safe"):
        return score(_with_plain(choices), sample_rule(choices[0].objective))[1:]
    return np.array([c.speedup for c in choices])
