"""What the verbs share: JSON without NaN, tables at the width of the terminal, files, progress."""

from __future__ import annotations

import os
import shlex
import shutil
import sys
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager
from contextvars import ContextVar
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from ..answer import Answer
    from ..table import Table

COMMAND: ContextVar[tuple[str, ...]] = ContextVar("command", default=())  # its words, as given


def check_outputs(figure: Path | None, html: Path | None) -> None:
    """A figure and a page that can be written: known before any work."""
    check_file(figure, "--figure", (".png", ".pdf", ".svg"))
    check_file(html, "--html", (".html", ".htm"))


def check_file(path: Path | None, option: str, endings: Sequence[str]) -> None:
    """A file that can be written, with one of the endings."""
    if path is None:
        return
    if path.suffix.lower() not in endings:
        *others, last = endings
        raise ValueError(f"{option} must end in {', '.join(others)} or {last}, got {path.name!r}")
    if path.is_dir():
        raise ValueError(f"{option} must be a file, got the folder {path}")
    if path.exists() and not os.access(path, os.W_OK):
        raise ValueError(f"{option} must be a file that can be written, got {path}")
    if not path.parent.is_dir():
        raise ValueError(f"{option} must be in a folder that is there, got {path}")
    from ..calibrate.files import check_folder

    check_folder(path.parent, option)


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
    print_blocks(answer.printed())
    if figure is not None:
        print(f"figure: {figure}")
    if html is not None:
        print(f"page: {html}")


def say(line: str) -> None:
    """Print a line on stderr at once."""
    print(line, file=sys.stderr, flush=True)


def print_json(value: object) -> None:
    """Print one JSON object on stdout."""
    from ..answer import json_text

    print(json_text(value))


def print_blocks(blocks: Iterable[str | Table]) -> None:
    """Print lines and tables on stdout."""
    for block in blocks:
        print(block if isinstance(block, str) else block.text(terminal_width()) + "\n")


def terminal_width() -> int | None:
    """Columns of the terminal on stdout, None where stdout is no terminal."""
    return shutil.get_terminal_size().columns if sys.stdout.isatty() else None


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
