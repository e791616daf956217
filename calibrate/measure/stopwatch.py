"""Where the time of a round goes: marks between its parts, on the clock or on the device."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import torch


class Stopwatch:
    """Adds up the time between marks by name, from its making on.

    On a CUDA device a mark is an event in the stream, so that nothing waits for it; elsewhere it
    reads the clock.
    """

    def __init__(self, device: torch.device, clock: Callable[[], float]) -> None:
        self._clock = clock
        self._events: list[tuple[str, torch.cuda.Event]] | None = None
        self._sums: dict[str, float] = {}
        if device.type == "cuda":
            self._events = []
            self.mark("")
        self._before = clock()

    def mark(self, name: str) -> None:
        """What was done since the mark before was ``name``."""
        if self._events is not None:
            make: Any = torch.cuda.Event
            event = make(enable_timing=True)
            event.record()
            self._events.append((name, event))
            return
        now = self._clock()
        self._sums[name] = self._sums.get(name, 0.0) + now - self._before
        self._before = now

    def seconds(self) -> dict[str, float]:
        """Seconds by name, in the order of their first mark."""
        if self._events is None:
            return dict(self._sums)
        sums: dict[str, float] = {}
        if self._events:
            self._events[-1][1].synchronize()
        for (_, before), (name, event) in zip(self._events, self._events[1:], strict=False):
            sums[name] = sums.get(name, 0.0) + before.elapsed_time(event) / 1000.0
        return sums
