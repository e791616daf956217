r"""The schedule of a pair: gamma by batch size, from its laws or from a grid of measured speeds.

Gamma 0 by a table is not plain decoding: an engine that holds a drafter is slower at K = 0 than one
without (see `off_price`). Where a schedule is for such an engine, gamma 0 competes at that speed.

A grid holds speeds at several numbers of draft tokens and batches. Between measured batch sizes the
logarithm of each speed is linear in that of the batch; beyond them it stays. Without plain decoding
in the grid the speeds are over the smallest gamma: the schedule says which gamma is the fastest,
and not whether it pays.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Unpack

import numpy as np

from ..calibrate.doors import Deployment, Pair
from ..theory import AcceptanceLaw, CostLaw, tokens_by_gamma
from ..theory.domain import Floats
from .known import Laws, check_seed
from .schedule import Aims, Schedule, schedule_of

if TYPE_CHECKING:
    from ..calibrate.tables.sweep import Sweep

_DRAWS = 400
# One measurement of a speed differs from the next by this much.
SCATTER = 0.015


@dataclass(frozen=True)
class PairSchedule:
    """The schedule of a pair, with what it rests on; notes: what to know before relying on it.

    laws: None where it was made of measured speeds; measured: which; pair: whose it is.
    """

    laws: Laws | None
    made: Schedule
    notes: tuple[str, ...]
    pair: Pair
    measured: str = ""


def pair_schedule(
    laws: Laws,
    *,
    batch_max: int | None = None,
    contexts: Sequence[float] = (),
    priced: bool = False,
    **aims: Unpack[Aims],
) -> PairSchedule:
    """The schedule of a pair; arguments as of `make_schedule`, contexts by default the pair's.

    batch_max: default 256, less where costs or memory end before. Raises ValueError outside the
    ranges and where the pair does not fit in memory.
    """
    known = laws.costs
    most = batch_max
    if most is None:
        most = min(256, known.batch_max or 256)
        if known.memory is not None and known.memory.largest_batch is not None:
            if known.memory.largest_batch < 1:
                raise ValueError(known.memory.line)
            most = min(most, known.memory.largest_batch)
    made = make_schedule(
        laws.acceptance.law, known.law, batch_max=most, gamma_max=laws.gamma_max,
        contexts=tuple(contexts) or (laws.pair.at.cached,), priced=priced, **aims,
    )  # fmt: skip
    notes = [*made.notes, *laws.notes]
    seen = laws.acceptance.gamma
    if seen is not None and max(r.gamma for r in made.ranges) > seen:
        notes.append(f"acceptance beyond position {seen} was not measured, only continued")
    return PairSchedule(laws, made, tuple(dict.fromkeys(notes)), laws.pair)


def make_schedule(
    acceptance: AcceptanceLaw,
    cost: CostLaw,
    *,
    batch_max: int = 256,
    contexts: Sequence[float] = (0.0,),
    gamma_max: int = 16,
    priced: bool = False,
    **aims: Unpack[Aims],
) -> Schedule:
    """The schedule of a pair of laws; arrays of parameters are a sample, paired draw by draw.

    batch_max: in [1, 4096]; contexts: one or more, >= 0 [token]; gamma_max: >= 1 [token]; priced:
    gamma 0 is that of an engine with a drafter, where the schedule speculates at all; the rest as
    in `Aims`. Raises ValueError outside these ranges.
    """
    if int(gamma_max) != gamma_max or gamma_max < 1:
        raise ValueError(f"gamma_max must be an integer in [1, inf), got {gamma_max}")
    if not contexts:
        raise ValueError("contexts must hold one or more numbers, got none")
    tokens = tokens_by_gamma(acceptance, gamma_max)

    def made(priced: bool) -> Schedule:
        sample = _Sample(tokens, cost, tuple(contexts), gamma_max, priced)
        return schedule_of(sample, batch_max=batch_max, contexts=contexts, **aims)

    free = made(False)
    kinds = {r.gamma > 0 for r in free.ranges}
    if not (priced and kinds == {False, True}):
        return free
    found = made(True)
    return replace(found, notes=(*found.notes, *_price_notes(found)))


# Running sequences, and share by which an engine with a drafter decodes more slowly at K = 0 than
# one without: github.com/vllm-project/vllm/issues/49548, one model on one device.
_OFF = ((2.0, 15.317 / 14.374 - 1.0), (189.0, 93.82 / 77.164 - 1.0))


def off_price(batch: float) -> float:
    """Share by which decoding at gamma 0 is slower in an engine that holds a drafter, >= 0.

    Between the measured batches along the logarithm of the batch, beyond them as at the nearest.
    """
    batches, shares = zip(*_OFF, strict=True)
    return float(np.interp(np.log(batch), np.log(batches), shares))


def _price_notes(schedule: Schedule) -> list[str]:
    off = [r for r in schedule.ranges if r.gamma == 0]
    if not off:
        return []
    spans = ", ".join(f"{r.first}-{r.last}: {100 * off_price(r.last):.1f} %" for r in off)
    return [
        "gamma 0 in an engine that holds a drafter is slower than plain decoding without one, by "
        f"up to (batch {spans}), as vLLM was measured (6.6 % at batch 2, 21.6 % at 189); where "
        "the load stays there, run without the drafter"
    ]


class _Sample:
    """Speed-up of every draw at a batch size, the geometric mean over contexts."""

    def __init__(
        self, tokens: Floats, cost: CostLaw, contexts: tuple[float, ...], gamma_max: int,
        priced: bool,
    ) -> None:  # fmt: skip
        self.tokens = np.asfortranarray(np.reshape(tokens, (-1, gamma_max + 1)))
        self.cost, self.contexts = cost, contexts
        self.gamma_max, self.priced = gamma_max, priced

    def draws(self, batch: int) -> Floats:
        """Shape (draws, gamma_max + 1)."""
        tables = []
        for context in self.contexts:
            times = self.cost.round_time(self.gamma_max, batch=batch, context=context)
            if not (np.isfinite(times) & (times > 0.0)).all():
                raise ValueError(f"times of the cost law must be in (0, inf) at batch {batch}")
            times = times.reshape(-1, self.gamma_max + 1)
            tables.append(self.tokens * (times[:, :1] / times))
        found = tables[0] if len(tables) == 1 else np.exp(sum(map(np.log, tables)) / len(tables))
        if self.priced:
            found[:, 0] /= 1.0 + off_price(batch)
        return found

    def plain(self, batch: int) -> Floats:
        """Draws of the time of a plain step, the mean over contexts, (draws,) or (1,)."""
        steps = (self.cost.round_time(0, batch=batch, context=c)[..., 0] for c in self.contexts)
        return np.ravel(sum(steps) / len(self.contexts))


def schedule_from_grid(
    sweeps: Sequence[Sweep],
    rng: np.random.Generator,
    *,
    batch_max: int | None = None,
    scatter: float = SCATTER,
    **aims: Unpack[Aims],
) -> Schedule:
    """The schedule of measured sweeps of one pair, each at one batch size.

    sweeps: of `load_sweeps`, with `Sweep.batch`; batch_max: by default the largest measured;
    scatter: relative error of one speed, >= 0; the rest as in `Aims`. Raises ValueError
    for sweeps of several pairs, without a batch, or of one batch twice.
    """
    grid = _Grid(sweeps, rng, scatter)
    most = int(grid.batches[-1]) if batch_max is None else batch_max
    contexts = (sweeps[0].context or 0.0,)
    return schedule_of(grid, batch_max=most, contexts=contexts, notes=grid.notes, **aims)


def grid_schedule(
    source: str,
    at: Deployment,
    *,
    batch_max: int | None = None,
    seed: int = 0,
    **aims: Unpack[Aims],
) -> PairSchedule:
    """The schedule of a table of measured speeds, of the pair that it holds or that ``at`` names.

    source: a file of measurements, or the name of a bundled one. Raises ValueError for tables that
    are no grid.
    """
    from ..calibrate.library import load_sweeps

    sweeps = load_sweeps(source, at.target, at.draft)
    rng = np.random.default_rng(check_seed(seed))
    made = schedule_from_grid(sweeps, rng, batch_max=batch_max, **aims)
    return PairSchedule(None, made, made.notes, Pair(at, None, None, None, None), source)


class _Grid:
    """Draws of the speed at every gamma, 0 for gammas that were not measured."""

    def __init__(self, sweeps: Sequence[Sweep], rng: np.random.Generator, scatter: float) -> None:
        if not sweeps:
            raise ValueError("sweeps must hold one or more, got none")
        pairs = {(s.target, s.draft) for s in sweeps}
        if len(pairs) > 1:
            named = "; ".join(" + ".join(p) for p in sorted(pairs))
            raise ValueError(f"a schedule is made for one pair, the grid holds {named}")
        batches = [s.batch for s in sweeps]
        if None in batches:
            raise ValueError(
                f"a grid needs a batch or concurrency column, {sweeps[0].label} has none"
            )
        if len(set(batches)) != len(batches):
            twice = next(b for b in batches if batches.count(b) > 1)
            raise ValueError(f"a batch must be in one sweep of the grid, {twice:g} is in several")
        if not scatter >= 0.0:
            raise ValueError(f"scatter must be in [0, inf), got {scatter}")
        order = sorted(sweeps, key=lambda s: s.batch or 0.0)
        self.batches = np.array([s.batch for s in order], dtype=np.float64)
        common = set.intersection(*(set(s.gamma.astype(int).tolist()) for s in order))
        if not common:
            raise ValueError("no gamma was measured at every batch of the grid")
        self.relative = any(s.relative_to for s in order)
        self.gamma_max = max(common)
        gammas = sorted(common)
        logs = np.full((len(order), self.gamma_max + 1), -np.inf)
        for i, s in enumerate(order):
            for g, speed in zip(s.gamma.astype(int), s.speedup, strict=True):
                if g in common:
                    logs[i, g] = np.log(speed)
        if not self.relative:
            logs[:, 0] = 0.0
            gammas = [0, *gammas]
        noise = scatter * rng.standard_normal((_DRAWS, *logs.shape))
        noise[..., 0] = 0.0
        self.sample = logs + noise
        self.notes = self._notes(order, gammas)

    def _notes(self, order: Sequence[Sweep], gammas: list[int]) -> list[str]:
        shown = ", ".join(f"{b:g}" for b in self.batches)
        notes = [f"speeds were measured at batch {shown}, and are interpolated between"]
        if self.relative:
            least = min(s.relative_to for s in order if s.relative_to)
            notes.append(
                f"plain decoding was not measured: speeds are over gamma {least}, so the fastest "
                "gamma is told, and not whether it pays"
            )
        dropped = sorted({int(g) for s in order for g in s.gamma} - set(gammas))
        if dropped:
            notes.append(f"gamma {', '.join(map(str, dropped))} is not in every batch and left out")
        return notes

    def draws(self, batch: int) -> Floats:
        """Speeds at a batch size, shape (draws, gamma_max + 1)."""
        at = np.log(np.clip(float(batch), self.batches[0], self.batches[-1]))
        place = np.log(self.batches)
        right = int(np.clip(np.searchsorted(place, at), 1, max(place.size - 1, 1)))
        if place.size == 1:
            return np.asarray(np.exp(self.sample[:, 0]))
        share = (at - place[right - 1]) / (place[right] - place[right - 1])
        with np.errstate(invalid="ignore"):
            mixed = (1.0 - share) * self.sample[:, right - 1] + share * self.sample[:, right]
        return np.asarray(np.exp(np.where(np.isnan(mixed), -np.inf, mixed)))

    def plain(self, batch: int) -> None:
        """Times in seconds are not known."""
