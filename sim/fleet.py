"""A fleet under load: Poisson arrivals, continuous batching, any acceptance law and any cost law.

Each round advances every running sequence by its own number of tokens and takes the time that the
cost law gives at the present batch; arrivals wait in one queue, first come first served, and join
at the start of a round. Prefill takes no time here, memory is unlimited, nothing is evicted.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from ..theory.domain import Floats
from .estimate import Estimate
from .fleet_engine import Engine, capacity
from .fleet_kernel import (
    AREA,
    BUSY,
    CLOCK,
    DONE,
    EMITTED,
    ROUNDS,
    TOKENS,
    TURNS,
    compiled,
    interpreted,
)
from .fleet_workload import Lengths, Workload, draw_workload

PERCENTILES = (50, 90, 95, 99)


@dataclass(frozen=True)
class FleetRun:
    """Times of every request of one run [s], each of shape (requests,), and sums over windows.

    Latency is finish - arrival, time to first token first - arrival, queueing delay start -
    arrival. bounds: requests bounds[k]..bounds[k + 1] - 1 arrive in window k, shape (windows + 1,);
    those before bounds[0] are warm-up. totals: sums over the warm-up, each window, and the drain
    after the last arrival, shape (windows + 2, 8); the columns are named in `fleet_kernel`.
    """

    arrival: Floats
    start: Floats
    first: Floats
    finish: Floats
    bounds: NDArray[np.int64]
    totals: Floats


@dataclass(frozen=True)
class FleetResult:
    """Steady-state estimates of a fleet.

    estimates: by name; latency_s, ttft_s and queue_s with _mean, _p50, _p90, _p95, _p99 [s];
    tokens_per_s, requests_per_s and rounds_per_s, all of the engine; batch (mean sequences over
    all time); utilisation (share of time with work); tokens_per_round (of one sequence, those
    thrown away beyond its end counted).
    samples: the values behind them, one a run (one a part of a single run), in order.
    rounds: of sequences, simulated in all. load: arrival rate over `capacity`. saturated: the
    queue grows without end, so that latencies are those of this finite run only; note says so, or
    is empty.
    """

    estimates: dict[str, Estimate]
    samples: dict[str, Floats]
    arrival_rate: float
    load: float
    saturated: bool
    note: str
    requests: int
    replications: int
    rounds: int


def run_fleet(
    workload: Workload,
    engine: Engine,
    *,
    arrival_rate: float,
    warmup: float = 0.2,
    windows: int = 20,
    jit: bool = True,
) -> FleetRun:
    """Serve a workload at ``arrival_rate`` requests per second; a pure function of its arguments.

    warmup: share of the requests left out of the windows, in [0, 1). jit: use Numba where it is
    installed; the numbers are the same without. Raises ValueError outside these ranges.
    """
    if not 0 <= warmup < 1:
        raise ValueError(f"warmup must be in [0, 1), got {warmup}")
    cut = int(warmup * workload.requests)
    if not 1 <= windows < workload.requests - cut:
        raise ValueError(
            f"windows must be an integer in [1, {workload.requests - cut - 1}] for "
            f"{workload.requests} requests, got {windows}"
        )
    arrival = workload.arrivals(arrival_rate)
    bounds = np.linspace(cut, workload.requests - 1, windows + 1).astype(np.int64)
    start, first, finish, totals = ((compiled() if jit else None) or interpreted)(
        arrival,
        workload.lengths,
        workload.prompts.astype(np.float64),
        (workload.kinds * len(engine.survival)).astype(np.int64),
        np.uint64(workload.key),
        engine.gamma,
        engine.survival,
        engine.time,
        engine.context_step,
        arrival[bounds],
    )
    return FleetRun(arrival, start, first, finish, bounds, totals)


def simulate_fleet(
    rng: np.random.Generator,
    *,
    engine: Engine,
    arrival_rate: float,
    lengths: Lengths,
    prompts: Lengths = 0,
    requests: int = 4000,
    replications: int = 8,
    warmup: float = 0.2,
    windows: int = 20,
) -> FleetResult:
    """Estimate latency, throughput, batch and utilisation at ``arrival_rate`` requests per second.

    ``replications`` independent runs of ``requests`` requests each, the first ``warmup`` of each
    left out; standard errors from the spread over runs, or over the ``windows`` consecutive parts
    of the run (batch means) where there is one run only. A generator in the same state gives the
    same workloads, whatever the engine and the rate. lengths, prompts: see `draw_workload`.
    """
    if replications < 1:
        raise ValueError(f"replications must be an integer >= 1, got {replications}")
    drawn = [
        draw_workload(child, requests=requests, lengths=lengths, prompts=prompts)
        for child in rng.spawn(replications)
    ]
    runs = [
        run_fleet(w, engine, arrival_rate=arrival_rate, warmup=warmup, windows=windows)
        for w in drawn
    ]
    whole = [_summary(run, 0, windows) for run in runs]
    parts = [_summary(runs[0], k, k + 1) for k in range(windows)] if replications == 1 else whole
    samples = {name: np.array([s[name] for s in parts]) for name in whole[0]}
    estimates = {
        name: Estimate(
            float(np.mean([s[name] for s in whole])), _error(samples[name]), samples[name].size
        )
        for name in whole[0]
    }
    rounds = int(sum(run.totals[:, TURNS].sum() for run in runs))
    most = capacity(
        engine,
        np.concatenate([w.lengths for w in drawn]),
        prompts=np.concatenate([w.prompts for w in drawn]),
    )
    grows = np.mean([_grows(run, engine.max_batch) for run in runs]) > 0.5
    load = arrival_rate / most
    saturated = bool(load >= 1 or grows)
    note = ""
    if saturated:
        note = (
            f"saturated: {arrival_rate:.4g} requests/s arrive, a full batch serves {most:.4g}/s; "
            "the queue grows and latencies depend on the length of the run"
        )
    return FleetResult(
        estimates, samples, arrival_rate, load, saturated, note, requests, replications, rounds
    )


def _summary(run: FleetRun, low: int, high: int) -> dict[str, float]:
    """The statistics of windows low..high - 1 of a run, by name."""
    part = slice(run.bounds[low], run.bounds[high])
    found: dict[str, float] = {}
    for name, end in (("latency", run.finish), ("ttft", run.first), ("queue", run.start)):
        waits = end[part] - run.arrival[part]
        found[f"{name}_s_mean"] = float(waits.mean())
        for p, value in zip(PERCENTILES, np.percentile(waits, PERCENTILES), strict=True):
            found[f"{name}_s_p{p}"] = float(value)
    sums = run.totals[low + 1 : high + 1].sum(axis=0)
    if sums[CLOCK] == 0.0:  # every request of these windows arrived within one round
        sums = run.totals.sum(axis=0)
    found["tokens_per_s"] = sums[TOKENS] / sums[CLOCK]
    found["requests_per_s"] = sums[DONE] / sums[CLOCK]
    found["rounds_per_s"] = sums[ROUNDS] / sums[CLOCK]
    found["batch"] = sums[AREA] / sums[CLOCK]
    found["utilisation"] = sums[BUSY] / sums[CLOCK]
    found["tokens_per_round"] = sums[EMITTED] / sums[TURNS] if sums[TURNS] else float("nan")
    return {name: float(value) for name, value in found.items()}


def _error(samples: Floats) -> float:
    return float(np.std(samples, ddof=1) / np.sqrt(samples.size)) if samples.size > 1 else np.nan


def _grows(run: FleetRun, max_batch: int) -> bool:
    """Whether the batch stayed full and delays rose throughout: the mark of an endless queue."""
    full = run.totals[1:-1, AREA].sum() > 0.99 * max_batch * run.totals[1:-1, CLOCK].sum()
    waits = run.start - run.arrival
    thirds = [part.mean() for part in np.array_split(waits[run.bounds[0] :], 3)]
    return bool(full and thirds[0] < thirds[1] < thirds[2])
