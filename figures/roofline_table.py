"""The passes of a cost record as a table: beside their floor, and what bounds them."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from .roofline_limits import LAUNCHES, UNKNOWN, Bound, CostLimits
from .roofline_record import MODES, Machine, PassRow
from .style import write_csv, write_latex


def cells_of(limits: CostLimits, row: PassRow) -> dict[str, Any]:
    """One pass by the columns of the table; None where nothing is known."""
    bounds = {m: limits.bound(row, m) for m in MODES}
    cells: dict[str, Any] = {
        "model": row.model.name, "parameters": row.model.parameters, "layers": row.model.layers,
        "tokens": row.tokens, "batch": row.batch, "context": row.context, "bytes": row.moved,
    }  # fmt: skip
    for mode in MODES:
        times = row.times.get(mode)
        for name, what in (("", "median"), ("low_", "low"), ("high_", "high")):
            cells[f"{mode}_{name}s"] = getattr(times, what) if times else None
    cells |= {
        "memory_s": row.memory_s, "compute_s": row.compute_s, "floor_s": row.floor_s,
        "eager_over_floor": row.over_floor("eager"), "graph_over_floor": row.over_floor("graph"),
        "eager_over_graph": row.eager_over_graph, "fits_a_cache": row.cached,
    }  # fmt: skip
    for mode, bound in bounds.items():
        cells |= {f"{mode}_bound": bound and bound.what, f"{mode}_share": bound and bound.share}
    reasons = (f"{m}: {b.reason}" for m, b in bounds.items() if b)
    return cells | {"reason": "; ".join(reasons)}


def limit_lines(limits: CostLimits) -> list[str]:
    """What the record says of its machine, in a few lines."""
    lines = [*_machine_lines(limits.machine), *(f.line for f in limits.laws.values() if f)]
    silent = [m for m, law in limits.laws.items() if law is None]
    if silent:
        lines.append(f"no law of fixed times ({', '.join(silent)}): too few models or depths")
    for mode in limits.modes:
        bounds = [(r, limits.bound(r, mode)) for r in limits.single if mode in r.times]
        launched = [r for r, bound in bounds if bound is not None and bound.what == LAUNCHES]
        text = f"{mode}: launches take most of {len(launched)} of {len(bounds)} passes of one token"
        if launched:
            largest = max(r.model.parameters for r in launched)
            text += f", of models of up to {_words(largest)} parameters"
        lines.append(text)
    return lines


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


def short_rows(limits: CostLimits) -> list[list[str]]:
    """The passes of one new token as text, for a screen or a page."""
    return [_short(limits, row) for row in limits.single]


def _short(limits: CostLimits, row: PassRow) -> list[str]:
    ratios = (row.over_floor("eager"), row.over_floor("graph"), row.eager_over_graph)
    times = (row.median_s("eager"), row.median_s("graph"), row.floor_s)
    bounds = [limits.bound(row, m) for m in MODES]
    return [
        row.model.name, _words(row.model.parameters), str(row.model.layers), str(row.batch),
        str(row.context),
        *("-" if t is None else f"{1e3 * t:.3g}" for t in times),
        *("-" if r is None else f"{r:.3g}" for r in ratios),
        row.cached,
        *("-" if b is None else _share(b) for b in bounds),
    ]  # fmt: skip


def _share(bound: Bound) -> str:
    return bound.what if bound.what == UNKNOWN else f"{bound.what} {bound.share:.0%}"


def write_limits(limits: CostLimits, out: Path, name: str) -> list[Path]:
    """Every pass as CSV, those of one token as LaTeX."""
    found = [cells_of(limits, row) for row in limits.rows]
    numbers = [{n: "" if v is None else v for n, v in row.items()} for row in found]
    tex = [[_latex(cell) for cell in row] for row in short_rows(limits)]
    return [
        write_csv(out, name, numbers),
        write_latex(out, name, [_latex(c) for c in SHORT], tex, align="lrrrrrrrrrrlll"),
    ]


def _latex(cell: str) -> str:
    return cell.replace("%", r"\,\%").replace("_", r"\_")
