"""A clock for tests that time work which only pretends to be done."""

from __future__ import annotations

from collections.abc import Sequence

from howspec.calibrate.measure.clock import Step


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
