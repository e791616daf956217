"""What every answer offers: a few lines, tables, frames, JSON with a schema, HTML and a plot."""

from __future__ import annotations

import html
import json
import math
from abc import ABC, abstractmethod
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, fields, is_dataclass
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, ClassVar

if TYPE_CHECKING:
    import pandas
    from matplotlib.figure import Figure

    from .sim.next_measurement import Next
    from .theory.interval import Interval

JSON = None | bool | int | float | str | list["JSON"] | dict[str, "JSON"]


def plain(value: object) -> JSON:
    """A value as JSON knows it: arrays as lists, dataclasses as objects, no NaN or infinity."""
    if value is None or isinstance(value, bool | str):
        return value
    if isinstance(value, float):
        return float(value) if math.isfinite(value) else None
    if isinstance(value, int):
        return value
    if is_dataclass(value) and not isinstance(value, type):
        return {f.name: plain(getattr(value, f.name)) for f in fields(value)}
    if isinstance(value, Mapping):
        return {str(k): plain(v) for k, v in value.items()}
    if isinstance(value, Sequence):
        return [plain(v) for v in value]
    if hasattr(value, "tolist"):
        return plain(value.tolist())
    return str(value)


def json_text(value: object) -> str:
    """One JSON object as text."""
    return json.dumps(plain(value), indent=2, ensure_ascii=False, allow_nan=False)


@dataclass(frozen=True)
class Column:
    """One column of a table: the values, and how one is shown: a format such as .3f, or by what."""

    name: str
    values: Sequence[object]
    show: str | Callable[[object], str] = ""

    @property
    def cells(self) -> list[str]:
        """The values as text, a dash where there is none."""
        return ["-" if v is None else self._shown(v) for v in self.values]

    def _shown(self, value: object) -> str:
        return format(value, self.show) if isinstance(self.show, str) else self.show(value)

    @property
    def of_words(self) -> bool:
        """Whether it holds words rather than numbers."""
        given = [v for v in self.values if v is not None]
        return all(isinstance(v, str) for v in given) and any(" " in str(v) for v in given)


@dataclass(frozen=True)
class Table:
    """A small table: columns of equal length."""

    columns: tuple[Column, ...]
    title: str = ""

    @property
    def names(self) -> list[str]:
        """Names of the columns."""
        return [c.name for c in self.columns]

    @property
    def rows(self) -> list[list[str]]:
        """The rows as text."""
        return [list(row) for row in zip(*(c.cells for c in self.columns), strict=True)]

    def text(self, width: int | None = None) -> str:
        """The table as text in at most so many characters, None: as wide as it is; numbers to the
        right, columns without a value left out."""
        from .text import table_text

        rows = self.rows
        full = [j for j in range(len(self.columns)) if j == 0 or any(row[j] for row in rows)]
        kept = [[row[j] for j in full] for row in (self.names, *rows)]
        text = table_text(kept[0], kept[1:], width)
        return f"{self.title}\n{text}" if self.title else text

    def __str__(self) -> str:
        return self.text()

    def to_frame(self) -> pandas.DataFrame:
        """The values, not their texts, as a pandas frame."""
        import pandas

        return pandas.DataFrame({c.name: [_flat(v) for v in c.values] for c in self.columns})

    def to_html(self) -> str:
        """The table as HTML; every text is escaped."""
        words = [' class="words"' if c.of_words else "" for c in self.columns]
        body = "".join(
            "<tr>"
            + "".join(f"<td{w}>{html.escape(c)}</td>" for w, c in zip(words, row, strict=True))
            + "</tr>"
            for row in self.rows
        )
        named = zip(words, self.names, strict=True)
        head = "".join(f"<th{w}>{html.escape(n)}</th>" for w, n in named)
        title = f"<caption>{html.escape(self.title)}</caption>" if self.title else ""
        return f"<table>{title}<thead><tr>{head}</tr></thead><tbody>{body}</tbody></table>"


def texts(columns: Sequence[str], rows: Sequence[Sequence[str]], title: str = "") -> Table:
    """A table of texts, given by rows."""
    cells = [Column(name, [row[j] for row in rows]) for j, name in enumerate(columns)]
    return Table(tuple(cells), title)


def _flat(value: object) -> object:
    """An interval as its estimate: a frame has one number a cell."""
    return getattr(value, "estimate", value)


def percent(value: object) -> str:
    """A share in whole percent."""
    assert isinstance(value, float | int)
    return f"{100 * value:.0f} %"


def whole(value: object) -> str:
    """A number of sequences or tokens, which come whole: 131,072."""
    assert isinstance(value, float | int)
    return f"{round(value):,}"


def span(value: object, digits: int = 3) -> str:
    """The ends of an interval."""
    return f"{value.low:.{digits}f}-{value.high:.{digits}f}"  # type: ignore[attr-defined]


def sure(value: Interval, digits: int = 3) -> str:
    """An interval in words."""
    return f"{100 * value.level:g} % interval {span(value, digits)}"


def between(ends: object) -> str:
    """The ends of an interval, given as two numbers."""
    assert isinstance(ends, tuple)
    low, high = ends
    return f"{low:.3f}-{high:.3f}"


def window(gammas: object) -> str:
    """Numbers next to each other, by the first and the last."""
    assert isinstance(gammas, Sequence)
    return f"{gammas[0]}-{gammas[-1]}" if len(gammas) > 1 else f"{gammas[0]}"


def estimate(value: object) -> str:
    """The middle of an interval."""
    return f"{value.estimate:.3f}"  # type: ignore[attr-defined]


class Answer(ABC):
    """An answer of howspec: frozen; print it, or take its tables, frame, JSON or plot."""

    SCHEMA: ClassVar[str]
    VERSION: ClassVar[int] = 1

    @abstractmethod
    def headline(self) -> str:
        """The answer in one line."""

    @abstractmethod
    def data(self) -> Mapping[str, object]:
        """Everything that the answer holds, as it stands in its JSON."""

    @abstractmethod
    def blocks(self) -> Iterator[str | Table]:
        """What follows the headline, in order: lines and tables; without the notes."""

    @property
    def notes(self) -> tuple[str, ...]:
        """What to know before relying on the answer, nothing unless it says so."""
        return ()

    @cached_property
    def next(self) -> Next | None:
        """What to measure next, with what it is expected to leave; None where nothing is unsure."""
        return self._next()

    def _next(self) -> Next | None:
        return None

    def ending(self) -> list[str]:
        """The lines that say what to measure next and what was measured before, none without."""
        from .text import next_lines

        return [] if self.next is None else next_lines(self.next)

    def printed(self) -> Iterator[str | Table]:
        """What the command line prints: all lines and tables in order, the notes, what is next."""
        yield self.headline()
        yield from self.blocks()
        yield from self.note_lines()
        yield from self.ending()

    def draw(self) -> Figure:
        """The figure of the answer; raises ValueError where an answer has none."""
        raise ValueError(f"{type(self).__name__} has no figure")

    def plot(self, path: str | Path | None = None) -> Figure:
        """The figure of the answer, also written to ``path`` (.pdf, .png or .svg) where given."""
        made = self.draw()
        if path is not None:
            from .figures.style import write

            write(made, Path(path))
        return made

    def to_paste(self) -> Iterator[tuple[str, str]]:
        """What the answer has to copy elsewhere, such as a configuration: title and text."""
        return iter(())

    def to_html(self, path: str | Path | None = None, *, command: str | None = None) -> str:
        """The answer as a page of its own to hand on, also written to ``path`` where given.

        command: what the page says it was made with; by default this question in Python. The page
        needs no other file. Raises OSError where the path cannot be written.
        """
        from .report import report

        page = report(self, command)
        if path is not None:
            from .calibrate.files import atomic_write

            atomic_write(Path(path), page.encode())
        return page

    def tables(self) -> tuple[Table, ...]:
        """All tables of the answer, the main one first."""
        return tuple(b for b in self.blocks() if isinstance(b, Table))

    def table(self) -> Table:
        """The main table."""
        return self.tables()[0]

    def to_frame(self) -> pandas.DataFrame:
        """The main table as a pandas frame."""
        return self.table().to_frame()

    def to_json(self) -> dict[str, JSON]:
        """The whole answer as JSON knows it, with the name and version of its schema."""
        about: dict[str, JSON] = {"schema": f"howspec.{self.SCHEMA}", "version": self.VERSION}
        found = plain(dict(self.data()))
        assert isinstance(found, dict)
        if self.next is not None:
            from .text import next_entry

            found["next"] = plain(next_entry(self.next))
        return about | found

    def note_lines(self) -> list[str]:
        """Lines of the notes, but for one that is the headline."""
        return [f"note: {n}" for n in self.notes if n != self.headline()]

    def __str__(self) -> str:
        lines = [self.headline(), *(b for b in self.blocks() if isinstance(b, str))]
        return "\n".join([*lines, *self.note_lines(), *self.ending()])

    def __repr__(self) -> str:
        count = len(self.notes)
        more = f"; {count} note{'s' if count > 1 else ''}" if count else ""
        return f"<{type(self).__name__}: {self.headline()}{more}>"

    def _repr_html_(self) -> str:
        parts = [f"<p><strong>{html.escape(self.headline())}</strong></p>"]
        for block in self.blocks():
            parts.append(block.to_html() if isinstance(block, Table) else _paragraph(block))
        if self.notes:
            items = "".join(f"<li>{html.escape(n)}</li>" for n in self.notes)
            parts.append(f"<ul>{items}</ul>")
        if self.next is not None:
            parts.append(f"<pre>{html.escape(chr(10).join(self.ending()))}</pre>")
        return "".join(parts)


def _paragraph(text: str) -> str:
    return f"<p>{html.escape(text)}</p>"
