"""What a measurement asks of a device: clocks, its state, its memory, and what may go wrong.

Clocks time pieces of work and are injected, so that a test needs no device; marks stand between the
parts of a round, on the clock or on the device. The clocks, power and temperature of the device are
read while something is measured, where readable. How much memory a pass will need is told before,
and of an error whether there was none left: then one point fails and the measurement goes on.
"""

from __future__ import annotations

import gc
import hashlib
import time
from collections.abc import Callable, Sequence
from pathlib import Path
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
            event = _event()
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


_SHARE = 0.92  # of the free memory that a pass may be predicted to fill


def pass_bytes(model: Any, *, batch: int, context: int, tokens: int, graphs: bool) -> float:
    """Memory that a cache and a pass take beyond the weights, roughly from above [byte]."""
    config = model.config.get_text_config()
    number = torch.finfo(model.dtype).bits // 8
    heads = config.num_attention_heads
    groups = getattr(config, "num_key_value_heads", None) or heads
    size = getattr(config, "head_dim", None) or config.hidden_size // heads
    rows = context + tokens
    cache = 2.0 * config.num_hidden_layers * batch * groups * rows * size * number
    # Every number of tokens has its mask; those of a usual list together are four of the largest.
    masks = 4.0 * batch * (heads // groups) * tokens * rows * (number + 1.0)
    fused = getattr(config, "_attn_implementation", "eager") != "eager"
    scores = 0.0 if fused else batch * heads * tokens * rows * (2.0 * number + 4.0)
    logits = batch * tokens * config.vocab_size * number
    inner = 12.0 * batch * tokens * config.hidden_size * number
    # Each captured graph keeps the logits of its own number of tokens: 1 to `tokens` together.
    kept = (tokens + 1) / 2 if graphs else 1.0
    return float(cache + masks + scores + inner + logits * (1.0 + kept))


def free_bytes(device: torch.device) -> float | None:
    """Free memory of the device [byte], or None where it cannot be read."""
    if device.type == "cuda":
        free, _ = torch.cuda.mem_get_info(device)
        held = torch.cuda.memory_reserved(device) - torch.cuda.memory_allocated(device)
        return float(free + held)
    try:
        lines = Path("/proc/meminfo").read_text(encoding="utf-8").splitlines()
    except OSError:
        return None
    found = [line.split()[1] for line in lines if line.startswith("MemAvailable:")]
    return float(found[0]) * 1024 if found else None


def shortage(needed: float, free: float | None) -> str | None:
    """Why a point is not tried, or None where it should fit."""
    if free is None or needed <= _SHARE * free:
        return None
    return (
        f"out of memory: predicted to need {needed / 2**30:.3g} GiB where {free / 2**30:.3g} GiB "
        "are free, not tried"
    )


def let_go() -> None:
    """Give the memory of what is no longer held back to a CUDA device; a CPU needs no asking."""
    if torch.cuda.is_available():
        gc.collect()
        torch.cuda.empty_cache()


def lack_of_memory(error: BaseException) -> str:
    """Why a point has no times, with memory freed for the next; any other error is raised."""
    if not out_of_memory(error):
        raise error
    let_go()
    return "out of memory"


def out_of_memory(error: BaseException) -> bool:
    """Whether an error is the device or the host running out of memory."""
    if isinstance(error, torch.OutOfMemoryError | MemoryError):
        return True
    return isinstance(error, RuntimeError) and any(w in str(error).lower() for w in _ALLOCATION)


# What torch says when transformers draws from logits that are not finite.
_NOT_A_LAW = "probability tensor contains"
_ALLOCATION = (
    "out of memory", "can't allocate memory", "cannot allocate memory", "not enough memory",
)  # fmt: skip


class NotFiniteError(ValueError):
    """A model gave logits that are not finite numbers."""


class NotMeasurableError(ValueError):
    """What a point asks for cannot be had of these models; the reason belongs into its record."""


def point_failure(error: BaseException) -> str:
    """Words for an error that belongs to a point: out of memory, logits that are no numbers, a
    method that does not take these models.

    Any other error is raised and ends the measurement. Memory is freed for the next point.
    """
    if isinstance(error, NotFiniteError | NotMeasurableError):
        return str(error)
    if isinstance(error, RuntimeError) and _NOT_A_LAW in str(error):
        return "a model gave logits that are not finite numbers"
    if out_of_memory(error):
        gc.collect()
    return lack_of_memory(error)


def seed_of(*parts: object) -> int:
    """A seed for a generator from what it is for, the same in every run: 0..2^62 - 1."""
    digest = hashlib.sha256("\0".join(map(str, parts)).encode()).digest()
    return int.from_bytes(digest[:8], "big") >> 2
