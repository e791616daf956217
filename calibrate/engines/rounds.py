"""Rounds one by one: a trace with a row a round, and the hook around transformers.

A trace states commits, the accepted tokens of D drafted ones. transformers itself reports nothing:
the hook of `howspec.calibrate.measure` writes one JSON line a round, {"request", "round",
"drafted", "accepted"}, and one with a summary that names the version and the totals. InferenceX's
golden_al_distribution has lengths by model, mode and draft length, in YAML.
"""

from __future__ import annotations

import csv
import math
import re
from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from itertools import islice
from typing import Any

from .completed import counts_as
from .counts import EngineCounts, Group
from .numbers import count
from .row_sums import of_rounds

_TRACE = re.compile(r"a(\d{1,4})")
_BLOCK_ROWS = 500
_MOST_CATEGORIES = 10_000
Block = tuple[int, list[list[str]]]


def is_trace(header: str) -> bool:
    """Whether a line is the header of a trace of rounds."""
    names = _names(header)
    return "commits" in names and "a0" in names


def _names(header: str) -> list[str]:
    return [c.strip().strip('"').strip() for c in re.split(r"[,;\t]", header.strip())]


def read_trace(lines: Iterable[str]) -> EngineCounts:
    """Read a trace; raises ValueError naming the line."""
    numbered = iter(lines)
    header = next(numbered, "")
    mark = next((c for c in ",;\t" if c in header), None)
    if mark is None:
        raise ValueError("line 1: a header of columns apart by commas is needed")
    names = _names(header)
    if len(set(names)) != len(names):
        raise ValueError("line 1: a column is given twice")
    return _trace(_rows(csv.reader(numbered, delimiter=mark)), names)


def _rows(reader: Any) -> Iterator[Block]:
    """(line of the first row, rows) in blocks; reader: of csv, behind the header."""
    line = 2
    try:
        while block := list(islice(reader, _BLOCK_ROWS)):
            yield line, block
            line += len(block)
    except csv.Error as error:
        raise ValueError(f"line {reader.line_num + 1}: is no record of a table: {error}") from None


def _filled(cells: Sequence[str], names: list[str], line: int) -> bool:
    """Whether a row holds anything. Raises ValueError where it has other cells than the header."""
    if not any(c.strip() for c in cells):
        return False
    if len(cells) != len(names):
        raise ValueError(
            f"line {line}: a row must have {len(names)} cells as the header has, got {len(cells)}"
        )
    return True


def _whole(text: str, what: str, line: int) -> int:
    """A whole number, also as 12.0, as tables write counts."""
    try:
        value = float(text)
    except ValueError:
        value = math.nan
    if not (0 <= value <= 2.0**63 and value == int(value)):
        raise ValueError(f"line {line}: {what} must be a whole number >= 0, got {text!r}")
    return int(value)


def _trace(rows: Iterator[Block], names: list[str]) -> EngineCounts:
    """Rounds one by one: commits accepted tokens of D drafted, by category."""
    depth = sum(1 for n in names if _TRACE.fullmatch(n))
    if [n for n in names if _TRACE.fullmatch(n)] != [f"a{k}" for k in range(depth)]:
        raise ValueError("line 1: columns a0, a1, .. must be without gaps and in order")
    at = names.index("commits")
    label = names.index("category") if "category" in names else None
    parts: dict[str, list[int]] = {}
    for start, block in rows:
        for cells, times in Counter(map(tuple, block)).items():
            line = start + block.index(list(cells))
            if not _filled(cells, names, line):
                continue
            kept = _whole(cells[at].strip(), "commits", line)
            if kept > depth:
                raise ValueError(f"line {line}: commits must be in [0, {depth}], got {kept}")
            name = "" if label is None else cells[label].strip()
            parts.setdefault(name, [0] * (depth + 1))[kept] += times
            if len(parts) > _MOST_CATEGORIES:
                raise ValueError(f"line {line}: categories must be at most {_MOST_CATEGORIES}")
    if not parts:
        raise ValueError("the table has a header and no rounds")
    return _trace_counts(parts, depth)


def _trace_counts(parts: dict[str, list[int]], depth: int) -> EngineCounts:
    """Counts of histograms by category, each of depth + 1 entries."""
    histogram = [sum(column) for column in zip(*parts.values(), strict=True)]
    groups = tuple(
        Group.of(
            name, n := sum(part), n * depth, sum(k * m for k, m in enumerate(part)), gamma=depth,
            survival=tuple(sum(part[k:]) / n for k in range(1, depth + 1)),
        )
        for name, part in parts.items()
    )  # fmt: skip
    notes = [f"gamma is the {depth} columns a0.. of the trace: every round drafts that many"]
    if sum(histogram) >= 100 and not histogram[depth]:
        notes.append(
            f"no round accepts {depth}: the last column may be the boundary after the last draft "
            f"token, and gamma {depth - 1}"
        )
    return counts_as(
        "trace-rounds-csv",
        drafted=sum(histogram) * depth,
        gamma=depth,
        histogram=histogram,
        groups=groups if len(groups) > 1 else (),
        notes=notes,
    )


class HookRounds:
    """Adds up the rounds, by draft length and accepted tokens."""

    keys = frozenset({"transformers", "drafted"})

    def __init__(self) -> None:
        self.rounds: dict[tuple[int, int], int] = {}
        self.names: set[Any] = set()
        self.summary: dict[str, Any] = {}

    def take(self, entry: dict[str, Any], key: str) -> bool:
        """Take a round or the summary."""
        if "transformers" in entry and "rounds" in entry:
            self.summary = entry
            return True
        if not ({"drafted", "accepted"} <= entry.keys() and "round" in entry):
            return False
        drafted, accepted = count(entry["drafted"], "drafted"), count(entry["accepted"], "accepted")
        if drafted is None or accepted is None:
            raise ValueError("a round must hold drafted and accepted, got null")
        if accepted > drafted:
            raise ValueError(f"accepted must be in [0, drafted = {drafted}], got {accepted}")
        if drafted > 4096:
            raise ValueError(f"drafted tokens of a round must be in [0, 4096], got {drafted}")
        self.rounds[drafted, accepted] = self.rounds.get((drafted, accepted), 0) + 1
        if isinstance(entry.get("request"), int | str):
            self.names.add(entry["request"])
        return True

    def result(self) -> EngineCounts | None:
        """The sum over rounds, or the summary alone."""
        if not self.rounds and not self.summary:
            return None
        known: dict[str, Any] = {
            k: count(self.summary.get(k), k) for k in ("rounds", "drafted", "accepted")
        }
        notes = []
        if not self.rounds:
            notes.append("only the totals are there: survival and gamma null")
            known["requests"] = count(self.summary.get("requests"), "requests")
        else:
            pairs = self.rounds.items()
            counted = {
                "rounds": sum(self.rounds.values()),
                "drafted": sum(d * n for (d, _), n in pairs),
                "accepted": sum(a * n for (_, a), n in pairs),
            }
            notes += [
                f"the summary states {known[name]} {name}, the rounds add up to {n}: lines are "
                f"missing or were added"
                for name, n in counted.items()
                if known[name] not in (None, n)
            ]
            known = {**counted, "requests": len(self.names) or None}
            known |= of_rounds(self.rounds, None, notes)
        version = self.summary.get("transformers")
        known["version"] = version if isinstance(version, str) else None
        return counts_as("transformers-hook", notes=notes, **known)


_ENTRY = re.compile(r"^(\s*)(?:-\s+)?[\"']?([^\"':#{}][^\"':{}]*?)[\"']?\s*:\s*(.*?)\s*(?:#.*)?$")
_PAIR = re.compile(r"[\"']?(\d{1,4})[\"']?\s*:\s*[\"']?(\d+(?:\.\d+)?)[\"']?\s*(?:,|$)")


def is_golden(head: str) -> bool:
    """Whether a text looks like a YAML of acceptance lengths by model, mode and draft length."""
    return re.search(r"^\s+thinking_(?:on|off)\s*:", head, re.MULTILINE) is not None


def read_golden(lines: Iterable[str]) -> EngineCounts:
    """InferenceX golden_al_distribution: model -> thinking_on/off -> {K: acceptance length}."""
    path: list[tuple[int, str]] = []
    groups: list[Group] = []
    for line, raw in enumerate(lines, start=1):
        if not raw.strip() or raw.lstrip().startswith(("#", "---")):
            continue
        found = _ENTRY.match(raw.rstrip("\r\n"))
        if found is None:
            raise ValueError(f"line {line}: must be 'name: value', got {raw.strip()[:80]!r}")
        indent, name, value = len(found.group(1)), found.group(2).strip(), found.group(3)
        path = [p for p in path if p[0] < indent]
        label = " ".join(p[1] for p in path)
        if value.startswith("{"):
            inner = value.strip("{} ")
            pairs = _PAIR.findall(inner)
            if len(pairs) != inner.count(":"):
                raise ValueError(f"line {line}: must be {{K: length, ..}}, got {value[:80]!r}")
            groups += [_golden(f"{label} {name}".strip(), k, v, line) for k, v in pairs]
        elif value and name.isdigit():
            groups.append(_golden(label, name, value.strip("\"'"), line))
        elif not value:
            path.append((indent, name))
    if not groups:
        raise ValueError("holds no acceptance length under thinking_on or thinking_off")
    one = groups[0] if len(groups) == 1 else None
    return counts_as(
        "inferencex-golden-al",
        gamma=one.gamma if one else None,
        acceptance_length=one.acceptance_length if one else None,
        groups=tuple(groups),
        notes=[
            "lengths by gamma without counts: rounds, drafted, accepted and survival null; "
            "differences of the lengths of one curve are its survival only if a longer draft "
            "leaves the first tokens alone"
        ],
    )


def _golden(label: str, gamma: str, text: str, line: int) -> Group:
    k = int(gamma)
    try:
        length = float(text)
    except ValueError:
        length = math.nan
    if not 1.0 <= length <= k + 1:
        raise ValueError(
            f"line {line}: an acceptance length must be in [1, {k + 1}] at {k} draft tokens, got "
            f"{text!r}"
        )
    return Group(label=label, gamma=k, acceptance_length=length)
