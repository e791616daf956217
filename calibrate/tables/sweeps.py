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

from . import columns
from .cells import Cells, decoded, parse_cells, read_bytes, separated, tables_within
from .layouts import lines_of, setting_of, sweep_cells
from .read import Table, checked, error_at
from .schema import Cell, Row
from .sweep import SWEEP, Sweep, sweeps_of

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


_COLUMNS = {column.name: column for column in SWEEP.columns}


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
    reader = _Reader(cells)
    found = ((n, reader.row(n, row)) for n, row in zip(cells.lines, cells.rows, strict=True))
    key = (*SWEEP.key, "workload", "batch")
    return Table(cells.label, SWEEP.columns, *checked(cells.label, SWEEP, found, key))


def _gamma_column(cells: Cells) -> str:
    found = columns.gamma_columns(cells.names)
    if len(found) == 1:
        return found[0]
    others = ", ".join((*columns.GAMMA[1:4], "n_max", "draft tokens", "steps"))
    given = ", ".join(cells.names)
    given = given if len(given) <= 200 else given[:197] + "..."
    message = f"is given twice ({', '.join(found)})" if found else (
        f"is missing (or {others}), got {given}")  # fmt: skip
    raise error_at(cells.label, message, line=1, column="gamma")


def _measure(cells: Cells) -> columns.Measure:
    found = columns.measure_of(cells.names)
    if found is None:
        message = (
            "is missing (or a throughput such as tok/s, or a time such as TPOT, ITL or latency)"
        )
        given = ", ".join(cells.names)[:200]
        raise error_at(cells.label, f"{message}, got {given}", line=1, column="speedup")
    return found


class _Reader:
    """Where in the rows of some cells the columns of `SWEEP` stand, under any spelling.

    names: column of each role, None for one that is not there; apart: columns that vary of what
    else was run, with words before their cells.
    """

    def __init__(self, cells: Cells) -> None:
        self.cells, self.k, self.measure = cells, _gamma_column(cells), _measure(cells)
        self.names = {role: columns.first_of(cells.names, wanted) for role, wanted in (
            ("target", columns.TARGET), ("draft", columns.DRAFT), ("tokens", columns.TOKENS),
            ("batch", columns.BATCH), ("context", columns.CONTEXT))}  # fmt: skip
        work = [n for n in cells.names if n in columns.WORK and n not in self.names.values()]
        words = dict.fromkeys(work, "") | {self.names[r]: f"{r} " for r in ("batch", "context")}
        self.apart = {n: said for n, said in words.items() if n and self._varies(n)}

    def _varies(self, name: str) -> bool:
        return len({row.get(name, "") for row in self.cells.rows}) > 1

    def row(self, line: int, row: Mapping[str, str]) -> Row:
        """One row by the names of `SWEEP`, each cell checked."""
        said = {role: row.get(name or "", "") for role, name in self.names.items()}
        gamma = _gamma(row.get(self.k, ""), row)
        plain = self._parsed(line, "gamma", gamma) == 0
        draft = said["draft"]
        if not draft and not self.names["draft"]:
            draft = "" if plain else "draft"
        latency, speedup = _measured(row, self.measure, plain)
        texts = {
            "target": said["target"] or ("" if self.names["target"] else "target"),
            "gamma": gamma,
            "tokens_per_round": _digits(said["tokens"]),
            "unit": row.get("unit", ""),
            "source": row.get("source", ""),
            "draft": "" if plain and _PLAIN.fullmatch(draft) else draft,
            "latency": latency,
            "speedup": speedup,
        }
        found = {name: self._parsed(line, name, cell) for name, cell in texts.items()}
        places: Row = {
            what: self._positive(line, what, said[what]) for what in ("batch", "context")
        }
        return {**found, **places, "workload": self._workload(row)}

    def _parsed(self, line: int, column: str, cell: str) -> Cell:
        try:
            return _COLUMNS[column].parse(cell)
        except ValueError as error:
            raise error_at(self.cells.label, str(error), line=line, column=column) from None

    def _positive(self, line: int, what: str, cell: str) -> float | None:
        value = columns.value_of(cell) if cell else math.nan
        if not (math.isfinite(value) and value >= 0.0):
            return None
        if what == "batch" and value < 1.0:
            message = f"must be a number in [1, inf), or empty, got {cell!r}"
            raise error_at(self.cells.label, message, line=line, column=what)
        return value

    def _workload(self, row: Mapping[str, str]) -> str:
        """What tells a row from others of the pair, in words; only columns that vary."""
        return ", ".join(f"{said}{row[name]}" for name, said in self.apart.items() if row.get(name))


def _measured(row: Mapping[str, str], measure: columns.Measure, plain: bool) -> tuple[str, str]:
    """Cells of latency and speed-up; a throughput is kept as the time of one token."""
    cell = row.get(measure.column, "")
    value = columns.value_of(cell)
    if measure.kind == "speedup":
        gain = columns.speedup_of(cell)
        return row.get("latency", ""), repr(gain) if math.isfinite(gain) else cell
    if measure.kind == "rate":
        latency = repr(1.0 / value) if math.isfinite(value) and value > 0.0 else cell
    elif math.isfinite(value) and measure.factor != 1.0:
        latency = repr(value * measure.factor)
    else:
        latency = _digits(cell)
    base = columns.value_of(row.get(measure.base, "")) if measure.base and not plain else math.nan
    if not (base > 0.0 and value > 0.0):
        return latency, ""
    return latency, repr(value / base if measure.kind == "rate" else base / value)


def _digits(cell: str) -> str:
    """The number of a cell without its unit, the cell itself where it is no number."""
    value = columns.value_of(cell)
    return cell if not cell or not math.isfinite(value) or re.fullmatch(r"[-+\d.eE]+", cell) else (
        repr(value))  # fmt: skip


def _gamma(cell: str, row: Mapping[str, str]) -> str:
    """K as digits: K=3, mtp-3, "3 tokens"; 0 for plain decoding, also said by the method."""
    if match := _K.fullmatch(cell):
        return match[1]
    if not cell and any(_PLAIN.fullmatch(row.get(n, "")) for n in ("method", "draft", "variant")):
        return "0"
    if cell and _PLAIN.fullmatch(cell):
        return "0"
    said = setting_of(cell)
    return said[0] if said is not None and not said[1] else cell
