"""What a table of measurements must look like: columns with unit, range and meaning, and rules.

A schema is data. Reading (`read`), the README beside the tables and the error messages all take
the units and ranges from it, so a column is described in one place.
Columns and rules that several bundled tables share stand here as well.
"""

from __future__ import annotations

import math
import re
from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Any, Literal

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
    aliases: other headers under which a file may carry this column.
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
    aliases: tuple[str, ...] = ()

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
    """

    name: str
    title: str
    columns: tuple[Column, ...]
    key: tuple[str, ...]
    rules: tuple[Rule, ...] = ()
    closed: bool = True

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


def told(name: str, meaning: str, **more: Any) -> Column:
    """A text that may be left out."""
    return Column(name, meaning, nullable=True, **more)


def counted(name: str, meaning: str, unit: str, low: float = 1, **more: Any) -> Column:
    """A whole number of at least ``low``."""
    return Column(name, meaning, "whole", unit, low, **more)


def positive(name: str, meaning: str, unit: str = "1", **more: Any) -> Column:
    """A number above 0."""
    return Column(name, meaning, "number", unit, low=0, open_low=True, **more)


def share(name: str, meaning: str, **more: Any) -> Column:
    """A number in [0, 1]."""
    return Column(name, meaning, "number", "1", low=0, high=1, **more)


def optional(column: Column, **changed: Any) -> Column:
    """The same column with cells that may be empty."""
    return replace(column, nullable=True, **changed)


ID = Column("id", "identifier of the row, stable across versions")
TARGET = Column("target", "name of the target model, as the source writes it")
DRAFT = Column("draft", "name of the draft model, as the source writes it")
TARGET_PARAMS = positive(
    "target_params", "parameters of the target, nominal; a mixture of experts counts all experts",
    "parameter",
)  # fmt: skip
DRAFT_PARAMS = positive("draft_params", "parameters of the draft, nominal", "parameter")
GAMMA = counted(
    "gamma_tokens", "tokens drafted in a round, without the bonus token", "token", 0, high=10_000
)
SPEEDUP = positive("speedup", "speed with drafting over speed of plain decoding")
TOKENS = Column(
    "tokens_per_round", "mean tokens emitted by a round, the bonus token included", "number",
    "token", low=1,
)  # fmt: skip
ALPHA = share(
    "overlap_alpha",
    "acceptance as the mean of sum min(p, q) over contexts, p of the target and q of the draft",
)
TASK = Column("task", "data set or kind of prompt")
TEMPERATURE = Column("temperature", "sampling temperature, 0 for greedy", "number", "1", low=0)
BATCH = counted("batch_sequences", "sequences decoded together", "sequence", high=1e6)
PLAIN_RATE = positive(
    "plain_tokens_per_s", "throughput of plain decoding, all sequences together", "token/s"
)
SPEC_RATE = positive("spec_tokens_per_s", "throughput with drafting, all sequences", "token/s")
ENGINE = Column("engine", "software that ran it")
HARDWARE = Column("hardware", "device that ran it, as the source states it")
PRECISION = Column("precision", "number format of the weights")
SUSPECT = told("suspect", "why the row should not be fitted; empty for a row without objection")
SOURCE = Column("source", "citation of the number")
NOTES = told("notes", "what else the source says, and what was changed here")


def _ratio_is_the_speedup(row: Row) -> bool:
    ratio = number(row, "spec_tokens_per_s") / number(row, "plain_tokens_per_s")
    return math.isnan(ratio) or abs(number(row, "speedup") / ratio - 1) <= 0.01


RATES_AGREE = Rule(
    "speedup", "must be spec_tokens_per_s / plain_tokens_per_s within 1 %", _ratio_is_the_speedup
)


def tokens_fit(drafted: str) -> Rule:
    """tokens_per_round is at most one above the column ``drafted``; empty cells pass."""
    return Rule(
        "tokens_per_round",
        f"must be at most {drafted} + 1",
        lambda row: not number(row, "tokens_per_round") > number(row, drafted) + 1,
    )
