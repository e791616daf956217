"""Sweeps over the number of draft tokens, of a table in any layout and spelling.

With a row of plain decoding (K = 0, or a method such as "baseline") speeds become speed-ups.
Without one they are relative to the smallest K: the best K is still found, the gain over plain
decoding is not.
"""

from __future__ import annotations

import math
import re
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path

from ..library.read import Table
from ..library.schema import Cell, Row
from ..library.sweep import SWEEP, Sweep, sweeps_of
from . import columns
from .cells import Cells, decoded, parse_cells, read_bytes, separated, tables_within
from .layouts import lines_of, setting_of, sweep_cells

_PLAIN = re.compile(
    r"plain( decoding)?|vanilla|autoregressive|ar|baseline|base|off|none|"
    r"no[ -_]?spec\w*( decoding)?",
    re.IGNORECASE,
)
_K = re.compile(
    r"(?:(?:k|n|mtp|gamma|γ|n_max)\s*[-=:]?\s*)?(\d+)(?:\.0+)?"
    r"(?:\s*(?:draft(?:ed)?\s*)?tokens?)?(?:\s*\([^)]*\))?",
    re.IGNORECASE,
)


def read_sweeps(source: str | Path) -> tuple[Sweep, ...]:
    """The sweeps of a file: CSV, TSV, a Markdown or aligned table, a JSON list or JSON lines.

    Raises ValueError naming the file, and the line and column of a cell that cannot be.
    """
    return parse_sweeps(read_bytes(source), str(source))


def parse_sweeps(data: bytes, label: str) -> tuple[Sweep, ...]:
    """The same of the bytes of a file; ``label`` stands for it in messages."""
    cells = _cells(data, label)
    found = sweeps_of(sweep_table(cells))
    return tuple(replace(s, notes=(*cells.notes, *s.notes)) for s in found)


def _cells(data: bytes, label: str) -> Cells:
    """The cells of the first table that is a sweep in some layout, else those of the text."""
    text = decoded(data, label)
    if text.lstrip()[:1] in ("[", "{"):
        return parse_cells(data, label)
    for caption, table in tables_within(text):
        try:
            cells = replace(separated(table, label), caption=caption)
        except ValueError:
            continue
        found = sweep_cells(cells)
        if found is not None:
            return found
    return lines_of(text, label) or parse_cells(data, label)


def sweep_table(cells: Cells) -> Table:
    """The table of schema `SWEEP` behind cells: columns found, units made one, rows checked."""
    if cells.dropped:
        raise ValueError(f"{cells.label}: {cells.dropped[0]}")
    k = _gamma_column(cells)
    measure = _measure(cells)
    names = {role: columns.first_of(cells.names, wanted) for role, wanted in (
        ("target", columns.TARGET), ("draft", columns.DRAFT), ("tokens", columns.TOKENS),
        ("batch", columns.BATCH), ("context", columns.CONTEXT))}  # fmt: skip
    apart = [n for n in cells.names if n in columns.WORK and n not in names.values()]
    apart = [n for n in apart if len({row.get(n, "") for row in cells.rows}) > 1]
    rows: list[Row] = []
    seen: dict[tuple[Cell, ...], int] = {}
    for line, cells_of in zip(cells.lines, cells.rows, strict=True):
        row = _row(cells, line, cells_of, k, measure, names)
        row["workload"] = _workload(cells_of, names, apart, cells)
        key = (*(row[n] for n in ("target", "draft", "workload", "gamma")), row["batch"])
        first = seen.setdefault(key, line)
        if first != line:
            same = ", ".join(f"{n} = {row[n]!r}" for n in SWEEP.key)
            message = f"a row must be unique, got that of line {first} again ({same})"
            raise ValueError(
                f"{cells.label}, line {line}, column {', '.join(SWEEP.key)}: {message}"
            )
        rows.append(row)
    return Table(cells.label, SWEEP.columns, tuple(rows), cells.lines)


def _gamma_column(cells: Cells) -> str:
    found = columns.gamma_columns(cells.names)
    if len(found) > 1:
        raise ValueError(
            f"{cells.label}, line 1, column gamma: is given twice ({', '.join(found)})"
        )
    if not found:
        others = ", ".join((*columns.GAMMA[1:4], "n_max", "draft tokens", "steps"))
        given = ", ".join(cells.names)
        given = given if len(given) <= 200 else given[:197] + "..."
        raise ValueError(
            f"{cells.label}, line 1, column gamma: is missing (or {others}), got {given}"
        )
    return found[0]


def _measure(cells: Cells) -> columns.Measure:
    found = columns.measure_of(cells.names)
    if found is None:
        given = ", ".join(cells.names)
        raise ValueError(
            f"{cells.label}, line 1, column speedup: is missing (or a throughput such as tok/s, or "
            f"a time such as TPOT, ITL or latency), got {given[:200]}"
        )
    return found


def _row(
    cells: Cells,
    line: int,
    row: Mapping[str, str],
    k: str,
    measure: columns.Measure,
    names: Mapping[str, str | None],
) -> Row:
    """One row by the names of `SWEEP`, each cell checked."""

    def text(role: str) -> str:
        return row.get(names[role] or "", "")

    def parsed(column: str, cell: str) -> Cell:
        schema = next(c for c in SWEEP.columns if c.name == column)
        try:
            return schema.parse(cell)
        except ValueError as error:
            raise ValueError(f"{cells.label}, line {line}, column {column}: {error}") from None

    draft = text("draft")
    gamma = _gamma(row.get(k, ""), draft, row)
    found: Row = {
        "target": parsed("target", text("target") or ("" if names["target"] else "target")),
        "gamma": parsed("gamma", gamma),
        "tokens_per_round": parsed("tokens_per_round", _digits(text("tokens"))),
        "unit": parsed("unit", row.get("unit", "")),
        "source": parsed("source", row.get("source", "")),
        "batch": _positive(cells, line, "batch", text("batch")),
        "context": _positive(cells, line, "context", text("context")),
    }
    plain = found["gamma"] == 0
    if not draft and not names["draft"]:
        draft = "" if plain else "draft"
    found["draft"] = parsed("draft", "" if plain and _PLAIN.fullmatch(draft) else draft)
    return _checked(cells, line, found | _measured(row, measure, plain, parsed))


def _checked(cells: Cells, line: int, row: Row) -> Row:
    for rule in SWEEP.rules:
        if not rule.holds(row):
            where = f"{cells.label}, line {line}, column {rule.column}"
            raise ValueError(f"{where}: {rule.text}, got {row[rule.column]!r}")
    return row


def _measured(row: Mapping[str, str], measure: columns.Measure, plain: bool, parsed: object) -> Row:
    """Speed-up and latency of a row; a throughput is kept as the time of one token."""
    assert callable(parsed)
    cell = row.get(measure.column, "")
    latency_cell, speedup_cell = "", ""
    if measure.kind == "speedup":
        value = columns.speedup_of(cell)
        speedup_cell = repr(value) if math.isfinite(value) else cell
        also = next((n for n in ("latency",) if n in row), None)
        latency_cell = row.get(also, "") if also else ""
    elif measure.kind == "time":
        value = columns.value_of(cell) * measure.factor
        latency_cell = (
            repr(value) if math.isfinite(value) and measure.factor != 1.0 else _digits(cell)
        )
    else:
        value = columns.value_of(cell)
        latency_cell = repr(1.0 / value) if math.isfinite(value) and value > 0.0 else cell
    if measure.base is not None and not plain and measure.kind != "speedup":
        base, own = columns.value_of(row.get(measure.base, "")), columns.value_of(cell)
        if base > 0.0 and own > 0.0:
            speedup_cell = repr(own / base if measure.kind == "rate" else base / own)
    return {
        "latency": parsed("latency", latency_cell),
        "speedup": parsed("speedup", speedup_cell),
    }


def _digits(cell: str) -> str:
    """The number of a cell without its unit, the cell itself where it is no number."""
    value = columns.value_of(cell)
    return cell if not cell or not math.isfinite(value) or re.fullmatch(r"[-+\d.eE]+", cell) else (
        repr(value))  # fmt: skip


def _gamma(cell: str, draft: str, row: Mapping[str, str]) -> str:
    """K as digits: K=3, mtp-3, "3 tokens"; 0 for plain decoding, also said by the method."""
    if match := _K.fullmatch(cell):
        return match[1]
    if not cell and any(_PLAIN.fullmatch(row.get(n, "")) for n in ("method", "draft", "variant")):
        return "0"
    if cell and _PLAIN.fullmatch(cell):
        return "0"
    said = setting_of(cell)
    return said[0] if said is not None and not said[1] else cell


def _positive(cells: Cells, line: int, what: str, cell: str) -> float | None:
    value = columns.value_of(cell) if cell else math.nan
    if cell and not (math.isfinite(value) and value >= 0.0):
        return None
    if cell and what == "batch" and value < 1.0:
        where = f"{cells.label}, line {line}, column batch"
        raise ValueError(f"{where}: must be a number in [1, inf), or empty, got {cell!r}")
    return value if cell else None


def _workload(
    row: Mapping[str, str], names: Mapping[str, str | None], apart: list[str], cells: Cells
) -> str:
    """What tells a row from others of the pair, in words; only columns that vary."""
    parts = [row.get(n, "") for n in apart]
    for role in ("batch", "context"):
        name = names[role]
        if name and len({r.get(name, "") for r in cells.rows}) > 1 and row.get(name):
            parts.append(f"{role} {row[name]}")
    return ", ".join(p for p in parts if p)
