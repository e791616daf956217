"""A cost record as a table of limits: every pass beside its floor, and what bounds it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

from ..calibrate.records import Record
from .roofline_bounds import LAUNCHES, UNKNOWN, Bound, FixedLaw, bound_of, fixed_law
from .roofline_record import CostLimits, Machine, PassRow, cost_limits
from .style import write_csv, write_latex

COLUMNS = (
    "model", "parameters", "layers", "tokens", "batch", "context", "bytes", "eager_s",
    "eager_low_s", "eager_high_s", "graph_s", "graph_low_s", "graph_high_s", "memory_s",
    "compute_s", "floor_s", "eager_over_floor", "graph_over_floor", "eager_over_graph",
    "fits_a_cache", "eager_bound", "eager_share", "graph_bound", "graph_share", "reason",
)  # fmt: skip


@dataclass(frozen=True)
class LimitsTable:
    """Limits of a record with the laws of its modes, None for a mode that has too few models."""

    limits: CostLimits
    laws: Mapping[str, FixedLaw | None]

    def rows(self, tokens: int | None = None) -> tuple[PassRow, ...]:
        """All passes, or those of one number of new tokens."""
        return tuple(r for r in self.limits.rows if tokens is None or r.tokens == tokens)

    @cached_property
    def _bounds(self) -> dict[tuple[str, int, int, int, str], Bound]:
        return {
            (r.model.name, *r.place, r.tokens, mode): bound_of(r, mode, self.laws)
            for r in self.limits.rows
            for mode in r.times
        }

    def bound(self, row: PassRow, mode: str) -> Bound | None:
        """What bounds a pass in a mode, None where it was not timed in it."""
        return self._bounds.get((row.model.name, *row.place, row.tokens, mode))

    def cells(self, row: PassRow) -> dict[str, Any]:
        """One pass by the columns of the table; None where nothing is known."""
        eager, graph = (row.times.get(m) for m in ("eager", "graph"))
        bounds = {m: self.bound(row, m) for m in ("eager", "graph")}
        cells: dict[str, Any] = {
            "model": row.model.name, "parameters": row.model.parameters,
            "layers": row.model.layers, "tokens": row.tokens, "batch": row.batch,
            "context": row.context, "bytes": row.moved, "memory_s": row.memory_s,
            "compute_s": row.compute_s, "floor_s": row.floor_s,
            "eager_over_floor": row.over_floor("eager"),
            "graph_over_floor": row.over_floor("graph"),
            "eager_over_graph": row.eager_over_graph, "fits_a_cache": row.cached,
            "reason": "; ".join(f"{m}: {b.reason}" for m, b in bounds.items() if b),
        }  # fmt: skip
        for mode, times in (("eager", eager), ("graph", graph)):
            cells[f"{mode}_s"] = times.median if times else None
            cells[f"{mode}_low_s"] = times.low if times else None
            cells[f"{mode}_high_s"] = times.high if times else None
            found = bounds[mode]
            cells[f"{mode}_bound"] = found.what if found else None
            cells[f"{mode}_share"] = found.share if found else None
        return {name: cells[name] for name in COLUMNS}

    @property
    def lines(self) -> tuple[str, ...]:
        """What the record says of its machine, in a few lines."""
        laws = [law.line for law in self.laws.values() if law is not None]
        silent = [m for m, law in self.laws.items() if law is None]
        if silent:
            laws.append(f"no law of fixed times ({', '.join(silent)}): too few models or depths")
        return (*_machine_lines(self.limits.machine), *laws, *self._launch_lines())

    def _launch_lines(self) -> list[str]:
        out = []
        for mode in self.limits.modes:
            timed = [r for r in self.rows(tokens=1) if mode in r.times]
            bound = {(r.model.name, r.place) for r in timed if self._launched(r, mode)}
            by_size = [r.model.parameters for r in timed if self._launched(r, mode)]
            text = f"{mode}: launches take most of {len(bound)} of {len(timed)} passes of one token"
            if by_size:
                text += f", of models of up to {_words(max(by_size))} parameters"
            out.append(text)
        return out

    def _launched(self, row: PassRow, mode: str) -> bool:
        found = self.bound(row, mode)
        return found is not None and found.what == LAUNCHES


def limits_table(record: Record, family: Mapping[str, Any] | None = None) -> LimitsTable:
    """The limits of a cost record. Raises ValueError for another kind, or without any pass."""
    limits = cost_limits(record, family)
    return LimitsTable(limits, {mode: fixed_law(limits, mode) for mode in limits.modes})


def _machine_lines(machine: Machine) -> list[str]:
    lines = []
    if machine.bandwidth is None:
        lines.append(f"{machine.device}: no copy was timed, so that there is no memory floor")
    else:
        b = machine.bandwidth
        lines.append(
            f"{machine.device}: copy {b.median / 1e9:.4g} GB/s (quartiles {b.low / 1e9:.4g} to "
            f"{b.high / 1e9:.4g})"
        )
    if machine.launch_s is not None:
        lines.append(f"an operation that does nothing: {1e6 * machine.launch_s.median:.3g} us")
    if machine.peak is not None:
        lines.append(f"peak rate of the table: {machine.peak / 1e12:.4g} Top/s")
    elif machine.reached is not None:
        lines.append(
            f"no peak rate is known; the fastest pass reached {machine.reached / 1e9:.3g} Gop/s"
        )
    known = f"{machine.cache / 1e6:.3g} MB" if machine.cache else "of unknown size"
    lines.append(f"cache {known}: where a pass fits into it, its memory time is no floor")
    return lines


def _words(parameters: float) -> str:
    for unit, size in (("B", 1e9), ("M", 1e6), ("k", 1e3)):
        if parameters >= size:
            return f"{parameters / size:.3g} {unit}"
    return f"{parameters:g}"


# e and g: eager and graph; B: sequences; the share is that of what bounds the pass.
SHORT = ("model", "params", "layers", "B", "context", "eager ms", "graph ms", "floor ms", "e/floor",
         "g/floor", "e/g", "cache", "eager bound", "graph bound")  # fmt: skip


def short_rows(table: LimitsTable, tokens: int = 1) -> list[list[str]]:
    """The passes of one number of new tokens as text, for a screen or a page."""
    return [_short(table, row) for row in table.rows(tokens)]


def _short(table: LimitsTable, row: PassRow) -> list[str]:
    ratios = (row.over_floor("eager"), row.over_floor("graph"), row.eager_over_graph)
    times = (row.median_s("eager"), row.median_s("graph"), row.floor_s)
    bounds = [table.bound(row, m) for m in ("eager", "graph")]
    return [
        row.model.name,
        _words(row.model.parameters),
        str(row.model.layers),
        str(row.batch),
        str(row.context),
        *("-" if t is None else f"{1e3 * t:.3g}" for t in times),
        *("-" if r is None else f"{r:.3g}" for r in ratios),
        row.cached,
        *("-" if b is None else _share(b) for b in bounds),
    ]


def _share(bound: Bound) -> str:
    return bound.what if bound.what == UNKNOWN else f"{bound.what} {bound.share:.0%}"


def write_limits(table: LimitsTable, out: Path, name: str) -> list[Path]:
    """Every pass as CSV, those of one token as LaTeX."""
    numbers = [["" if v is None else v for v in table.cells(row).values()] for row in table.rows()]
    tex = [[_latex(cell) for cell in row] for row in short_rows(table)]
    return [
        write_csv(out, name, COLUMNS, numbers),
        write_latex(out, name, [_latex(c) for c in SHORT], tex, align="lrrrrrrrrrrlll"),
    ]


def _latex(cell: str) -> str:
    return cell.replace("%", r"\,\%").replace("_", r"\_")
