"""What the parts of a cost measurement share: its settings, its journal, the form of a point."""

from __future__ import annotations

import gc
import random
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Protocol

import torch

from .clock import Clock
from .state import MachineState

Point = dict[str, Any]
_Key = tuple[Any, ...]


class PointJournal(Protocol):
    """What is asked of a journal: the keys of the points that are there, and appending one."""

    @property
    def done(self) -> set[_Key]: ...
    def append(self, point: Mapping[str, Any]) -> None: ...


@dataclass
class Work:
    """The settings of a measurement and where it stands."""

    journal: PointJournal
    tokens: tuple[int, ...]
    shapes: tuple[tuple[int, int], ...]
    modes: tuple[str, ...]
    repeats: int
    warmup: int
    clock: Clock | None
    seconds_left: Callable[[], float]
    progress: Callable[[str, int, int], None]
    total: int
    order: random.Random
    state: MachineState | None = None
    slowest_s: float = field(default=0.0)

    def missing(self, operation: str, model: str, shape: tuple[int, int], mode: str) -> list[int]:
        batch, context = shape
        return [
            n
            for n in self.tokens
            if (operation, model, n, batch, context, mode) not in self.journal.done
        ]

    @property
    def batches(self) -> list[int]:
        return sorted({b for b, _ in self.shapes})

    def add(self, point: Point) -> None:
        if self.state is not None and "times_s" in point:
            point = point | self.state.read()
        self.journal.append(point)
        self.progress("costs", len(self.journal.done), self.total)


def timed(warmups: Sequence[float], times: Sequence[float]) -> Point:
    return {"warmup_s": rounded(warmups), "times_s": rounded(times)}


def rounded(times: Sequence[float]) -> list[float]:
    """Nanoseconds are finer than any clock here."""
    return [round(t, 9) for t in times]


def let_go() -> None:
    """Give the memory of what is no longer held back to a CUDA device; a CPU needs no asking."""
    if torch.cuda.is_available():
        gc.collect()
        torch.cuda.empty_cache()
