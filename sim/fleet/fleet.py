"""A fleet under load: Poisson arrivals, continuous batching, any acceptance law and any cost law.

Each round advances every running sequence by its own number of tokens and takes the time that the
cost law gives at the present batch; arrivals wait in one queue, first come first served, and join
at the start of a round. Prefill takes no time here, memory is unlimited, nothing is evicted.
`steady` finds the stretch of a run that is stationary and makes runs long enough.
"""

from __future__ import annotations

from dataclasses import dataclass
from itertools import pairwise

import numpy as np

from ...theory.domain import Floats
from ..rounds.compiled import compiled
from ..rounds.estimate import Estimate
from .inputs import Engine, Lengths, Workload, capacity, draw_all
from .kernel import AREA, BUSY, CLOCK, DONE, EMITTED, ROUNDS, TOKENS, TURNS, FleetRun, serve
from .steady import LEAST, MOST, WINDOWS, Stretch, halfwidth, next_size, settled_late, stretch

PERCENTILES = (50, 90, 95, 99)


@dataclass(frozen=True)
class FleetResult:
    """Steady-state estimates of a fleet.

    estimates: by name; latency_s, ttft_s and queue_s with _mean, _p50, _p90, _p95, _p99 [s];
    tokens_per_s, requests_per_s and rounds_per_s, all of the engine; batch (mean sequences over
    all time); utilisation (share of time with work); tokens_per_round (of one sequence, those
    thrown away beyond its end counted).
    samples: the values behind them, one a run (one a part of a single run), in order.
    rounds: of sequences, simulated in all. load: arrival rate over `capacity`. saturated: the
    queue grows without end, so that latencies are those of this finite run only. stationary: the
    estimates come from a stretch of the run in which the fleet had settled. note says what to know
    of either, or is empty. warmup: share of the requests that the start-up took. requests: of a
    replication.
    """

    estimates: dict[str, Estimate]
    samples: dict[str, Floats]
    arrival_rate: float
    load: float
    saturated: bool
    stationary: bool
    note: str
    warmup: float
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

    warmup: share of the requests left out of the windows, in [0, 1). jit: compile the event loop;
    the numbers are the same without. Raises ValueError outside these ranges.
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
    loop = compiled(serve) if jit else serve
    with np.errstate(over="ignore"):  # interpreted, 64-bit products wrap on purpose
        start, first, finish, totals = loop(
            arrival, workload.lengths, workload.prompts.astype(np.float64),
            (workload.kinds * len(engine.survival)).astype(np.int64), np.uint64(workload.key),
            engine.gamma, engine.survival, engine.time, engine.context_step, arrival[bounds],
        )  # fmt: skip
    return FleetRun(arrival, start, first, finish, bounds, totals)


def simulate_fleet(
    rng: np.random.Generator,
    *,
    engine: Engine,
    arrival_rate: float,
    lengths: Lengths,
    prompts: Lengths = 0,
    requests: int | None = None,
    replications: int = 8,
    warmup: float | None = None,
    windows: int = 20,
    precision: float = 0.05,
) -> FleetResult:
    """Estimate latency, throughput, batch and utilisation at ``arrival_rate`` requests per second.

    ``replications`` independent runs of ``requests`` requests each; by default their number grows
    until the run holds a stationary stretch (see `steady`) whose mean latency has a relative
    half-width of ``precision`` at 95 %, or 65536 are reached; the note says where that fails.
    warmup: share of the requests left out at the start; by default start-up and end are found and
    cut off. Standard errors come from the spread over runs, or over ``windows`` consecutive parts
    of the run (batch means) where there is one run only. A generator in the same state gives the
    same workloads, whatever the engine and the rate, as far as the shorter one goes. lengths,
    prompts: see `draw_workload`. Raises ValueError outside these ranges.
    """
    if replications < 1:
        raise ValueError(f"replications must be an integer >= 1, got {replications}")
    if not 0.0 < precision < 1.0:
        raise ValueError(f"precision must be in (0, 1), got {precision}")
    if not windows >= 1:
        raise ValueError(f"windows must be an integer >= 1, got {windows}")
    listed = [x for x in (lengths, prompts) if not callable(x) and np.ndim(x) == 1]
    if requests is None and listed:
        requests = len(np.asarray(listed[0]))
    children, size = rng.spawn(replications), LEAST if requests is None else requests
    while True:
        drawn = draw_all(children, requests=size, lengths=lengths, prompts=prompts)
        most = capacity(
            engine,
            np.concatenate([w.lengths for w in drawn]),
            prompts=np.concatenate([w.prompts for w in drawn]),
        )
        runs, part = _runs(drawn, engine, arrival_rate, warmup, windows)
        saturated = bool(
            arrival_rate >= most or np.mean([_grows(r, engine.max_batch) for r in runs]) > 0.5
        )
        if saturated and warmup is None:
            part = settled_late(runs[0].bounds.size - 1)
        samples = _samples(runs, part, windows)
        reached = halfwidth(samples["latency_s_mean"])
        done = requests is not None or saturated or (part.stationary and reached <= precision)
        if done or size >= MOST:
            break
        size = next_size(size, stationary=part.stationary, reached=reached, wanted=precision)
    return FleetResult(
        estimates=_estimates(runs, part, samples),
        samples=samples,
        arrival_rate=arrival_rate,
        load=arrival_rate / most,
        saturated=saturated,
        stationary=part.stationary and not saturated,
        note=_note(arrival_rate, most, saturated, part.stationary, size),
        warmup=float(runs[0].bounds[part.low] / size),
        requests=size,
        replications=replications,
        rounds=int(sum(run.totals[:, TURNS].sum() for run in runs)),
    )


def _note(rate: float, most: float, saturated: bool, stationary: bool, requests: int) -> str:
    if saturated:
        return (
            f"saturated: {rate:.4g} requests/s arrive, a full batch serves {most:.4g}/s; "
            "the queue grows and latencies depend on the length of the run"
        )
    if not stationary:
        return (
            f"not stationary: latencies still drift within {requests} requests a run, so they are "
            "those of this run and not of the long run; give more requests"
        )
    return ""


def _runs(
    drawn: list[Workload], engine: Engine, rate: float, warmup: float | None, windows: int
) -> tuple[list[FleetRun], Stretch]:
    """Runs, and the windows of them to use: those after ``warmup``, or a stationary stretch."""
    if warmup is not None:
        runs = [
            run_fleet(w, engine, arrival_rate=rate, warmup=warmup, windows=windows) for w in drawn
        ]
        return runs, Stretch(0, windows, True)
    parts = max(min(WINDOWS, drawn[0].requests // 2), 1)
    runs = [run_fleet(w, engine, arrival_rate=rate, warmup=0.0, windows=parts) for w in drawn]
    return runs, stretch(runs)


def _samples(runs: list[FleetRun], part: Stretch, windows: int) -> dict[str, Floats]:
    """The statistics of every run, or of ``windows`` stretches of a single one, by name."""
    if len(runs) > 1:
        found = [_summary(run, part.low, part.high) for run in runs]
    else:
        count = min(windows, part.high - part.low)
        edges = np.linspace(part.low, part.high, count + 1).astype(int).tolist()
        found = [_summary(runs[0], a, b) for a, b in pairwise(edges)]
    return {name: np.array([s[name] for s in found]) for name in found[0]}


def _estimates(
    runs: list[FleetRun], part: Stretch, samples: dict[str, Floats]
) -> dict[str, Estimate]:
    whole = [_summary(run, part.low, part.high) for run in runs]
    return {
        name: Estimate(float(np.mean([s[name] for s in whole])), _error(values), values.size)
        for name, values in samples.items()
    }


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
    skipped = (run.bounds.size - 1) // 5
    sums = run.totals[1 + skipped : -1].sum(axis=0)
    full = sums[AREA] > 0.99 * max_batch * sums[CLOCK]
    waits = (run.start - run.arrival)[run.bounds[skipped] :]
    thirds = [part.mean() for part in np.array_split(waits, 3)]
    return bool(full and thirds[0] < thirds[1] < thirds[2])
