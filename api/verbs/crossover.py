"""Batch, context and load at which a pair stops paying."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING

from .. import parts
from ..answer import Answer
from ..table import Column, Table, between, percent, whole

if TYPE_CHECKING:
    from matplotlib.figure import Figure

    from ..calibrate.doors.acceptance import AcceptanceSource
    from ..calibrate.doors.costs import CostSource, PlainTimes
    from ..sim.crossover import Crossing, PairCrossover

UNITS = {"batch": "sequences", "context": "tokens", "load": "tokens/s"}


@dataclass(frozen=True, repr=False)
class Crossover(Answer):
    """Where speculation stops paying; see `howspec.crossover`. level: of the intervals."""

    SCHEMA = "crossover"
    VERSION = 2

    found: PairCrossover
    level: float
    inputs: Mapping[str, object]

    @property
    def notes(self) -> tuple[str, ...]:
        return self.found.notes

    @property
    def crossings(self) -> Mapping[str, Crossing]:
        """What was looked at: batch, context, and load where times are in seconds."""
        found = {"batch": self.found.batch, "context": self.found.context, "load": self.found.load}
        return {name: c for name, c in found.items() if c is not None}

    def data(self) -> Mapping[str, object]:
        laws = self.found.laws
        return {
            **{name: self._entry(c) for name, c in self.crossings.items()},
            "fits": self.found.fits, "largest_batch": self.found.largest,
            "target": parts.model_entry(laws.pair.target, laws.pair.at.target),
            "draft": parts.model_entry(laws.pair.draft, laws.pair.at.draft),
            "setting": parts.setting_entry(laws.pair, laws.costs),
            "objective": parts.objective_entry(self.found.objective),
            "parts": {"acceptance": laws.acceptance.kind, "cost": laws.costs.kind},
            "inputs": self.inputs, "notes": self.notes,
        }  # fmt: skip

    def _entry(self, c: Crossing) -> Mapping[str, object]:
        pays = c.pays and self.found.fits
        return {
            "pays": pays, "stops_at": c.at if pays else None,
            "low": c.low if self.found.fits else None, "high": c.high if self.found.fits else None,
            "level": self.level, "starts_at": c.starts, "looked_up_to": c.values[-1],
            "values": c.values, "gamma": c.gamma, "speedup": c.speedup,
            "speedup_low": c.speedup_low, "speedup_high": c.speedup_high,
            "probability_gain": c.probability_gain,
        }  # fmt: skip

    def headline(self) -> str:
        if not self.found.fits:
            memory = self.found.laws.costs.memory
            return f"NO: {'no sequence fits in memory' if memory is None else memory.line}"
        return self._line("batch", self.found.batch)

    def blocks(self) -> Iterator[str | Table]:
        if not self.found.fits:
            return
        for name, crossing in self.crossings.items():
            if name != "batch":
                yield self._line(name, crossing)
        yield from parts.part_lines(self.found.laws, None, None)
        yield parts.objective_line(self.found.objective)
        for name in ("batch", "context"):
            yield self._table(name, self.crossings[name])

    def _line(self, name: str, c: Crossing) -> str:
        at, unit = self.found.laws.pair.at, UNITS[name]
        where = f"batch {at.batch:g}" if name == "context" else f"context {at.cached:g}"
        last = whole(c.values[-1])
        contexts = self.found.laws.costs.contexts
        if name == "context" and contexts is not None and contexts[0] == contexts[1]:
            return f"context: the costs know one context only, {last} {unit}: no crossing is known"
        if not c.pays:
            return f"{name}: NO, it pays at none up to {last} {unit} ({where})"
        begin = "" if c.starts is None else f"pays from {whole(c.starts)} on; "
        ends = [f"beyond {last}" if v is None else whole(v) for v in (c.low, c.high)]
        known = f"{100 * self.level:g} % interval {' to '.join(ends[: 1 if c.low is None else 2])}"
        if c.at is None:
            return (
                f"{name}: {begin}pays up to {last} {unit}, the largest looked at ({where}; stops: "
                f"{known})"
            )
        return f"{name}: {begin}stops paying at {whole(c.at)} {unit} ({where}; {known})"

    def _table(self, name: str, c: Crossing) -> Table:
        at = range(0, len(c.values), 3 if name == "batch" else 1)
        ends = [(c.speedup_low[i], c.speedup_high[i]) if c.gamma[i] else None for i in at]
        return Table((
            Column(name, [c.values[i] for i in at], whole),
            Column("gamma", [c.gamma[i] for i in at]),
            Column("speed-up", [c.speedup[i] for i in at], ".3f"),
            Column("interval", ends, between),
            Column("pays", [c.probability_gain[i] for i in at], percent),
        ))  # fmt: skip

    def draw(self) -> Figure:
        """Speed-up against batch and against context, with the crossings."""
        from ..figures.answers import crossover_curves

        return crossover_curves(self.crossings)


def crossover(
    *,
    target: str | None = None,
    draft: str | None = None,
    device: str | None = None,
    acceptance: AcceptanceSource = None,
    costs: CostSource = None,
    acceptance_length: str | float | None = None,
    gamma: int | None = None,
    plain_ms: PlainTimes = None,
    task: str | None = None,
    temperature: float | None = None,
    batch: float = 1.0,
    context: float | None = None,
    batch_max: int = 1024,
    dtype: str = "",
    stack: str | None = None,
    gamma_max: int | None = None,
    objective: str | None = None,
    level: float = 0.9,
    seed: int = 0,
    online: bool = False,
) -> Crossover:
    """Find the batch, context and load at which the best gamma becomes 0.

    Batch and load at the context, context at the batch. The load is of generated tokens, with the
    batch that keeps up with it. batch_max: largest batch looked at. Costs must depend on batch or
    context. Other arguments and errors as of `howspec.predict`.
    """
    inputs = parts.asked(locals(), crossover)
    from ..calibrate.doors import Deployment
    from ..sim.choice import check_objective
    from ..sim.crossover import pair_crossover
    from ..sim.known import Sources
    from ..sim.laws import both_laws

    at = Deployment(
        target, draft, device, dtype, "", stack, batch, context, task, temperature, online=online
    )
    given = Sources(acceptance, acceptance_length, gamma, costs=costs, plain_ms=plain_ms)
    given.check_gamma()
    goal = check_objective(objective)
    laws = both_laws(at, given, gamma_max=gamma_max, seed=seed)
    found = pair_crossover(laws, batch_max=batch_max, objective=goal, level=level)
    return Crossover(found, level, inputs)
