"""Tables of statistics: CSV of speculators and of round traces."""

from __future__ import annotations

import csv
import math
import re
from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from itertools import islice
from typing import Any

from .completed import engine_counts
from .counts import EngineCounts, Group
from .printed import Printed, counts_behind, printed

_TRACE = re.compile(r"a(\d{1,4})")
_BLOCK_ROWS = 500
_MOST_CATEGORIES = 10_000
Block = tuple[int, list[list[str]]]
_POSITION = re.compile(r"acceptance_at_pos_(\d{1,4})")


def is_table(header: str) -> bool:
    """Whether the first line is the header of a table that this module reads."""
    names = _names(header)
    return {"num_drafts", "num_accepted_tokens"} <= set(names) or (
        "commits" in names and "a0" in names
    )


def _names(header: str) -> list[str]:
    return [c.strip().strip('"').strip() for c in re.split(r"[,;\t]", header.strip())]


def read_csv(lines: Iterable[str]) -> EngineCounts:
    """Read a table; raises ValueError naming the line."""
    numbered = iter(lines)
    header = next(numbered, "")
    mark = next((c for c in ",;\t" if c in header), None)
    if mark is None:
        raise ValueError("line 1: a header of columns apart by commas is needed")
    names = _names(header)
    if len(set(names)) != len(names):
        raise ValueError("line 1: a column is given twice")
    rows = _rows(csv.reader(numbered, delimiter=mark))
    if "commits" in names:
        return _trace(rows, names)
    return _speculators(rows, names)


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


def _named(rows: Iterator[Block], names: list[str]) -> Iterator[tuple[int, dict[str, str]]]:
    """Rows one by one, by the names of their columns."""
    for start, block in rows:
        for line, cells in enumerate(block, start=start):
            if _filled(cells, names, line):
                yield line, dict(zip(names, (c.strip() for c in cells), strict=True))


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


@dataclass
class _Sums:
    """Running sums of acceptance.csv; exact: the shares give whole counts that add up."""

    exact: bool
    weighted: list[float]
    positions: list[int]
    rounds: int = 0
    drafted: int = 0
    accepted: int = 0
    half_width: float = 0.0

    def add(self, n: int, tokens: int, kept: int, shares: list[Printed]) -> None:
        """Add one row."""
        counts = counts_behind(shares, n)
        self.exact = self.exact and counts is not None and sum(counts) == kept
        for k, share in enumerate(shares):
            self.weighted[k] += n * share.value
            self.positions[k] += counts[k] if counts else 0
            self.half_width = max(self.half_width, 0.5 * (share.high - share.low))
        self.rounds, self.drafted = self.rounds + n, self.drafted + tokens
        self.accepted += kept


def _speculators(rows: Iterator[Block], names: list[str]) -> EngineCounts:
    """acceptance.csv of vllm-project/speculators: one row a subset, shares over all drafts."""
    places = sorted(int(m.group(1)) for n in names if (m := _POSITION.fullmatch(n)))
    if places != list(range(len(places))):
        raise ValueError("line 1: columns acceptance_at_pos_0, .. must be without gaps")
    sums, groups = _Sums(bool(places), [0.0] * len(places), [0] * len(places)), []
    for line, row in _named(rows, names):
        n = _whole(row["num_drafts"], "num_drafts", line)
        kept = _whole(row["num_accepted_tokens"], "num_accepted_tokens", line)
        tokens = _whole(row.get("num_draft_tokens") or "0", "num_draft_tokens", line)
        shares = [_share(row[f"acceptance_at_pos_{k}"] or "0", line) for k in places]
        if kept > tokens and "num_draft_tokens" in names:
            raise ValueError(f"line {line}: accepted must be in [0, {tokens}], got {kept}")
        sums.add(n, tokens, kept, shares)
        label = next((row[c] for c in names if not c.startswith(("num_", "accept"))), f"{line}")
        groups.append(
            Group(
                label=label,
                gamma=len(places) or None,
                rounds=n,
                drafted=tokens if "num_draft_tokens" in names else None,
                accepted=kept,
                acceptance_length=1.0 + kept / n if n else None,
                survival=tuple(s.value for s in shares) or None,
            )
        )
    if not groups:
        raise ValueError("the table has a header and no rows")
    return _speculators_counts(sums, groups, "num_draft_tokens" in names)


def _speculators_counts(sums: _Sums, groups: list[Group], with_drafted: bool) -> EngineCounts:
    gamma = len(sums.positions) or None
    notes = [f"gamma is the {gamma} positions that have a column"] if gamma else ["gamma null"]
    if len(groups) > 1:
        notes.append(f"{len(groups)} rows are added up: see groups for each")
    printed_shares = bool(gamma and sums.rounds and not sums.exact)
    return engine_counts(
        "speculators",
        "speculators-acceptance-csv",
        definition="speculators (vLLM counters): acceptance_length = 1 + accepted / drafts, shares "
        "by position over all drafts",
        rounds=sums.rounds,
        drafted=sums.drafted if with_drafted else None,
        accepted=sums.accepted,
        gamma=gamma,
        per_position_accepted=sums.positions if sums.exact else None,
        survival=[w / sums.rounds for w in sums.weighted] if printed_shares else None,
        survival_half_width=sums.half_width if printed_shares else None,
        groups=tuple(groups) if len(groups) > 1 else (),
        notes=notes,
    )


def _share(text: str, line: int) -> Printed:
    try:
        share = printed(text)
    except ValueError:
        share = Printed(text, math.nan, math.nan, math.nan)
    if not 0.0 <= share.value <= 1.0:
        raise ValueError(f"line {line}: a share by position must be in [0, 1], got {text!r}")
    return share
