"""Every pass of a cost record beside its floor."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property
from typing import Any

from ..calibrate.records import Record
from .roofline import TimedModel, timed_models
from .roofline_machine import Machine, Quartiles, machine_of, quartiles, timed_points

MODES = ("eager", "graph")


@dataclass(frozen=True)
class PassRow:
    """One pass of a record in both modes; None where it was not measured or is not known.

    moved: bytes that it must move; memory_s: these at the copy's bandwidth; compute_s: its
    operations at the peak, reached_s: at the highest rate of the record where there is no peak.
    """

    model: TimedModel
    tokens: int
    batch: int
    context: int
    times: Mapping[str, Quartiles]
    moved: float | None
    memory_s: float | None
    compute_s: float | None
    reached_s: float | None
    cached: str

    @property
    def place(self) -> tuple[int, int]:
        """(batch, context)."""
        return self.batch, self.context

    @property
    def floor_s(self) -> float | None:
        """The larger of the two floors that are known [s]."""
        known = [t for t in (self.memory_s, self.compute_s) if t is not None]
        return max(known) if known else None

    @property
    def work_s(self) -> float | None:
        """The floor, with the highest rate reached in place of a peak that is not known [s]."""
        known = [t for t in (self.floor_s, self.reached_s) if t is not None]
        return max(known) if known else None

    def median_s(self, mode: str) -> float | None:
        """Median time in a mode [s]."""
        return self.times[mode].median if mode in self.times else None

    def over_floor(self, mode: str) -> float | None:
        """Measured time over the floor."""
        return _ratio(self.median_s(mode), self.floor_s)

    @property
    def eager_over_graph(self) -> float | None:
        """How much slower the same pass is where every operation is launched from the host."""
        return _ratio(self.median_s("eager"), self.median_s("graph"))


def _ratio(above: float | None, below: float | None) -> float | None:
    return above / below if above is not None and below else None


@dataclass(frozen=True)
class CostLimits:
    """Machine and passes of a cost record, the largest model first."""

    machine: Machine
    rows: tuple[PassRow, ...]

    @property
    def models(self) -> dict[str, TimedModel]:
        """By name, the largest first."""
        return {r.model.name: r.model for r in self.rows}

    @property
    def modes(self) -> tuple[str, ...]:
        """The modes that were measured."""
        return tuple(m for m in MODES if any(m in r.times for r in self.rows))

    @property
    def tokens(self) -> tuple[int, ...]:
        """The numbers of new tokens that were measured."""
        return tuple(sorted({r.tokens for r in self.rows}))

    def at(self, model: str, place: tuple[int, int], tokens: int = 1) -> PassRow | None:
        """One pass, None where it was not measured."""
        return self._index.get((model, *place, tokens))

    @cached_property
    def _index(self) -> dict[tuple[str, int, int, int], PassRow]:
        return {(r.model.name, *r.place, r.tokens): r for r in self.rows}

    @property
    def places(self) -> tuple[tuple[int, int], ...]:
        """(batch, context) of single tokens: those that most models have first, then the smallest.

        A usual place of drafting, batch 1 at a short context, comes before all others.
        """
        count: dict[tuple[int, int], int] = {}
        for r in self.rows:
            if r.tokens == 1:
                count[r.place] = count.get(r.place, 0) + 1
        return tuple(sorted(count, key=lambda p: (-count[p], p)))


def cost_limits(record: Record, family: Mapping[str, Any] | None = None) -> CostLimits:
    """Every pass of a cost record beside its floor.

    family: of a trained ladder, which knows the widths of its models. Raises ValueError for another
    kind of record, an unknown mode, and where no pass has times.
    """
    models = timed_models(record, family)
    machine = machine_of(record, models)
    found: dict[tuple[str, int, int, int], dict[str, Quartiles]] = {}
    for p in timed_points(record, "pass"):
        if p["mode"] not in MODES:
            raise ValueError(f"mode must be one of {', '.join(MODES)}, got {p['mode']!r}")
        key = (p["model"], p["batch"], p["context"], p["tokens"])
        found.setdefault(key, {})[p["mode"]] = quartiles(p["times_s"])
    if not found:
        raise ValueError("record must hold at least one pass with times, got none")
    rows = [
        _row(models[name], tokens, (batch, context), times, machine)
        for (name, batch, context, tokens), times in found.items()
    ]
    rows.sort(key=lambda r: (-r.model.parameters, r.model.name, *r.place, r.tokens))
    return CostLimits(machine, tuple(rows))


def _row(
    model: TimedModel,
    tokens: int,
    place: tuple[int, int],
    times: Mapping[str, Quartiles],
    machine: Machine,
) -> PassRow:
    batch, context = place
    moved = model.pass_bytes(tokens, batch=batch, context=context)
    bandwidth = machine.bandwidth.median if machine.bandwidth else None
    memory = model.memory_s(tokens, batch=batch, context=context, bandwidth=bandwidth)
    compute = model.compute_s(tokens, batch=batch, context=context, rate=machine.peak)
    reached = None
    if machine.peak is None:
        reached = model.compute_s(tokens, batch=batch, context=context, rate=machine.reached)
    return PassRow(
        model, tokens, batch, context, times, moved, memory, compute, reached,
        machine.cached(moved),
    )  # fmt: skip
