"""Traces of rounds: a table with one row a round, commits accepted tokens of D drafted ones."""

from __future__ import annotations

import csv
import math
import re
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from itertools import islice
from typing import Any

from .completed import engine_counts
from .counts import EngineCounts, Group

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
    notes = [f"gamma is the {depth} columns a0.. of the trace: every round drafts that many"]
    if sum(histogram) >= 100 and not histogram[depth]:
        notes.append(
            f"no round accepts {depth}: the last column may be the boundary after the last draft "
            f"token, and gamma {depth - 1}"
        )
    return engine_counts(
        "inference-lab",
        "trace-rounds-csv",
        definition="one row a round: commits = accepted draft tokens, the bonus not counted",
        drafted=sum(histogram) * depth,
        gamma=depth,
        histogram=histogram,
        groups=tuple(_part(n, p, depth) for n, p in parts.items()) if len(parts) > 1 else (),
        notes=notes,
    )


def of_rounds(
    rounds: Mapping[tuple[int, int], int], stated: int | None, notes: list[str]
) -> dict[str, Any]:
    """Counts of (drafted, accepted) rounds, by the names of `engine_counts`; stated: the longest.

    gamma is the longest draft as stated, else what every round drafted, which ``notes`` say.
    """
    deepest, sizes = max(d for d, _ in rounds), {d for d, _ in rounds}
    histogram, tried = [0] * (max(a for _, a in rounds) + 1), [0] * deepest
    for (size, kept), n in rounds.items():
        histogram[kept] += n
        for k in range(min(kept + 1, size)):
            tried[k] += n
    gamma = stated if stated is not None and stated >= deepest else None
    if gamma is None and len(sizes) == 1 and sum(rounds.values()) > 1 and deepest:
        gamma = deepest
        notes.append(f"gamma is the {gamma} tokens that every round drafted")
    elif gamma is None:
        notes.append(f"rounds draft different numbers of tokens, up to {deepest}: gamma null")
    return {
        "drafted": sum(d * n for (d, _), n in rounds.items()),
        "gamma": gamma,
        "histogram": histogram,
        "per_position_accepted": [sum(histogram[k:]) for k in range(1, deepest + 1)],
        "tried": tuple(tried) or None,
    }


def _part(name: str, histogram: list[int], depth: int) -> Group:
    rounds, accepted = sum(histogram), sum(k * n for k, n in enumerate(histogram))
    return Group(
        label=name,
        gamma=depth,
        rounds=rounds,
        drafted=rounds * depth,
        accepted=accepted,
        acceptance_length=1.0 + accepted / rounds,
        survival=tuple(sum(histogram[k:]) / rounds for k in range(1, depth + 1)),
    )
