r"""Gamma by batch size: the best one everywhere, and as few changes of it as 1 % allows.

    gamma*(B) = what the objective chooses among 0..gamma_max of E[N] C(0, B) / C(gamma, B)

Near the optimum the speed-up is flat, so a table of the argmax at every batch size flickers between
neighbours for nothing. The schedule is the table with the fewest changes in which every batch size
keeps at least (1 - tolerance) of its best score, and among those the one with the largest mean
of the logarithm; a dynamic programme over batch sizes finds it exactly.

Where the speeds come from, laws or a measured grid, is in `pair_schedule`.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise
from typing import Protocol, TypedDict

import numpy as np
from numpy.typing import NDArray

from ..theory.domain import Floats
from ..theory.interval import Interval, check_level, ends
from .choice import DEFAULT_OBJECTIVE, Objective, measured, weighed, worth

LARGEST_BATCH = 4096
# Weights that rank the three aims one after the other: tolerance, few changes, speed.
_BEYOND, _CHANGE = 1e6, 1.0
_LOSS = 1e-4


@dataclass(frozen=True)
class Range:
    """Batch sizes first..last with one gamma, 0 for plain decoding.

    speedup: at ``last`` and at ``first``, whichever is smaller, with its interval; best: the best
    gammas of the range, from the smallest to the largest; window: gammas within the tolerance at
    every batch size of the range; loss: most that a batch size of the range gives up, as a share.
    """

    first: int
    last: int
    gamma: int
    speedup: Interval
    best: tuple[int, int]
    window: tuple[int, ...]
    loss: float


@dataclass(frozen=True)
class Schedule:
    """Gamma by batch size for 1..batch_max, in ranges that follow on each other.

    contexts: cached tokens of each sequence that it was made for, each with the same weight;
    objective: what was made largest; best_gamma, best_speedup: without smoothing, shape
    (batch_max,), the latter the mean that belongs to the objective; likely: per range, gammas that
    are the best with a probability of 10 % or more, for engines that adapt; notes.
    """

    ranges: tuple[Range, ...]
    gamma_max: int
    contexts: tuple[float, ...]
    tolerance: float
    objective: Objective
    best_gamma: NDArray[np.int64]
    best_speedup: Floats
    likely: tuple[tuple[int, ...], ...]
    notes: tuple[str, ...]

    @property
    def batch_max(self) -> int:
        """The largest batch size that the schedule covers."""
        return self.ranges[-1].last

    def gamma(self, batch: int) -> int:
        """The gamma of a batch size; beyond the largest one, that of the largest."""
        if batch < 1:
            raise ValueError(f"batch must be an integer in [1, inf), got {batch}")
        return next((r.gamma for r in self.ranges if batch <= r.last), self.ranges[-1].gamma)


class Aims(TypedDict, total=False):
    """What a schedule is made for.

    tolerance: share of the speed-up that smoothing may cost, in [0, 1), default 0.01; objective:
    what gamma makes largest; level: of the intervals, default 0.9; falling: gamma never rises with
    the batch, as some engines require, at whatever loss that needs.
    """

    tolerance: float
    objective: Objective
    level: float
    falling: bool


class Speeds(Protocol):
    """Draws of the speed of every gamma at a batch size."""

    gamma_max: int

    def draws(self, batch: int) -> Floats:
        """Speed-ups, shape (draws, gamma_max + 1), 0 at a gamma that was not measured."""
        ...

    def plain(self, batch: int) -> Floats | None:
        """Draws of the time of a plain step, (draws,) or (1,), None where it is not known."""
        ...


def schedule_of(
    sample: Speeds,
    *,
    batch_max: int,
    contexts: Sequence[float],
    tolerance: float = 0.01,
    objective: Objective = DEFAULT_OBJECTIVE,
    level: float = 0.9,
    falling: bool = False,
    notes: Sequence[str] = (),
) -> Schedule:
    """The schedule of speeds, wherever they come from; the options as in `Aims`."""
    check_level(level)
    if int(batch_max) != batch_max or not 1 <= batch_max <= LARGEST_BATCH:
        raise ValueError(f"batch_max must be an integer in [1, {LARGEST_BATCH}], got {batch_max}")
    if not 0.0 <= tolerance < 1.0:
        raise ValueError(f"tolerance must be in [0, 1), got {tolerance}")
    gamma_max = sample.gamma_max
    by_gamma, speed, chance = np.zeros((3, batch_max, gamma_max + 1))
    for b, row in enumerate(zip(by_gamma, speed, chance, strict=True), start=1):
        able, table = measured(sample.draws(b))
        plain = sample.plain(b) if weighed(objective) else None
        fastest = np.bincount(table.argmax(axis=1), minlength=table.shape[1]) / len(table)
        for part, values in zip(row, (*worth(table, objective, plain), fastest), strict=True):
            part[able] = values
    gammas = _smooth(speed, tolerance, falling)
    best = speed.argmax(axis=1)
    ranges, likely = [], []
    starts = [0, *(np.flatnonzero(np.diff(gammas)) + 1).tolist(), batch_max]
    for start, stop in pairwise(starts):
        gamma = int(gammas[start])
        least = start + int(by_gamma[start:stop, gamma].argmin())
        low, high = ends(sample.draws(least + 1)[:, gamma], level)
        slowest = Interval(float(by_gamma[least, gamma]), float(low), float(high), level)
        ranges.append(_range(speed[start:stop], start, gamma, slowest, tolerance))
        seen = np.flatnonzero(chance[start:stop].mean(axis=0) >= 0.1)
        likely.append(tuple(sorted({int(g) for g in seen} | {gamma})))
    return Schedule(
        ranges=tuple(ranges),
        gamma_max=gamma_max,
        contexts=tuple(float(c) for c in contexts),
        tolerance=tolerance,
        objective=objective,
        best_gamma=best,
        best_speedup=by_gamma[np.arange(batch_max), best],
        likely=tuple(likely),
        notes=(
            *notes,
            *_notes(speed, gammas, ranges, gamma_max, tolerance, falling, len(contexts)),
        ),
    )


def _smooth(speed: Floats, tolerance: float, falling: bool) -> NDArray[np.int64]:
    """Gamma of every batch size by dynamic programming; ``speed`` of shape (batches, gammas)."""
    best = speed.max(axis=1, keepdims=True)
    with np.errstate(divide="ignore"):  # a gamma that was not measured has no speed
        loss = np.log(best / speed)
    beyond = np.maximum(loss + np.log1p(-tolerance), 0.0)
    price = _BEYOND * np.where(beyond > 1e-12, beyond, 0.0) + _LOSS * loss
    price[speed < speed[:, :1]] = np.inf  # fewer changes are no reason to be slower than plain
    # A gain within the tolerance is no gain: what is turned on must be worth its trouble.
    idle = best[:, 0] * (1.0 - tolerance) <= speed[:, 0]
    price[idle, 1:] = np.inf
    size = speed.shape[1]
    change = _CHANGE * (1.0 - np.eye(size))  # [from, to]
    if falling:
        change[np.triu_indices(size, 1)] = np.inf
    total, steps = price[0], np.zeros(speed.shape, np.int64)
    for b in range(1, len(speed)):
        paths = total[:, None] + change
        steps[b] = paths.argmin(axis=0)
        total = paths.min(axis=0) + price[b]
    gammas = np.empty(len(speed), np.int64)
    gammas[-1] = int(total.argmin())
    for b in range(len(speed) - 1, 0, -1):
        gammas[b - 1] = steps[b][gammas[b]]
    return gammas


def _range(part: Floats, start: int, gamma: int, slowest: Interval, tolerance: float) -> Range:
    """Of the scores of its batch sizes, (batches, gammas)."""
    best = part.argmax(axis=1)
    share = part / part.max(axis=1, keepdims=True)
    return Range(
        first=start + 1,
        last=start + len(part),
        gamma=gamma,
        speedup=slowest,
        best=(int(best.min()), int(best.max())),
        window=tuple(int(g) for g in np.flatnonzero(share.min(axis=0) >= 1.0 - tolerance)),
        loss=float(1.0 - share[:, gamma].min()),
    )


def _notes(
    speed: Floats,
    gammas: NDArray[np.int64],
    ranges: Sequence[Range],
    gamma_max: int,
    tolerance: float,
    falling: bool,
    contexts: int,
) -> list[str]:
    notes = []
    off = [r for r in ranges if r.gamma == 0]
    if off and len(off) == len(ranges):
        notes.append("do not speculate: no gamma pays at any batch size tried")
    elif off:
        spans = ", ".join(f"{r.first}-{r.last}" for r in off)
        notes.append(f"plain decoding (gamma 0) is the fastest, or as fast, at batch {spans}")
    if (gammas == gamma_max).any():
        notes.append(f"gamma {gamma_max} is the largest tried; the optimum may lie beyond")
    worst = max(r.loss for r in ranges)
    if falling and worst > tolerance + 1e-9:
        notes.append(
            f"gamma may not rise with the batch, which costs up to {100 * worst:.1f} % of speed"
        )
    if np.ptp(speed, axis=0).max() < 1e-9 and len(speed) > 1:
        notes.append("the costs do not depend on the batch, so the schedule cannot either")
    if contexts > 1:
        notes.append("speed-ups are geometric means over the contexts, each with the same weight")
    return notes
