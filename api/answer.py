"""What every answer offers: a few lines, tables, frames, JSON with a schema, HTML and a plot."""

from __future__ import annotations

import html
import json
import math
from abc import ABC, abstractmethod
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import fields, is_dataclass
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, ClassVar

from .table import Table

if TYPE_CHECKING:
    import pandas
    from matplotlib.figure import Figure

    from .sim.next_measurement import Next

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

    @property
    def has_figure(self) -> bool:
        """Whether answers of this kind have a figure."""
        return type(self).draw is not Answer.draw

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
