"""Blocks of passes that are timed in turns, and what all parts of a cost measurement share.

That is its settings, its journal, and the form of a point.
"""

from __future__ import annotations

import gc
import random
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import partial
from typing import Any, Protocol

import torch

from .clock import Clock, MachineState, Step, clock_of
from .failures import free_bytes, out_of_memory, pass_bytes, shortage
from .limits import context_limit
from .pairs import LoadedModel
from .runner import Runner

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


class Block:
    """All numbers of tokens of some models at one batch, context and mode, timed in turns."""

    def __init__(self, work: Work, shape: tuple[int, int], mode: str) -> None:
        self.work, self.mode = work, mode
        self.batch, self.context = shape
        self.steps: dict[tuple[str, int], Step] = {}
        self.warmups: dict[tuple[str, int], list[float]] = {}
        self.times: dict[tuple[str, int], list[float]] = {}
        self.errors: dict[tuple[str, int], str] = {}

    def measure(self, models: dict[str, LoadedModel]) -> None:
        """Time the block and append its points."""
        clock = self.work.clock or clock_of(next(iter(models.values())).device)
        for name, loaded in models.items():
            self._prepare(name, loaded, clock)
        for _ in range(self.work.repeats):
            for name in models:
                self._turn(name, clock)
        # The runners hold the caches, and the steps hold the runners.
        keys = [(name, n) for name in models for n in self._wanted(name)]
        self.steps.clear()
        let_go()
        for key in keys:
            self.work.add(self._point(*key))

    def _wanted(self, name: str) -> list[int]:
        return self.work.missing("pass", name, (self.batch, self.context), self.mode)

    def _prepare(self, name: str, loaded: LoadedModel, clock: Clock) -> None:
        """Warm every number of tokens up; what cannot be run is noted."""
        numbers = self._wanted(name)
        reason = self._obstacle(loaded, max(numbers))
        if reason is None:
            try:
                runner = Runner(
                    loaded.model,
                    batch=self.batch,
                    capacity=self.context + max(numbers),
                    graphs=self.mode == "graph",
                )
                runner.occupy(self.context)
            except (RuntimeError, MemoryError) as error:
                if not out_of_memory(error):
                    raise
                reason = "out of memory"
                let_go()
        if reason is not None:
            self.errors |= {(name, n): reason for n in numbers}
            return
        for n in numbers:
            self._warm(name, n, self._step(runner, n, loaded.logits), clock)

    def _obstacle(self, loaded: LoadedModel, most: int) -> str | None:
        limit = context_limit(loaded.model)
        if self.context + most > limit:
            return f"{self.context} tokens and {most} more exceed the model's {limit} positions"
        graphs = self.mode == "graph"
        needed = pass_bytes(
            loaded.model, batch=self.batch, context=self.context, tokens=most, graphs=graphs
        )
        return shortage(needed, free_bytes(loaded.device))

    def _step(self, runner: Runner, n: int, vocabulary: int) -> Step:
        generator = torch.Generator().manual_seed(n)
        tokens = torch.randint(vocabulary, (self.batch, n), generator=generator)
        tokens = tokens.to(runner.device)
        back = torch.full((self.batch,), self.context, device=runner.device)
        return (
            partial(runner.rollback, back, most=self.context),
            partial(runner.extend, tokens, clone=False),
        )

    def _warm(self, name: str, n: int, step: Step, clock: Clock) -> None:
        try:
            self.warmups[name, n] = clock.time([step] * self.work.warmup)
            step[0]()
            logits = step[1]()
            if not (isinstance(logits, torch.Tensor) and bool(torch.isfinite(logits).all())):
                self.errors[name, n] = "logits are not finite numbers"
                return
        except (RuntimeError, MemoryError) as error:
            self._note(name, n, error)
            return
        self.steps[name, n] = step
        self.times[name, n] = []

    def _note(self, name: str, n: int, error: BaseException) -> None:
        """Note an error that concerns one point; raise what concerns all."""
        if out_of_memory(error):
            self.errors[name, n] = "out of memory"
        elif self.mode == "graph" and "captur" in str(error).lower():
            self.errors[name, n] = f"not captured: {str(error).splitlines()[0][:160]}"
        else:
            raise error
        let_go()

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
                self._note(name, n, error)
                del self.steps[name, n]
            return
        for n, time_s in zip(numbers, times, strict=True):
            self.times[name, n].append(time_s)

    def _point(self, name: str, n: int) -> Point:
        point: Point = {
            "operation": "pass",
            "model": name,
            "tokens": n,
            "batch": self.batch,
            "context": self.context,
            "mode": self.mode,
        }
        if (name, n) in self.errors:
            return point | {"error": self.errors[name, n]}
        return point | timed(self.warmups[name, n], self.times[name, n])
