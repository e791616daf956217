"""What the verbs share: JSON without NaN, small text tables, and a progress bar on stderr."""

from __future__ import annotations

import json
import re
import shlex
import shutil
import sys
import textwrap
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager
from contextvars import ContextVar
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from ..answer import Answer, Table

COMMAND: ContextVar[tuple[str, ...]] = ContextVar("command", default=())  # its words, as given
_GAP = "  "
_PROSE = re.compile(r"[^\W\d]{2,}[,;:]? [^\W\d]{2,}")  # a cell of words, which may be wrapped


def write_files(answer: Answer, figure: Path | None, html: Path | None) -> None:
    """Write the figure and the page of an answer where they are wanted."""
    if figure is not None:
        answer.plot(figure)
    if html is not None:
        answer.to_html(html, command=shlex.join(("howspec", *COMMAND.get())))


def show(
    answer: Answer, as_json: bool, figure: Path | None = None, html: Path | None = None
) -> None:
    """Print an answer as text, or as one JSON object; write its figure and page first."""
    write_files(answer, figure, html)
    if as_json:
        print_json(answer.to_json())
        return
    print_blocks([answer.headline(), *answer.blocks(), *(f"note: {n}" for n in answer.notes)])
    print_blocks(answer.ending())
    if figure is not None:
        print(f"figure: {figure}")
    if html is not None:
        print(f"page: {html}")


@dataclass(frozen=True)
class Shown:
    """What is printed where no answer of `howspec` is: as JSON, or as lines and tables.

    aside: lines on stderr beside the text.
    """

    entry: object
    blocks: Iterable[str | Table]
    aside: Iterable[str] = ()

    def print(self, as_json: bool) -> None:
        """Print it."""
        if as_json:
            print_json(self.entry)
            return
        print_blocks(self.blocks)
        for line in self.aside:
            say(line)


def say(line: str) -> None:
    """Print a line on stderr at once."""
    print(line, file=sys.stderr, flush=True)


def print_json(value: object) -> None:
    """Print one JSON object on stdout."""
    print(json_text(value))


def json_text(value: object) -> str:
    """One JSON object as text."""
    from ..answer import plain

    return json.dumps(plain(value), indent=2, ensure_ascii=False, allow_nan=False)


def print_blocks(blocks: Iterable[str | Table]) -> None:
    """Print lines and tables on stdout."""
    for block in blocks:
        if isinstance(block, str):
            print(block)
        else:
            print_table(block.names, block.rows, block.title)


def table(columns: Sequence[str], rows: Sequence[Sequence[str]], title: str = "") -> Table:
    """A table of texts."""
    from ..answer import Column, Table

    cells = [Column(name, [row[j] for row in rows]) for j, name in enumerate(columns)]
    return Table(tuple(cells), title)


def print_table(columns: Sequence[str], rows: Sequence[Sequence[str]], title: str = "") -> None:
    """Print a small table on stdout; numbers to the right, columns without a value left out."""
    if title:
        print(title)
    full = [j for j in range(len(columns)) if j == 0 or any(row[j] for row in rows)]
    columns = [columns[j] for j in full]
    rows = [[row[j] for j in full] for row in rows]
    print(table_text(columns, rows, terminal_width()) + "\n")


def terminal_width() -> int | None:
    """Columns of the terminal on stdout, None where stdout is no terminal."""
    return shutil.get_terminal_size().columns if sys.stdout.isatty() else None


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


@contextmanager
def progress_bar() -> Iterator[Callable[[str, int, int], None]]:
    """Yield a function (what, done, total) that keeps one bar for each kind of work."""
    if not sys.stderr.isatty():
        yield lambda what, done, total: None
        return
    from rich.console import Console
    from rich.progress import Progress, TaskID, TimeRemainingColumn

    columns = (*Progress.get_default_columns()[:-1], TimeRemainingColumn())
    with Progress(*columns, console=Console(stderr=True), transient=True) as bar:
        tasks: dict[str, TaskID] = {}

        def report(what: str, done: int, total: int) -> None:
            if what not in tasks:
                tasks[what] = bar.add_task(what, total=total)
            bar.update(tasks[what], completed=done, total=total)

        yield report
