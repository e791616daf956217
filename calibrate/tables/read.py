"""Reading a table: every cell is checked, and whatever is wrong is one line with its place."""

from __future__ import annotations

import csv
import io
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from .cells import read_bytes
from .schema import Cell, Column, Row, Schema

if TYPE_CHECKING:
    import pandas as pd


@dataclass(frozen=True)
class Table:
    """A checked table.

    label: name of the file for messages; columns: those present, in the order of the file;
    rows: one dict a row, with None (numbers) or "" (texts) for an empty or absent optional cell;
    lines: the line of the file on which each row ends.
    """

    label: str
    columns: tuple[Column, ...]
    rows: tuple[Row, ...]
    lines: tuple[int, ...]

    def error(self, index: int, column: str, message: str) -> ValueError:
        """The error for a cell of row ``index`` (from 0)."""
        return error_at(self.label, message, line=self.lines[index], column=column)

    def frame(self) -> pd.DataFrame:
        """The table as a pandas DataFrame.

        Numbers are float64 (NaN: not stated), whole numbers int64, or Int64 where some are not
        stated; an unstated text is "".
        """
        import pandas as pd

        data = {}
        for column in self.columns:
            values = [row[column.name] for row in self.rows]
            if column.kind == "whole":
                kind = "Int64" if None in values else "int64"
            else:
                kind = "float64" if column.kind == "number" else "object"
            data[column.name] = pd.Series(values, dtype=kind)
        return pd.DataFrame(data)


def read_csv(path: str | Path, schema: Schema) -> pd.DataFrame:
    """Read a comma-separated file and check every cell against ``schema``.

    Returns a pandas DataFrame with the schema's column names (see `Table.frame`).
    Raises ValueError, one line that names the file, the line and the column, what is allowed
    and what was given. A byte-order mark, CRLF line ends and blank lines are harmless.
    """
    return parse_table(read_bytes(path), str(path), schema).frame()


def parse_table(data: bytes, label: str, schema: Schema) -> Table:
    """Check the bytes of a comma-separated file; ``label`` stands for the file in messages."""
    records = _records(_decode(data, label), label)
    line, header = next(records, (1, []))
    if not header:
        raise error_at(label, "the file is empty, a header line is needed")
    columns = _columns(header, label, schema, line)
    absent = {c.name: c.parse("") for c in schema.columns if c not in columns}
    found = ((line, absent | _row(cells, columns, label, line)) for line, cells in records)
    rows, lines = checked(label, schema, found)
    if not rows:
        raise error_at(label, "the file has a header and no rows")
    present = tuple(c for c in columns if c is not None)
    return Table(label, present, rows, lines)


def checked(
    label: str, schema: Schema, found: Iterable[tuple[int, Row]], key: Sequence[str] = ()
) -> tuple[tuple[Row, ...], tuple[int, ...]]:
    """Rows and their lines, by the rules of a schema; no two agree in a key, default its own."""
    rows: list[Row] = []
    lines: list[int] = []
    seen: dict[tuple[Cell, ...], int] = {}
    for line, row in found:
        for rule in schema.rules:
            if not rule.holds(row):
                message = f"{rule.text}, got {row[rule.column]!r}"
                raise error_at(label, message, line=line, column=rule.column)
        at = tuple(row[name] for name in key or schema.key)
        first = seen.setdefault(at, line) if at else line
        if first != line:
            same = ", ".join(f"{name} = {row[name]!r}" for name in schema.key)
            message = f"a row must be unique, got that of line {first} again ({same})"
            raise error_at(label, message, line=line, column=", ".join(schema.key))
        rows.append(row)
        lines.append(line)
    return tuple(rows), tuple(lines)


def error_at(label: str, message: str, *, line: int = 0, column: str = "") -> ValueError:
    """The error for a place in a table, in one line."""
    place = f", line {line}" if line else ""
    place += f", column {column}" if column else ""
    return ValueError(" ".join(f"{label}{place}: {message}".splitlines()))


def _short(names: list[str]) -> str:
    listed = ", ".join(names)
    return listed if len(listed) <= 200 else listed[:197] + "..."


def _decode(data: bytes, label: str) -> str:
    try:
        return data.decode("utf-8-sig")
    except UnicodeDecodeError as err:
        line = data.count(b"\n", 0, err.start) + 1
        message = f"must be UTF-8 text, got the byte 0x{data[err.start]:02x}"
        raise error_at(label, message, line=line) from None


def _records(content: str, label: str) -> Iterator[tuple[int, list[str]]]:
    """The records that hold anything, each with the line it ends on."""
    reader = csv.reader(io.StringIO(content, newline=""), strict=True)
    try:
        for cells in reader:
            if any(cell.strip() for cell in cells):
                yield reader.line_num, cells
    except csv.Error as err:
        message = f"is not a comma-separated record: {err}"
        raise error_at(label, message, line=reader.line_num) from None


def _columns(header: list[str], label: str, schema: Schema, line: int) -> list[Column | None]:
    """The column of each header cell, None for one that is to be ignored."""
    known = {c.name.casefold(): c for c in schema.columns}
    names = [name.strip() for name in header]
    for mark in (";", "\t", "|"):
        if len(names) == 1 and mark in header[0]:
            message = f"cells must be separated by commas, got a header separated by {mark!r}"
            raise error_at(label, message, line=line, column=_short(names[0].split(mark)[:1]))
    found: list[Column | None] = []
    for name in names:
        column = known.get(name.casefold())
        if column is None and schema.closed:
            listed = ", ".join(c.name for c in schema.columns)
            raise error_at(
                label, f"is unknown, allowed: {listed}", line=line, column=_short([repr(name)])
            )
        if column is not None and column in found:
            raise error_at(label, "is given twice", line=line, column=column.name)
        found.append(column)
    for column in schema.columns:
        if column.required and column not in found:
            message = f"is missing, got {_short(names)}"
            raise error_at(label, message, line=line, column=column.name)
    return found


def _row(cells: list[str], columns: list[Column | None], label: str, line: int) -> Row:
    if len(cells) != len(columns):
        short = columns[len(cells)] if len(cells) < len(columns) else None
        message = f"a row must have {len(columns)} cells as the header has, got {len(cells)}"
        raise error_at(label, message, line=line, column=short.name if short else "")
    row: Row = {}
    for cell, column in zip(cells, columns, strict=True):
        if column is None:
            continue
        try:
            row[column.name] = column.parse(cell)
        except ValueError as err:
            raise error_at(label, str(err), line=line, column=column.name) from None
    return row
