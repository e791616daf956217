"""Tables and objects of acceptance: a row a task, subset, request or round, in any layout.

CSV of speculators, Markdown of ik_llama's spec-bench and cli, aligned text of speed-bench and of
other scripts. Rows of totals are left out of the sums. A table whose first column names what its
rows state is turned around.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any

from ..tables import columns, layouts
from ..tables.cells import Cells, plain_name, separated, tables_within
from .completed import counts_as
from .counts import EngineCounts, kind_of
from .numbers import MOST_POSITIONS, snake
from .row_sums import counted, counts_of_rows, of_rounds
from .rows import NUMBER, TOTAL, Row, role_of, row_of

_MOST_ROWS, _MOST_OBJECTS = 100_000, 20_000
_STAGES = ("draft_stats", "stats", "spec_stats", "draft_statistics")
_ROUND = ("round", "round_id", "round_idx", "step", "step_id", "step_idx", "iteration", "iter")
_RANGE = re.compile(r"\D{0,2}\d[\d.,]*\s*%?\s*[-–—]\s*\d[\d.,]*\s*%?\D{0,4}")
_LENGTHS = re.compile(r"accept\w*[ _-]len", re.IGNORECASE)
_ELSE = re.compile(r"speed|throughput|tok\w*/s|latency|accuracy|accept\w* rate", re.IGNORECASE)
_STATISTIC = re.compile(r"(?:avg|mean|min|max|p\d+|std|median|value|unit|count|sum)\w*")
_LAST_NUMBER = re.compile(r".*?(?:k|max|mtp|gamma|tokens|spec|n)\D{0,3}(\d{1,3})\s*", re.IGNORECASE)


def is_acceptance(header: str, *, ruled: bool = False) -> bool:
    """Whether a line is the header of such a table: what was accepted, and something beside it.

    ruled: a rule stands below it, so that it is the header of some table.
    """
    line = header.strip().replace("*", "").replace("`", "")
    if len(line) > 2_000 or re.search(r"[=:{\[│┃]|\.\.", line):
        return False
    cells = _split(line)
    if any(NUMBER.fullmatch(c) or len(c.strip()) > 40 for c in cells):
        return False
    names = [n for n in map(plain_name, cells) if n]
    if len(names) < 2 or len(set(names)) != len(names):
        return False
    held = {role_of(n) for n in names} - {""}
    places = sorted(int(role) for role in held if role.isdigit())
    if places and places != list(range(places[0], places[0] + len(places))):
        return False  # such as percentiles
    said = held & {"accepted", "rate", "listed"} or (
        "length" in held and (ruled or len(names) > 2 or "gamma" in held)
    )
    return bool(said) or len(places) > 1


def _split(line: str) -> list[str]:
    mark = next((m for m in ("|", "\t", ";", ",") if m in line), None)
    return line.strip("|").split(mark) if mark else re.split(r"\s{2,}", line)


def table_within(text: str) -> str:
    """The table that a text holds, from its header on, "" where it holds none."""
    for _, table in tables_within(text):
        if table != text and is_acceptance(table.split("\n", 1)[0], ruled=True):
            return table
    lines = text.splitlines(keepends=True)
    for k, line in enumerate(lines[:-1]):
        if line.strip() and is_acceptance(line):
            barred = line.lstrip().startswith("|")
            body = lines[k:]
            end = next(
                (
                    i
                    for i, s in enumerate(body)
                    if (not s.strip() and i > 1) or (barred and "|" not in s)
                ),
                len(body),
            )
            if end > 1:
                return "".join(body[:end])
    return ""


def read_acceptance(text: str) -> EngineCounts:
    """The statistics of a table. Raises ValueError naming the line."""
    cells = separated(text, "the table")
    if cells.dropped:
        raise ValueError(f"{cells.dropped[0]}")
    return of_cells(cells)


def of_cells(cells: Cells) -> EngineCounts:
    """The statistics of a table's cells."""
    if len(cells.rows) > _MOST_ROWS:
        raise ValueError(f"the table must have at most {_MOST_ROWS} rows, got {len(cells.rows)}")
    roles = _roles(cells)
    if rounds := _one_by_one(cells, roles):
        return rounds
    label = _label_column(cells, roles)
    places = [n for _, n in sorted((int(r), n) for n, r in roles.items() if r.isdigit())]
    _check_places([int(roles[n]) for n in places])
    ranges = sum(bool(_RANGE.fullmatch(r.get(n, ""))) for r in cells.rows for n in roles)
    rows = [_row(r, n, roles, label) for r, n in zip(cells.rows, cells.lines, strict=True)]
    kept = [r for r in rows if not TOTAL.fullmatch(r.label)] or rows
    drafting = [r for r in kept if r.drafts]
    if not drafting:
        raise ValueError("the table has no row in which anything was drafted")
    notes = []
    if ranges:
        notes.append(f"{ranges} cells state a range and are left out")
    if len(kept) < len(rows):
        notes.append(f"{len(rows) - len(kept)} rows of totals are left out of the sums")
    if len(drafting) < len(kept):
        notes.append(f"{len(kept) - len(drafting)} rows without drafts are left out")
    speculators = {"num_drafts", "num_accepted_tokens"} <= set(cells.names)
    form = "speculators-acceptance-csv" if speculators else "acceptance-table"
    ik = not speculators and {"a_len", "pos_accept", "draft_stats"} & set(cells.names)
    own = {"engine": "ik_llama.cpp"} if ik else {}
    return counts_of_rows(drafting, form, notes, places=len(places), **own)


def _roles(cells: Cells) -> dict[str, str]:
    """The role of each column whose cells can stand under it; a role has one column."""
    found: dict[str, str] = {}
    for name in cells.names:
        role = role_of(name)
        if not role or (role in found.values() and not role.isdigit()):
            continue
        values = [row[name] for row in cells.rows if name in row]
        if role in ("drafted", "tokens", "gamma", "requests") and not any(
            NUMBER.fullmatch(v) for v in values
        ):
            continue  # such as the name of a draft model
        found[name] = role
    return found


def _check_places(places: list[int]) -> None:
    if not places:
        return
    if places[0] > 1 or places != list(range(places[0], places[0] + len(places))):
        raise ValueError(
            "line 1: columns of shares by position must be without gaps from 0 or 1 on"
        )
    if len(places) > MOST_POSITIONS:
        raise ValueError(f"positions must be at most {MOST_POSITIONS}, got {len(places)}")


def _label_column(cells: Cells, roles: Mapping[str, str]) -> str:
    """The first column that is no number and has no role."""
    for name in cells.names:
        if name not in roles and name not in _STAGES and any(
            row.get(name) and not NUMBER.fullmatch(row[name]) for row in cells.rows
        ):  # fmt: skip
            return name
    return next((n for n in cells.names if n in columns.WORK and n not in roles), "")


def _row(row: Mapping[str, str], line: int, roles: Mapping[str, str], label: str) -> Row:
    found = Row(row.get(label, "") or f"row {line}", line)
    for name, role in roles.items():
        cell = row.get(name, "0" if role.isdigit() else "")
        if cell and not _RANGE.fullmatch(cell):
            found.put(role, cell, name)
    for name in _STAGES:
        found.stages(row.get(name, ""))
    found.speeds(row)
    found.close()
    return found


def _one_by_one(cells: Cells, roles: Mapping[str, str]) -> EngineCounts | None:
    """A log of rounds, a row each: what every one drafted and accepted."""
    names = {role: name for name, role in roles.items()}
    if not set(cells.names) & set(_ROUND) or not {"drafted", "accepted"} <= names.keys():
        return None
    rounds: dict[tuple[int, int], int] = {}
    for row, line in zip(cells.rows, cells.lines, strict=True):
        one = _row(row, line, {names[r]: r for r in ("drafted", "accepted")}, "")
        if one.counts and len(one.counts) < 2:
            raise ValueError(f"line {line}: a round must hold drafted and accepted tokens")
        pair = one.counts.get("drafted", 0), one.counts.get("accepted", 0)
        if pair[0] > MOST_POSITIONS:
            return None
        rounds[pair] = rounds.get(pair, 0) + 1
    notes = ["a row is one round: what it drafted and accepted"]
    rounds.pop((0, 0), None)
    if not rounds:
        raise ValueError("the table has no row in which anything was drafted")
    return counts_as("rounds-table", notes=notes, **of_rounds(rounds, None, notes))


def turned(text: str) -> EngineCounts | None:
    """The statistics of a table whose first column names quantities, None where it does not."""
    lines = [s for s in text.splitlines() if s.count("|") > 2]
    if len(lines) < 3 or is_acceptance(lines[0]):
        return None
    try:
        cells = separated("\n".join(lines), "the table")
    except ValueError:
        return None
    first, *settings = cells.names
    named = {plain_name(r.get(first, "")): r for r in cells.rows}
    roles = {role_of(n) for n in named}
    settings = [s for s in settings if s and not _STATISTIC.fullmatch(s)]
    if not roles & {"accepted", "rate", "length"} or len(settings) < 2:
        return None
    k = {s: m[1] for s in settings if (m := _LAST_NUMBER.fullmatch(s)) is not None}
    return of_cells(layouts.turned(cells, settings, k))


def captioned(text: str) -> EngineCounts | None:
    """A grid of acceptance lengths, which one of the lines above it says that they are."""
    for caption, table in tables_within(text):
        above = [s for s in caption.splitlines() if s.strip()][-3:]
        named = next((s for s in reversed(above) if _LENGTHS.search(s) or _ELSE.search(s)), "")
        if not _LENGTHS.search(named):
            continue
        cells = separated(table, "the table")
        first, *others = cells.names
        parts = [r for r in cells.rows if not TOTAL.fullmatch(r.get(first, ""))]
        rows = [row_of([("acceptance_length", r[n])], f"{r.get(first, '')}, {n}")
                for r in parts for n in others if NUMBER.fullmatch(r.get(n, ""))]  # fmt: skip
        if rows:
            note = f"lengths by {first} and {', '.join(others[:8])}, as a line above says"
            return counted(rows, kind_of(set()), [note])
    return None


def by_lines(text: str) -> EngineCounts | None:
    """Lines of settings, each with its speed and an acceptance rate or length."""
    cells = layouts.lines_of(text, "the lines")
    if cells is None or not {"acceptance_length", "acceptance_rate"} & set(cells.names):
        return None
    return of_cells(cells)


class Objects:
    """JSON objects that state drafted and accepted tokens, or a length, under names of `rows`."""

    def __init__(self) -> None:
        self.rows: list[Row] = []
        self.names: set[str] = set()

    def offer(self, value: Any) -> None:
        """Look through a value; an object that states something is not entered."""
        stack = [("", value)]
        while stack and len(self.rows) < _MOST_OBJECTS:
            label, part = stack.pop()
            if isinstance(part, list):
                stack += [(label, v) for v in reversed(part) if isinstance(v, dict | list)]
            elif isinstance(part, dict) and not self._taken(label, part):
                stack += [(str(k), v) for k, v in reversed(part.items())]

    def _taken(self, label: str, part: dict[str, Any]) -> bool:
        pairs = {}
        for key, value in part.items():
            name = plain_name(snake(str(key)))
            wanted = (list,) if role_of(name) == "listed" else (int, float, str)
            if isinstance(value, dict):  # a statistic over requests, such as AIPerf's
                value = value.get("avg", value.get("mean", value.get("average")))
            if isinstance(value, wanted) and not isinstance(value, bool):
                pairs[name] = str(value)
        roles = {role_of(n) for n in pairs}
        known = roles & {"drafted", "rejected", "rounds", "rate"}
        if "length" not in roles and not ("accepted" in roles and known):
            return False
        said = next((pairs[n] for n in ("task", "name", "category", "dataset", "label", "id")
                     if n in pairs), label)  # fmt: skip
        self.rows.append(row_of(pairs.items(), said or f"object {len(self.rows) + 1}"))
        self.names |= pairs.keys()
        return True

    def result(self) -> EngineCounts | None:
        """The sum over the objects."""
        rows = [r for r in self.rows if r.drafts]
        if not rows:
            return None
        kind = kind_of(self.names)
        return counted(rows, kind, [])
