"""Gamma by batch size from a measured grid: speeds at several numbers of draft tokens and batches.

Between measured batch sizes the logarithm of each speed is linear in that of the batch; beyond them
it stays. Without plain decoding in the grid the speeds are over the smallest gamma: the schedule
says which gamma is the fastest, and not whether it pays.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Unpack

import numpy as np
from numpy.typing import NDArray

from ..calibrate.doors import Deployment, Pair
from ..calibrate.library import load_sweeps
from ..calibrate.tables.sweep import Sweep
from .known import check_seed
from .schedule import Aims, PairSchedule, Schedule, schedule_of

Floats = NDArray[np.float64]
_DRAWS = 400
# One measurement of a speed differs from the next by this much.
SCATTER = 0.015


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
