"""Clocks that time pieces of work on a device; injected, so that a test needs no device.

With marks between the parts of a round, on the clock or on the device, and with the clocks, power
and temperature of the device while something is measured, where readable.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from typing import Any, Protocol

import torch

from ..records.provenance import ask_gpu, cpu_lines, number

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


def clock_of(device: torch.device) -> Clock:
    """Events on a CUDA device, the wall clock elsewhere."""
    return CudaClock(device) if device.type == "cuda" else HostClock()


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


_QUERY = {
    "clocks.sm": "sm_mhz",
    "clocks.mem": "memory_mhz",
    "power.draw": "power_w",
    "temperature.gpu": "temperature_c",
    "pstate": "power_state",
}
_FRESH_S = 5.0  # asking takes tens of milliseconds, and the answer changes slowly


class MachineState:
    """What the device says about itself, asked again when the last answer is some seconds old."""

    def __init__(self, device: torch.device) -> None:
        self._device = device
        self._asked = -_FRESH_S
        self._answer: dict[str, float | str] = {}

    def read(self) -> dict[str, float | str]:
        """sm_mhz, memory_mhz, power_w, temperature_c and power_state, or cpu_mhz, and threads."""
        now = time.monotonic()
        if now - self._asked >= _FRESH_S:
            self._asked = now
            self._answer = _gpu(self._device) if self._device.type == "cuda" else _cpu()
        return dict(self._answer)


def _gpu(device: torch.device) -> dict[str, float | str]:
    index = device.index if device.index is not None else torch.cuda.current_device()
    said = {name: number(cell) for name, cell in ask_gpu(str(index), _QUERY).items()}
    return {n: v for n, v in said.items() if isinstance(v, float) or n == "power_state"}


def _cpu() -> dict[str, float | str]:
    found: dict[str, float | str] = {"threads": torch.get_num_threads()}
    clocks = [float(mhz) for mhz in cpu_lines("cpu MHz")]
    return found | ({"cpu_mhz": max(clocks)} if clocks else {})
