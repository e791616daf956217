"""Files of rows as people write them, read to texts under one spelling of every column.

Comma-, semicolon-, tab- or bar-separated text with a header, columns apart by two blanks or more,
a Markdown table within other text, or JSON: a list of objects, or one object a line. A byte-order
mark, blank lines, columns in any order and columns that nobody asked for are harmless. What a cell
can say beside a plain number is in `number`.
"""

from __future__ import annotations

import csv
import io
import json
import math
import re
from collections import Counter
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path

NOT_STATED = frozenset(
    {
        "", "-", "--", "---", "–", "—", "?", ".", "n/a", "#n/a", "na", "n.a.", "nan", "none",
        "null", "nil", "unknown", "unstated", "not stated", "not reported", "not given", "tbd",
        "n/m", "oom", "failed", "crash",
    }
)  # fmt: skip
MARKS = (",", ";", "\t", "|")
_NUMBER = re.compile(
    r"[~≈]?\s*([+-]?(?:\d+\.?\d*|\.\d+)(?:e[+-]?\d+)?)\s*(%|x|×)?", re.ASCII | re.IGNORECASE
)
_THOUSANDS = re.compile(r"[+-]?\d{1,3}(,\d{3})+(\.\d+)?", re.ASCII)
_DECIMAL_COMMA = re.compile(r"([~≈]?\s*[+-]?\d+),(\d+\s*[%x×]?)", re.ASCII | re.IGNORECASE)
_WORDS = {"γ": "gamma", "α": "alpha", "τ": "tau", "接受长度": " acceptance length ",
          "接受率": " acceptance rate ", "平均": " mean ", "加速比": " speedup ",
          "基线": " baseline ", "吞吐": " throughput "}  # fmt: skip
_REMARK = re.compile(r"\s*(?:<[-=]|←|#|//|\().*")  # behind the last cell of a row
_RULE = re.compile(r"[\s|:+=_-]*-[\s|:+=_-]*")
_EMPHASIS = re.compile(r"(\*\*|__|`)(.*?)\1")


@dataclass(frozen=True)
class Cells:
    """The rows of a file.

    label: of the file, for messages; names: of its columns, as `plain_name` spells them; rows: the
    stated cells of each by name; dropped: why lines were not taken; lines: where each row stands;
    caption: the text above the table; notes: on how it was read.
    """

    label: str
    names: tuple[str, ...]
    rows: tuple[Mapping[str, str], ...]
    dropped: tuple[str, ...] = ()
    lines: tuple[int, ...] = ()
    caption: str = ""
    notes: tuple[str, ...] = ()


def plain_name(header: str) -> str:
    """A column's name in small letters and underlines: ``Speed-up`` is ``speed_up``."""
    text = header.strip().casefold().replace("µs", "us")
    for word, name in _WORDS.items() if not text.isascii() else ():
        text = text.replace(word, name)
    return re.sub(r"[^0-9a-z]+", "_", text).strip("_")


def stated(cell: str) -> str:
    """The cell without blanks around it, "" where it says that nothing is stated."""
    text = cell.strip()
    return "" if text.casefold() in NOT_STATED else text


def number(cell: str) -> float:
    """The number of a cell, NaN where it is none or a range.

    Thousands may be set apart by commas, ``~`` may stand before and ``x`` after; a percentage is
    its hundredth part.
    """
    text = cell.strip()
    text = text.replace(",", "") if _THOUSANDS.fullmatch(text) else text
    match = _NUMBER.fullmatch(text)
    if match is None:
        return math.nan
    value = float(match[1]) / (100.0 if match[2] == "%" else 1.0)
    return value if math.isfinite(value) else math.nan


def read_cells(path: str | Path) -> Cells:
    """The rows of a file. Raises ValueError, one line that names it, where there are none."""
    return parse_cells(read_bytes(path), str(path))


def read_bytes(path: str | Path) -> bytes:
    """The bytes of a file. Raises ValueError, one line, where it cannot be read."""
    try:
        return Path(path).read_bytes()
    except (OSError, ValueError) as error:  # ValueError: a null character in the path
        reason = getattr(error, "strerror", None) or error
        raise ValueError(f"{path}: cannot be read: {reason}") from None


def parse_cells(data: bytes, label: str) -> Cells:
    """The rows in the bytes of a file; ``label`` stands for the file in messages."""
    text = decoded(data, label)
    begin = text.lstrip()[:1]
    if not begin:
        raise ValueError(f"{label}: the file is empty, a header line is needed")
    cells = _objects(text, label) if begin in "[{" else separated(text, label)
    if not cells.rows:
        reason = f": {cells.dropped[0]}" if cells.dropped else ""
        raise ValueError(f"{label}: the file has a header and no rows{reason}")
    return cells


def decoded(data: bytes, label: str) -> str:
    """The text of a file's bytes. Raises ValueError where it is none."""
    wide = data[:2] in (b"\xff\xfe", b"\xfe\xff")  # spreadsheets' "Unicode text"
    try:
        text = data.decode("utf-16" if wide else "utf-8-sig")
    except UnicodeDecodeError as error:
        raise ValueError(f"{label}: must be UTF-8 text: {error.reason}") from None
    if "\0" in text:
        raise ValueError(f"{label}: must be text, got a null character")
    return text


def _objects(text: str, label: str) -> Cells:
    """Rows of a JSON list of objects, or of one object a line."""
    try:
        if text.lstrip().startswith("["):
            found = json.loads(text)
        else:
            found = [json.loads(line) for line in text.splitlines() if line.strip()]
    except (json.JSONDecodeError, RecursionError) as error:
        raise ValueError(f"{label}: is no JSON list, nor one object a line: {error}") from None
    if not all(isinstance(one, dict) for one in found):
        raise ValueError(f"{label}: every row must be a JSON object")
    rows = [{plain_name(name): _said(value) for name, value in one.items()} for one in found]
    names = dict.fromkeys(name for row in rows for name in row)
    kept = [(i, row) for i, r in enumerate(rows, 1) if (row := _filled(r.items()))]
    return Cells(label, tuple(names), tuple(r for _, r in kept), lines=tuple(i for i, _ in kept))


def _said(value: object) -> str:
    """A JSON value as the text of a cell; lists and objects state nothing that could be used."""
    if isinstance(value, bool):
        return "yes" if value else "no"
    return str(value) if isinstance(value, str | int | float) else ""


def separated(text: str, label: str) -> Cells:
    """The rows of a table in text: cells apart by a mark, by bars, or by two blanks and more."""
    records = _records(text, label)
    if not records:
        raise ValueError(f"{label}: the file is empty, a header line is needed")
    names = [plain_name(cell) for cell in records[0][1]]
    names[:1] = [names[0] or ("setting" if "setting" not in names else "")]
    twice = [name for name, n in Counter(names).items() if n > 1 and name]
    if twice:
        raise ValueError(f"{label}: column {twice[0]}: is given twice")
    rows, lines, dropped = [], [], []
    for line, cells in records[1:]:
        if any(cell.strip() and not _REMARK.fullmatch(cell) for cell in cells[len(names) :]):
            dropped.append(f"line {line} has {len(cells)} cells, the header {len(names)}")
            continue
        if row := _filled(zip(names, cells, strict=False)):
            rows.append(row)
            lines.append(line)
    return Cells(label, tuple(names), tuple(rows), tuple(dropped), tuple(lines))


def tables_within(text: str) -> list[tuple[str, str]]:
    """(text above, table) of each table with bars in a text, the text itself where it has none.

    A table is a run of lines with bars, the second a rule; its outer bars may be missing.
    """
    lines = _unboxed(unquoted(text)).splitlines()
    starts = [k for k in range(len(lines) - 1) if "|" in lines[k] and _is_rule(lines[k + 1])
              and not _RULE.fullmatch(lines[k])]  # fmt: skip
    found, last = [], 0
    for k in starts:
        end = next((i for i in range(k, len(lines)) if "|" not in lines[i]), len(lines))
        table = (s.strip().strip("|") for s in lines[k:end])
        found.append(("\n".join(lines[last:k]), "\n".join(f"|{s}|" for s in table)))
        last = end
    return found or [("", text)]


def unquoted(text: str) -> str:
    """A text without the marks of a mail or a forum before what another one wrote."""
    return re.sub(r"^(?:> ?)+", "", text, flags=re.MULTILINE)


def _is_rule(line: str) -> bool:
    return "|" in line and _RULE.fullmatch(line) is not None


def _unboxed(text: str) -> str:
    """A table drawn with the characters for boxes, or with lines of +---+, as one with bars."""
    rule = re.compile(r"[ \t]*(?:[┏┌╔┡├╞╠└┗╚][━─═╇┼┬┴┳╪╬╦╩┻]{2}.*|\+(?:[-=]{2,}\+)+[ \t]*)")
    if not any(c in text for c in "│┃║") and not any(map(rule.fullmatch, text.splitlines())):
        return text
    text = re.sub("[│┃║]", "|", text)
    drawn = ["" if rule.fullmatch(s) else s for s in text.splitlines() if s.strip()]
    out: list[str] = []
    for before, now in zip(["", *drawn], drawn, strict=False):
        if now:
            out.append(now)
        elif before.count("|") > 2 and not any(_is_rule(s) for s in out):
            out.append("|---|---|")
    return "\n".join(out)


def _records(text: str, label: str) -> list[tuple[int, list[str]]]:
    """(line, cells) of the header and the rows."""
    lines = [(n, s) for n, s in enumerate(text.splitlines(), 1) if s.strip()]
    barred = [(n, s) for n, s in lines if s.count("|") > 1 and s.strip().startswith("|")]
    if len(barred) > 1:
        return [
            (n, [_EMPHASIS.sub(r"\2", c) for c in s.strip().removeprefix("|").removesuffix("|")
                 .split("|")])
            for n, s in barred
            if not _RULE.fullmatch(s)
        ]  # fmt: skip
    head = next((s for _, s in lines), "")
    if not any(mark in head for mark in MARKS) and re.search(r"\S\s{2,}\S", head.strip()):
        return [(n, re.split(r"\s{2,}|\t", s.strip())) for n, s in lines if not _RULE.fullmatch(s)]
    mark = max(MARKS, key=lambda mark: len(next(csv.reader([head], delimiter=mark), [])))
    reader = csv.reader(io.StringIO(text, newline=""), delimiter=mark, strict=True)
    try:
        records = [
            (reader.line_num, cells)
            for cells in reader
            if any(c.strip() for c in cells) and not _RULE.fullmatch(mark.join(cells))
        ]
    except csv.Error as error:
        raise ValueError(f"{label}, line {reader.line_num}: is no row of cells: {error}") from None
    if mark == ",":
        return records
    return [
        (n, [_DECIMAL_COMMA.sub(r"\1.\2", c) if _is_decimal(c) else c for c in cells])
        for n, cells in records
    ]


def _is_decimal(cell: str) -> bool:
    return _DECIMAL_COMMA.fullmatch(cell.strip()) is not None


def _filled(pairs: Iterable[tuple[str, str]]) -> dict[str, str]:
    return {name: stated(cell) for name, cell in pairs if name and stated(cell)}
