"""Blocks of passes that are timed in turns, and what all parts of a cost measurement share.

That is its settings, its journal, and the form of a point.
"""

from __future__ import annotations

import random
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Any

import torch

from ..records import Journal
from .device import (
    Clock,
    MachineState,
    Step,
    clock_of,
    free_bytes,
    lack_of_memory,
    let_go,
    out_of_memory,
    pass_bytes,
    shortage,
)
from .limits import context_limit
from .pairs import LoadedModel
from .plans import PassGrid, Progress
from .runner import Runner

Point = dict[str, Any]
Shape = tuple[int, int]  # (batch, context [token])


@dataclass
class Work:
    """The passes of a measurement, tokens in order, and where it stands.

    total: points of it; order: of the turns; slowest_s: what the longest block took.
    """

    journal: Journal
    grid: PassGrid
    clock: Clock | None
    seconds_left: Callable[[], float]
    progress: Progress
    total: int
    order: random.Random
    state: MachineState | None = None
    slowest_s: float = 0.0

    def missing(self, operation: str, model: str, shape: Shape, mode: str) -> list[int]:
        keys = {n: (operation, model, n, *shape, mode) for n in self.grid.tokens}
        return [n for n, key in keys.items() if key not in self.journal.done]

    @property
    def batches(self) -> list[int]:
        return sorted({b for b, _ in self.grid.shapes})

    def add(self, point: Point) -> None:
        if self.state is not None and "times_s" in point:
            point = point | self.state.read()
        self.journal.append(point)
        self.progress("costs", len(self.journal.done), self.total)


def rounded(times: Sequence[float]) -> list[float]:
    """Nanoseconds are finer than any clock here."""
    return [round(t, 9) for t in times]


def lacking(models: Sequence[LoadedModel], at: Shape, room: int, mode: str) -> str | None:
    """Why caches of rows with ``room`` tokens more would not fit into memory, None where they do.

    at: (batch, context), as of `filled`.
    """
    (batch, context), graphs = at, mode == "graph"
    needed = sum(
        pass_bytes(m.model, batch=batch, context=context, tokens=room, graphs=graphs)
        for m in models
    )
    return shortage(needed, free_bytes(models[0].device))


def filled(loaded: LoadedModel, at: Shape, room: int, mode: str) -> Runner:
    """A runner whose rows hold a context of random numbers, with room for more tokens behind."""
    (batch, context), graphs = at, mode == "graph"
    runner = Runner(loaded.model, batch=batch, capacity=context + room, graphs=graphs)
    runner.occupy(context)
    return runner


class Block:
    """All numbers of tokens of some models at one batch, context and mode, timed in turns."""

    def __init__(self, work: Work, shape: Shape, mode: str) -> None:
        self.work, self.shape, self.mode = work, shape, mode
        self.batch, self.context = shape
        self.steps: dict[tuple[str, int], Step] = {}
        self.found: dict[tuple[str, int], Point] = {}  # times of a point, or why it has none

    def measure(self, models: dict[str, LoadedModel]) -> None:
        """Time the block and append its points."""
        clock = self.work.clock or clock_of(next(iter(models.values())).device)
        for name, loaded in models.items():
            self._prepare(name, loaded, clock)
        for _ in range(self.work.grid.repeats):
            for name in models:
                self._turn(name, clock)
        # The runners hold the caches, and the steps hold the runners.
        self.steps.clear()
        let_go()
        at = {"batch": self.batch, "context": self.context, "mode": self.mode}
        for (name, n), found in self.found.items():
            self.work.add({"operation": "pass", "model": name, "tokens": n, **at, **found})

    def _prepare(self, name: str, loaded: LoadedModel, clock: Clock) -> None:
        """Warm every number of tokens up; what cannot be run is noted."""
        numbers = self.work.missing("pass", name, self.shape, self.mode)
        reason = self._obstacle(loaded, max(numbers))
        if reason is None:
            try:
                runner = filled(loaded, self.shape, max(numbers), self.mode)
            except (RuntimeError, MemoryError) as error:
                reason = lack_of_memory(error)
        for n in numbers:
            if reason is None:
                self._warm((name, n), self._step(runner, n, loaded.logits), clock)
            else:
                self.found[name, n] = {"error": reason}

    def _obstacle(self, loaded: LoadedModel, most: int) -> str | None:
        limit = context_limit(loaded.model)
        if self.context + most > limit:
            return f"{self.context} tokens and {most} more exceed the model's {limit} positions"
        return lacking([loaded], self.shape, most, self.mode)

    def _step(self, runner: Runner, n: int, vocabulary: int) -> Step:
        generator = torch.Generator().manual_seed(n)
        tokens = torch.randint(vocabulary, (self.batch, n), generator=generator)
        tokens = tokens.to(runner.device)
        back = torch.full((self.batch,), self.context, device=runner.device)
        return (
            partial(runner.rollback, back, most=self.context),
            partial(runner.extend, tokens, clone=False),
        )

    def _warm(self, key: tuple[str, int], step: Step, clock: Clock) -> None:
        try:
            warmups = clock.time([step] * self.work.grid.warmup)
            step[0]()
            logits = step[1]()
            if not (isinstance(logits, torch.Tensor) and bool(torch.isfinite(logits).all())):
                self.found[key] = {"error": "logits are not finite numbers"}
                return
        except (RuntimeError, MemoryError) as error:
            self._note(key, error)
            return
        self.steps[key] = step
        self.found[key] = {"warmup_s": rounded(warmups), "times_s": []}

    def _note(self, key: tuple[str, int], error: BaseException) -> None:
        """Note an error that concerns one point; raise what concerns all."""
        uncaptured = self.mode == "graph" and "captur" in str(error).lower()
        if uncaptured and not out_of_memory(error):
            reason = f"not captured: {str(error).splitlines()[0][:160]}"
            let_go()
        else:
            reason = lack_of_memory(error)
        self.found[key] = {"error": reason}

    def _turn(self, name: str, clock: Clock) -> None:
        numbers = [n for m, n in self.steps if m == name]
        if not numbers:
            return
        touch = self.steps[name, min(numbers)]
        self.work.order.shuffle(numbers)
        try:
            times = clock.time([touch, *(self.steps[name, n] for n in numbers)])[1:]
        except (RuntimeError, MemoryError) as error:
            for n in numbers:
                self._note((name, n), error)
                del self.steps[name, n]
            return
        for n, time_s in zip(numbers, times, strict=True):
            self.found[name, n]["times_s"] += rounded([time_s])
