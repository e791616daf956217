"""A clock for tests that time work which only pretends to be done, and a journal in memory."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

from howspec.calibrate.measure.device import Step


class FakeClock:
    """A clock that moves only when it is told to: `spend` is called by what pretends to work."""

    def __init__(self) -> None:
        self.now_s = 0.0

    def spend(self, seconds: float) -> None:
        """Let so much time pass."""
        self.now_s += seconds

    def time(self, steps: Sequence[Step]) -> list[float]:
        times = []
        for prepare, work in steps:
            prepare()
            started = self.now_s
            work()
            times.append(self.now_s - started)
        return times


class Memory:
    """A journal of costs that forgets nothing and writes nothing; ``limit`` points, then an
    interrupt."""

    KEY = ("operation", "model", "tokens", "batch", "context", "mode")

    def __init__(self, limit: float = math.inf) -> None:
        self.points: list[dict[str, Any]] = []
        self.done: set[tuple[Any, ...]] = set()
        self.limit = limit

    def append(self, point: Any) -> None:
        if len(self.points) >= self.limit:
            raise KeyboardInterrupt
        key = tuple(point.get(k) for k in self.KEY)
        assert key not in self.done, f"{key} twice"
        self.done.add(key)
        self.points.append(dict(point))
