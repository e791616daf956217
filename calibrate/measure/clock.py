"""Clocks that time pieces of work on a device; injected, so that a test needs no device."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from typing import Protocol

import torch

# What is done before the clock starts, and what is timed.
Step = tuple[Callable[[], object], Callable[[], object]]


class Clock(Protocol):
    """Times steps in order; returns the seconds of each."""

    def time(self, steps: Sequence[Step]) -> list[float]: ...


class HostClock:
    """The wall clock: right where a call returns when its work is done, which is on a CPU."""

    def time(self, steps: Sequence[Step]) -> list[float]:
        times = []
        for prepare, work in steps:
            prepare()
            started = time.perf_counter()
            work()
            times.append(time.perf_counter() - started)
        return times


class CudaClock:
    """Events in the stream of a CUDA device, with one wait behind all steps.

    Where the GPU waits for launches, the time between the events is that of the launches.
    """

    def __init__(self, device: torch.device) -> None:
        if device.type != "cuda":
            raise ValueError(f"a CUDA clock needs a CUDA device, given {device}")
        self._device = device

    def time(self, steps: Sequence[Step]) -> list[float]:
        pairs = []
        with torch.cuda.device(self._device):
            for prepare, work in steps:
                prepare()
                before = _event()
                after = _event()
                before.record()
                work()
                after.record()
                pairs.append((before, after))
            torch.cuda.synchronize(self._device)
        return [before.elapsed_time(after) / 1000.0 for before, after in pairs]


def _event() -> torch.cuda.Event:
    return torch.cuda.Event(enable_timing=True)  # type: ignore[no-untyped-call]


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


def clock_of(device: torch.device) -> Clock:
    """Events on a CUDA device, the wall clock elsewhere."""
    return CudaClock(device) if device.type == "cuda" else HostClock()
