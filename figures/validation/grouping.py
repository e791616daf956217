"""Sweeps over gamma: rows of one target, draft, task, engine, machine and batch."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from .baselines import work_of
from .measured import Measured, squeezed
from .result import Floats


@dataclass(frozen=True)
class GammaSweep:
    """Rows of one group, each at another gamma, sorted; tau None unless stated at every gamma."""

    rows: tuple[Measured, ...]

    @property
    def gammas(self) -> NDArray[np.int64]:
        """Shape (points,) [token]."""
        return np.array([r.gamma for r in self.rows])

    @property
    def speedups(self) -> Floats:
        """Shape (points,)."""
        return np.array([r.speedup for r in self.rows])

    @property
    def tau(self) -> Floats | None:
        """Tokens per round, shape (points,), or None."""
        values = np.array([r.tau for r in self.rows])
        return values if np.isfinite(values).all() else None

    @property
    def family(self) -> tuple[object, ...]:
        """What sister sweeps share: pair, engine, machine, precision, gammas; in any spelling."""
        r = self.rows[0]
        names = (r.target, r.draft, r.engine, r.hardware, r.precision)
        return (*(squeezed(n) for n in names), tuple(int(g) for g in self.gammas))

    @property
    def study(self) -> str:
        """Who measured."""
        return self.rows[0].study


def gamma_sweeps(rows: Iterable[Measured], *, least: int = 2) -> tuple[GammaSweep, ...]:
    """Group usable rows by target, draft, task, engine, hardware and batch, in any spelling.

    Where a group holds a gamma twice it is split further by form of the draft, precision and
    temperature, then by source, and left out if that does not make its gammas unique.
    """
    groups: dict[tuple[object, ...], list[Measured]] = defaultdict(list)
    for r in rows:
        if r.gamma and np.isfinite(r.speedup) and not r.objection:
            groups[(*work_of(r), squeezed(r.draft))].append(r)
    found = []
    for members in groups.values():
        for part in _unique(members):
            if len(part) >= least:
                found.append(GammaSweep(tuple(sorted(part, key=lambda r: r.gamma))))
    return tuple(found)


def _unique(members: list[Measured]) -> list[list[Measured]]:
    """The parts of a group in which no gamma occurs twice."""
    done: list[list[Measured]] = []
    open_parts = [members]
    for split_by in (None, ("method", "precision", "temperature"), ("source",)):
        finer: list[list[Measured]] = []
        for part in open_parts:
            for own in _split(part, split_by) if split_by else [part]:
                once = len({r.gamma for r in own}) == len(own)
                (done if once else finer).append(own)
        open_parts = finer
    return done


def _split(rows: Sequence[Measured], names: Sequence[str]) -> list[list[Measured]]:
    parts: dict[tuple[str, ...], list[Measured]] = defaultdict(list)
    for r in rows:
        parts[tuple(getattr(r, name) for name in names)].append(r)
    return list(parts.values())


def shares_rows(a: GammaSweep, b: GammaSweep) -> bool:
    """Whether two sweeps share a measurement, as far as two sources can be compared."""

    def cells(sweep: GammaSweep) -> set[tuple[object, ...]]:
        return {
            (*(squeezed(n) for n in (r.target, r.draft, r.task)),
             squeezed(r.batch) if np.isnan(r.batch_size) else r.batch_size, r.gamma)
            for r in sweep.rows
        }  # fmt: skip

    return bool(cells(a) & cells(b))
