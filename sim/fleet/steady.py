"""Where a run of a fleet is stationary: start-up and end cut off, and runs made long enough.

A run starts with an empty engine and ends with one that empties, and both make requests faster
than they are in the long run. The start-up is cut where the squared standard error of the rest is
smallest (MSER, White 1997, doi:10.1177/003754979706900601), judged on the mean over replications;
the end is cut by the 99th percentile of the latencies. What remains is stationary if the cut is in
its first half and its two halves agree.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from math import sqrt

import numpy as np
from numpy.typing import ArrayLike

from ...theory.domain import Floats, as_floats
from .kernel import FleetRun

WINDOWS = 100  # parts into which a run is cut to find its stationary stretch
LEAST, MOST = 4000, 2**16  # requests of a replication: the first try, and the last
_FEWEST = 8  # windows that a stationary stretch needs at least


@dataclass(frozen=True)
class Stretch:
    """Windows low..high - 1 of runs, and whether they are stationary."""

    low: int
    high: int
    stationary: bool


def settled_late(windows: int) -> Stretch:
    """All but the first fifth, for runs that never settle."""
    return Stretch(windows // 5, windows, False)


def mser(values: ArrayLike) -> int:
    """How many values at the front are start-up: the d that minimises s_d^2 / (n - d).

    values: shape (n,), in the order of time; s_d^2 is the variance of those from d on. d is at
    most n / 2; one that is there has found no end of the start-up.
    """
    x = as_floats("values", values)
    rest = np.arange(x.size, 0.0, -1.0)
    centred = x - x.mean()  # the variance does not change, and keeps its digits
    total = np.cumsum(centred[::-1])[::-1]
    squares = np.cumsum(centred[::-1] ** 2)[::-1]
    error = (squares - total**2 / rest) / rest**2
    return int(np.argmin(error[: x.size // 2 + 1]))


def stretch(runs: Sequence[FleetRun]) -> Stretch:
    """The stationary stretch of runs of equally many requests and windows."""
    means = np.array([_window_means(run) for run in runs])
    end = min(_end(run) for run in runs)
    if end < _FEWEST:
        return settled_late(means.shape[1])
    low = mser(means[:, :end].mean(axis=0))
    steady = low < end // 2 and not _drifts(means[:, low:end])
    return Stretch(low, end, steady)


def _window_means(run: FleetRun) -> Floats:
    total = np.concatenate([[0.0], np.cumsum(run.finish - run.arrival)])
    return np.asarray(np.diff(total[run.bounds]) / np.diff(run.bounds))


def _end(run: FleetRun) -> int:
    """Windows whose requests arrive a 99th percentile of latency before the last arrival."""
    margin = float(np.percentile(run.finish - run.arrival, 99))
    edges = run.arrival[run.bounds]
    return int((edges[1:] <= run.arrival[-1] - margin).sum())


def _drifts(means: Floats) -> bool:
    """Whether the two halves differ beyond what replications, or batches of one run, explain."""
    from scipy.stats import t

    half = means.shape[1] // 2
    first, second = means[:, :half], means[:, -half:]
    if len(means) > 1:
        gaps = second.mean(axis=1) - first.mean(axis=1)
    else:
        parts = min(10, half)
        before, after = (np.array_split(x[0], parts) for x in (first, second))
        gaps = np.array([b.mean() - a.mean() for a, b in zip(before, after, strict=True)])
    error = float(gaps.std(ddof=1)) / sqrt(gaps.size)
    return bool(abs(gaps.mean()) > t.ppf(0.9995, gaps.size - 1) * error)


def halfwidth(samples: Floats) -> float:
    """Half of the 95 % interval of the mean of independent samples, over the mean."""
    from scipy.stats import t

    if samples.size < 2:
        return float("inf")
    error = float(samples.std(ddof=1)) / sqrt(samples.size)
    return float(t.ppf(0.975, samples.size - 1)) * error / abs(float(samples.mean()))


def next_size(requests: int, *, stationary: bool, reached: float, wanted: float) -> int:
    """Requests of the next, longer try: twice as many, or what the half-width asks for."""
    factor = max(2.0, (reached / wanted) ** 2 if stationary and np.isfinite(reached) else 2.0)
    return min(int(requests * min(factor, 16.0)), MOST)
