"""Measured speed-ups, as published rows state them, and the sweeps over gamma that they make."""

from __future__ import annotations

import math
from collections import defaultdict
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from functools import cached_property

import numpy as np
from numpy.typing import NDArray

from ...theory.domain import Floats
from ..library.load import study_of
from ..tables.sweep import Sweep, printed_digit, read_only

PLAIN_DECODING = "plain decoding"


@dataclass(frozen=True)
class MeasuredRow:
    """One row of a table; NaN is "not stated", gamma 0 where the draft is no chain.

    alpha: as stated; alpha_kind: what it is, a metric of `acceptance_cells`, "" where that is not
    said; tau_is_derived: whether tau was computed from alpha; objection: why not to use it;
    speedup_step: one unit of the last digit that the speed-up was printed with, 0 where not known;
    longest, p_min: most tokens of a draft that ends where its confidence falls below p_min, 0 and
    None where drafts are no such.
    """

    id: str
    target: str
    draft: str
    engine: str
    hardware: str
    precision: str
    method: str
    task: str
    temperature: str
    batch: str
    gamma: int
    alpha: float
    tau: float
    cost_ratio: float
    speedup: float
    base_rate: float
    spec_rate: float = math.nan
    target_params: float = math.nan
    draft_params: float = math.nan
    alpha_kind: str = ""
    tau_is_derived: bool = False
    objection: str = ""
    source: str = ""
    speedup_step: float = 0.0
    longest: int = 0
    p_min: float | None = None

    @property
    def label(self) -> str:
        """Target, draft, task and batch, for tables and messages."""
        parts = (f"{self.target} + {self.draft}", self.task, self.hardware)
        batch = f"batch {self.batch}" if self.batch else ""
        gamma = f"gamma up to {self.longest}" if self.longest else f"gamma {self.gamma}"
        return ", ".join(p for p in (*parts, batch, gamma) if p)

    @property
    def batch_size(self) -> float:
        """The batch as a number, NaN where it is not one."""
        try:
            return float(self.batch)
        except ValueError:
            return math.nan

    @property
    def study(self) -> str:
        """Who measured: the paper, repository or thread, the engine where no source is stated."""
        return study_of(self.source) or squeezed(self.engine)


def squeezed(name: str) -> str:
    """A name without capitals, spaces and punctuation, which sources write as they like."""
    return "".join(c for c in name.casefold() if c.isalnum())


def work_of(row: MeasuredRow) -> tuple[object, ...]:
    """What plain decoding and drafting must share to be compared."""
    names = tuple(squeezed(n) for n in (row.target, row.task, row.engine, row.hardware))
    batch = row.batch_size
    return (*names, squeezed(row.batch) if math.isnan(batch) else batch)


@dataclass(frozen=True)
class GammaSweep:
    """Rows of one group, each at another gamma, sorted; tau None unless stated at every gamma."""

    rows: tuple[MeasuredRow, ...]

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

    @cached_property
    def sweep(self) -> Sweep:
        """The numbers alone, as a sweep file would give them."""
        r = self.rows[0]
        return Sweep(
            r.target,
            r.draft,
            read_only(self.gammas),
            read_only(self.speedups),
            tokens_per_round=None if self.tau is None else read_only(self.tau),
            workload=f"{r.task}, batch {r.batch}",
            source=r.source or squeezed(r.engine),
            setting=", ".join((r.engine, r.hardware, r.precision)),
            digit=printed_digit(self.speedups),
        )


def gamma_sweeps(rows: Iterable[MeasuredRow], *, least: int = 2) -> tuple[GammaSweep, ...]:
    """Group usable rows by target, draft, task, engine, hardware and batch, in any spelling.

    Where a group holds a gamma twice it is split further by form of the draft, precision and
    temperature, then by source, and left out if that does not make its gammas unique.
    """
    groups: dict[tuple[object, ...], list[MeasuredRow]] = defaultdict(list)
    for r in rows:
        if r.gamma and np.isfinite(r.speedup) and not r.objection:
            groups[(*work_of(r), squeezed(r.draft))].append(r)
    found = []
    for members in groups.values():
        for part in _unique(members):
            if len(part) >= least:
                found.append(GammaSweep(tuple(sorted(part, key=lambda r: r.gamma))))
    return tuple(found)


def _unique(members: list[MeasuredRow]) -> list[list[MeasuredRow]]:
    """The parts of a group in which no gamma occurs twice."""
    done: list[list[MeasuredRow]] = []
    open_parts = [members]
    for split_by in (None, ("method", "precision", "temperature"), ("source",)):
        finer: list[list[MeasuredRow]] = []
        for part in open_parts:
            for own in _split(part, split_by) if split_by else [part]:
                once = len({r.gamma for r in own}) == len(own)
                (done if once else finer).append(own)
        open_parts = finer
    return done


def _split(rows: Sequence[MeasuredRow], names: Sequence[str]) -> list[list[MeasuredRow]]:
    parts: dict[tuple[str, ...], list[MeasuredRow]] = defaultdict(list)
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
