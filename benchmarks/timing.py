"""Timing of rivals side by side: interleaved repeats, median and spread."""

from __future__ import annotations

import statistics
import time
from collections.abc import Callable, Mapping
from typing import Any


def interleaved(cases: Mapping[str, Callable[[], Any]], repeats: int) -> dict[str, list[float]]:
    """Seconds of every case in every repeat, A B C A B C ..., after one unrecorded call of each."""
    for case in cases.values():
        case()
    seconds: dict[str, list[float]] = {name: [] for name in cases}
    for _ in range(repeats):
        for name, case in cases.items():
            start = time.perf_counter()
            case()
            seconds[name].append(time.perf_counter() - start)
    return seconds


def rate(seconds: list[float], items: float) -> str:
    """Median and range of items a second, in millions."""
    rates = sorted(items / s / 1e6 for s in seconds)
    return f"{statistics.median(rates):9.1f} M/s  ({rates[0]:.1f} .. {rates[-1]:.1f})"
