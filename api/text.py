"""Text of answers: a table in as many columns of characters as there are, what to measure next."""

from __future__ import annotations

import re
import textwrap
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from .calibrate.library.evidence import Measurement
    from .sim.next_measurement import Next
    from .theory.decision import Ahead

_GAP = "  "
_PROSE = re.compile(r"[^\W\d]{2,}[,;:]? [^\W\d]{2,}")  # a cell of words, which may be wrapped


def table_text(
    columns: Sequence[str], rows: Sequence[Sequence[str]], width: int | None = None
) -> str:
    """A table in at most so many columns of text, None: as wide as it is.

    What does not fit is wrapped between words, and what does not fit then follows below, beside
    the first column again: nothing is left out and no word or number is cut.
    """
    table = [[str(cell) for cell in row] for row in (columns, *rows)]
    by_column = list(zip(*table, strict=True))
    prose = [
        any(_PROSE.search(c) or (j == 0 and any(map(str.isalpha, c))) for c in col[1:])
        for j, col in enumerate(by_column)
    ]
    sizes = [max(map(len, col)) for col in by_column]
    if width is not None and _total(sizes) > width:
        sizes = _narrowed(by_column, prose, width)
    parts: list[list[int]] = [[0]]
    for j in range(1, len(sizes)):
        held = [sizes[i] for i in (*parts[-1], j)]
        if width is not None and len(parts[-1]) > 1 and _total(held) > width:
            parts.append([0])
        parts[-1].append(j)
    return "\n\n".join(
        "\n".join(_lines(table, part, sizes, prose, ruled=len(part) > 1)) for part in parts
    )


def _total(sizes: Sequence[int]) -> int:
    return sum(sizes) + len(_GAP) * (len(sizes) - 1)


def _narrowed(by_column: Sequence[Sequence[str]], prose: Sequence[bool], width: int) -> list[int]:
    """Widths of columns whose headings, and cells of words, are wrapped between words."""
    least = []
    for column, words in zip(by_column, prose, strict=True):
        heading = [len(w) for w in column[0].split()]
        cells = [len(w) for c in column[1:] for w in (c.split() if words else [c])]
        least.append(max([*heading, *cells, 1]))
    spare = width - _total(least)
    for j, column in enumerate(by_column):  # what is left goes to the columns of words
        if prose[j] and spare > 0:
            more = min(spare, max(map(len, column)) - least[j])
            least[j], spare = least[j] + more, spare - more
    for j, column in enumerate(by_column):
        if prose[j]:  # never narrower than reads well, where the table is split anyway
            least[j] = max(least[j], min(width // 3, max(map(len, column))))
    return least


def _lines(
    table: Sequence[Sequence[str]],
    part: Sequence[int],
    sizes: Sequence[int],
    prose: Sequence[bool],
    *,
    ruled: bool,
) -> list[str]:
    lines = []
    for number, row in enumerate(table):
        wrapped = [
            textwrap.wrap(row[j], sizes[j], break_long_words=False, break_on_hyphens=False) or [""]
            if prose[j] or number == 0
            else [row[j]]
            for j in part
        ]
        for i in range(max(map(len, wrapped))):
            cells = [
                (cell[i] if i < len(cell) else "").ljust(sizes[j])
                if prose[j]
                else (cell[i] if i < len(cell) else "").rjust(sizes[j])
                for j, cell in zip(part, wrapped, strict=True)
            ]
            lines.append(_GAP.join(cells).rstrip())
        if number == 0 and ruled:
            lines.append("─" * _total([sizes[j] for j in part]))
    return lines


_SHOWN = 3  # measured rows in a list


def next_entry(found: Next) -> Mapping[str, object]:
    """What to measure next, as it stands in the JSON of an answer."""

    def state(ahead: Ahead) -> Mapping[str, object]:
        ends = {"low": ahead.low, "high": ahead.high, "level": found.level}
        return {"speedup": ends, "expected_regret": ahead.regret}

    return {
        "now": state(found.now),
        "measurements": [
            {"command": m.command, "what": m.what, "then": m.then, "device_minutes": m.minutes,
             **state(m.after)}
            for m in found.measurements
        ],
        "evidence": [
            {"metric": r.metric, "value": r.value, "gamma": r.gamma, "batch": r.batch,
             "task": r.task, "hardware": r.hardware, "engine": r.engine, "citation": r.citation}
            for r in found.evidence[:_SHOWN]
        ],
        "evidence_rows": len(found.evidence),
    }  # fmt: skip


def next_lines(found: Next) -> list[str]:
    """What to measure next, and what was measured before, in lines."""
    lines = []
    if found.measurements:
        lines.append(f"what to measure next (now {_state(found.now)}):")
    for m in found.measurements:
        time = "" if m.minutes is None else f"; {_minutes(m.minutes)} of device time"
        lines += [f"  {m.command}", f"    {m.what}; then {m.then}: {_state(m.after)}{time}"]
    if found.evidence:
        shown = "; ".join(_row(r) for r in found.evidence[:_SHOWN])
        more = len(found.evidence) - _SHOWN
        lines.append(f"measured of this pair: {shown}{f'; and {more} more' if more > 0 else ''}")
    return lines


def _state(ahead: Ahead) -> str:
    return f"speed-up {ahead.low:.2f}-{ahead.high:.2f}, expected regret {100 * ahead.regret:.1f} %"


def _minutes(minutes: float) -> str:
    return f"{minutes:.0f} min" if minutes >= 9.5 or minutes == 0.0 else f"{minutes:.1g} min"


def _row(row: Measurement) -> str:
    what = "speed-up" if row.metric.startswith("speedup") else row.metric.replace("_", " ")
    at = [f"gamma {row.gamma}" if row.gamma is not None else "",
          f"batch {row.batch:g}" if row.batch is not None else "",
          row.task, row.hardware, row.engine]  # fmt: skip
    return f"{what} {row.value:.4g} ({', '.join(a for a in at if a)})"
