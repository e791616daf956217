"""What a table must look like: columns with unit, range and meaning, and rules.

The columns of every table stand in `schemas.csv`, one a row: reading (`read`) and its messages take
units and ranges from there, so a column is described in one place. A row without a meaning, a
range and so on has those of the column of that name for any table.
"""

from __future__ import annotations

import csv
import math
import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import cache
from typing import Any, Literal

from ..files import bundled

Cell = str | int | float | None
Row = dict[str, Cell]

_NUMBER = re.compile(r"[+-]?(\d+\.?\d*|\.\d+)([eE][+-]?\d+)?", re.ASCII)
_NOT_A_NAME = frozenset({"nan", "null", "#n/a"})


@dataclass(frozen=True)
class Column:
    """One column of a table.

    kind: ``text``, ``number`` (float) or ``whole`` (an integer; 3.0 counts as one).
    unit: unit of the number, "1" for a pure number and "" for text.
    low, high: closed range of a number; ``open_low`` excludes the lower end. Infinity and NaN
    are outside every range, and whole numbers end at 2^53, where floats stop being exact.
    nullable: an empty cell is allowed and means "not stated".
    required: the column must be in the file.
    choices: the only values a text may have, where not empty.
    """

    name: str
    meaning: str
    kind: Literal["text", "number", "whole"] = "text"
    unit: str = ""
    low: float = -math.inf
    high: float = math.inf
    open_low: bool = False
    nullable: bool = False
    required: bool = True
    choices: tuple[str, ...] = ()

    def __post_init__(self) -> None:
        if self.kind == "whole":
            object.__setattr__(self, "low", max(self.low, -(2.0**53)))
            object.__setattr__(self, "high", min(self.high, 2.0**53))

    @property
    def allowed(self) -> str:
        """What a cell may hold, in words, e.g. ``a number in (0, inf)``."""
        if self.kind == "text":
            what = f"one of {', '.join(self.choices)}" if self.choices else "text"
        else:
            left = "(" if self.open_low or math.isinf(self.low) else "["
            right = ")" if math.isinf(self.high) else "]"
            noun = "a number" if self.kind == "number" else "a whole number"
            what = f"{noun} in {left}{self.low:g}, {self.high:g}{right}"
        return f"{what}, or empty" if self.nullable else what

    def parse(self, cell: str) -> Cell:
        """Return the value of a cell: None for an empty number, "" for an empty text.

        Raises ValueError saying what is allowed and what was given.
        """
        cell = cell.strip()
        value: Cell = cell
        if not cell:
            good = self.nullable
            value = "" if self.kind == "text" else None
        elif self.kind == "text":
            clean = cell.isprintable() or all(ord(c) >= 32 and ord(c) != 127 for c in cell)
            good = clean and cell.casefold() not in _NOT_A_NAME
            good &= not self.choices or cell in self.choices
        else:
            value = self._number(cell)
            good = value is not None
        if not good:
            given = (
                repr(cell if len(cell) <= 60 else cell[:57] + "...") if cell else "an empty cell"
            )
            raise ValueError(f"must be {self.allowed}, got {given}")
        return value

    def _number(self, cell: str) -> int | float | None:
        # float() also takes "1_000", "nan" and other alphabets' digits; a table must not.
        if not _NUMBER.fullmatch(cell):
            return None
        value = float(cell)
        inside = (value > self.low if self.open_low else value >= self.low) and value <= self.high
        if not (inside and math.isfinite(value)):
            return None
        if self.kind == "number":
            return value
        return int(value) if value.is_integer() else None


@dataclass(frozen=True)
class Rule:
    """A condition on the cells of one row; ``column`` is the one to look at when it fails."""

    column: str
    text: str
    holds: Callable[[Row], bool]


@dataclass(frozen=True)
class Schema:
    """The columns of a table, the columns that identify a row, and the rules of a row.

    key: no two rows may agree in all of these; empty where rows may repeat.
    closed: a column that is not listed is an error; otherwise it is ignored.
    columns: by default those that `schemas.csv` has for the name.
    """

    name: str
    key: tuple[str, ...]
    rules: tuple[Rule, ...] = ()
    closed: bool = True
    columns: tuple[Column, ...] = ()

    def __post_init__(self) -> None:
        if not self.columns:
            object.__setattr__(self, "columns", columns_of(self.name))

    def describe(self) -> dict[str, tuple[str, str]]:
        """Unit and meaning of every column, by name."""
        return {c.name: (c.unit, c.meaning) for c in self.columns}


def number(row: Row, name: str) -> float:
    """The number in a cell, NaN where it is empty or the column is absent."""
    value = row.get(name)
    return math.nan if value is None else float(value)


def text(row: Row, name: str) -> str:
    """The text in a cell, "" where it is empty or the column is absent."""
    value = row.get(name)
    return "" if value is None else str(value)


@cache
def columns_of(table: str) -> tuple[Column, ...]:
    """The columns of a table of `schemas.csv`, in its order.

    Raises ValueError where it has no row of that table.
    """
    shared = {row["column"]: row for row in _rows() if row["table"] == "any"}
    rows = [row for row in _rows() if row["table"] == table]
    if not rows:
        raise ValueError(f"table must be one whose columns schemas.csv tells, got {table!r}")
    return tuple(_column(row, shared.get(row["column"], row)) for row in rows)


@cache
def _rows() -> tuple[Mapping[str, str], ...]:
    return tuple(csv.DictReader(table_lines(__package__, "schemas")))


def table_lines(package: str, name: str) -> list[str]:
    """The lines of the table NAME.csv of a package, unread: the tests hold bundled tables against
    their columns, and most questions need a few rows only.
    """
    return bundled(package, f"{name}.csv").decode("utf-8").splitlines()


def _column(row: Mapping[str, str], shared: Mapping[str, str]) -> Column:
    """The column of a row; what it leaves empty is as in ``shared``.

    allowed: a range of numbers such as ``(0, 1]``, or the texts that may stand there, between bars;
    empty: whether a cell may be, and whether the column may be absent.
    """
    cells = {name: own or shared[name] for name, own in row.items()}
    allowed, kind = cells["allowed"], cells["kind"]
    stated: dict[str, Any] = {}
    if kind == "text":
        stated["choices"] = tuple(allowed.split(" | ")) if allowed else ()
    else:
        low, high = (float(end) for end in allowed[1:-1].split(", "))
        stated |= {"low": low, "high": high, "open_low": allowed.startswith("(")}
    return Column(
        cells["column"],
        cells["meaning"],
        kind,  # type: ignore[arg-type]
        cells["unit"],
        nullable=cells["empty"] != "no",
        required=cells["empty"] != "or absent",
        **stated,
    )
