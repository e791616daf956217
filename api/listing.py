"""What a table or a file holds, as it is: lines and tables, and its own JSON."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass

from .answer import JSON, Answer, plain
from .table import Table


@dataclass(frozen=True, repr=False)
class Listing(Answer):
    """What was looked up. entry: as JSON, which is no answer's and names no schema; listed: as
    lines and tables."""

    SCHEMA = "listing"

    entry: Mapping[str, object]
    listed: tuple[str | Table, ...]

    def data(self) -> Mapping[str, object]:
        return self.entry

    @property
    def _first(self) -> str:
        return next((b for b in self.listed if isinstance(b, str)), "")

    def headline(self) -> str:
        return self._first.strip()

    def blocks(self) -> Iterator[str | Table]:
        yield from (b for b in self.listed if b is not self._first)

    def printed(self) -> Iterator[str | Table]:
        yield from self.listed

    def to_json(self) -> dict[str, JSON]:
        found = plain(dict(self.entry))
        assert isinstance(found, dict)
        return found
