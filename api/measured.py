"""What the answers of `measure_costs`, `measure_acceptance` and `measure_sweep` share."""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from .answer import Answer
from .table import Table

if TYPE_CHECKING:
    from .calibrate.measure.calls import Measured

Progress = Callable[[str, int, int], None]


@dataclass(frozen=True, repr=False)
class MeasuredRecord(Answer):
    """A record that a call measured or went on with.

    found: whether it is complete, the record so far and its file; inputs: what was asked.
    """

    found: Measured
    inputs: Mapping[str, object]

    @property
    def points(self) -> Sequence[Mapping[str, Any]]:
        """The raw points measured so far."""
        return () if self.found.record is None else self.found.record.points

    @property
    def failed(self) -> tuple[str, ...]:
        """What could not be measured and why, one line each."""
        kind = "" if self.found.record is None else self.found.record.kind
        of = _NAMED.get(kind, ())
        lines = (
            ", ".join(f"{n} {p[n]}".removeprefix("model ").removeprefix("draft ")
                      for n in of if p.get(n) is not None) + f": {p['error']}"
            for p in self.points
            if "error" in p
        )  # fmt: skip
        return tuple(dict.fromkeys(lines))

    @property
    def notes(self) -> tuple[str, ...]:
        return (*self.found.notes, *self.failed)

    def data(self) -> Mapping[str, object]:
        return {
            "complete": self.found.complete, "record": str(self.found.path), **self.rows(),
            "failed": self.failed, "inputs": self.inputs, "notes": self.notes,
        }  # fmt: skip

    def headline(self) -> str:
        record = self.found.record
        if record is None:
            return "nothing measured yet"
        return f"{len(record.points)} points of {record.kind} in {self.found.path}"

    def ending(self) -> list[str]:
        if self.found.complete:
            return []
        return [f"{self.found.path} is not complete: run the same command again to go on"]

    def blocks(self) -> Iterator[str | Table]:
        if self.found.record is not None:
            yield from self.shown()

    @abstractmethod
    def rows(self) -> Mapping[str, object]:
        """The tables as they stand in the JSON."""

    @abstractmethod
    def shown(self) -> Iterator[str | Table]:
        """The tables, and lines that say what their columns hold."""


# What names a point in the line on its failure, by the kind of record.
_NAMED = {
    "costs": ("operation", "model", "batch", "context", "mode", "tokens"),
    "acceptance": ("draft", "temperature"),
    "sweep": ("draft", "method", "gamma", "batch"),
}


def quiet(what: str, done: int, total: int) -> None:
    """Progress that nobody watches."""


def several(value: int | Sequence[int]) -> tuple[int, ...]:
    """One whole number, or many."""
    return (value,) if isinstance(value, int) else tuple(value)


def at_place(values: Sequence[float | None] | None, k: int) -> float | None:
    """The value of draft token k = 0, 1.., None beyond the last."""
    return values[k] if values is not None and k < len(values) else None
