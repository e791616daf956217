"""The small tables of answers: columns, how values are shown in them, and what they turn into."""

from __future__ import annotations

import html
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import pandas

    from .theory.interval import Interval


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
