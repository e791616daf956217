"""Event loop of the fleet: SimPy, the plain interpreter and Numba on one and the same case.

    python benchmarks/sim_fleet.py

All three serve the same requests with the same acceptance draws, so their latencies must agree;
the last column says how far they do. SimPy is left out where it is not installed.
"""

from __future__ import annotations

import argparse
import importlib.util
import statistics
import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np
from howspec.sim.fleet.fleet import run_fleet
from howspec.sim.fleet.inputs import Engine, Workload, build_engine, draw_workload, mean_rounds
from howspec.sim.fleet.kernel import ROUNDS
from howspec.theory import DepthAcceptance
from timing import interleaved

GAMMA, LENGTH, FIXED, EACH = 4, 200, 6.6e-3, 1.0e-4


@dataclass(frozen=True)
class LoadCost:
    """A round takes fixed + batch (gamma + 1) each seconds."""

    shape: tuple[int, ...] = ()

    def round_time(self, gamma: int, *, batch: float = 1, context: float = 0) -> Any:
        return FIXED + batch * (np.arange(gamma + 1.0) + 1) * EACH


def uniforms(key: int, request: int) -> Any:
    """The acceptance draws of a request: every round of every loop below reads the same ones."""
    index = np.uint64(request * 2**24) + np.arange(1, LENGTH + 1, dtype=np.uint64)
    z = np.uint64(key) + index * np.uint64(0x9E3779B97F4A7C15)
    z = (z ^ (z >> np.uint64(30))) * np.uint64(0xBF58476D1CE4E5B9)
    z = (z ^ (z >> np.uint64(27))) * np.uint64(0x94D049BB133111EB)
    return ((z ^ (z >> np.uint64(31))) >> np.uint64(11)) * 2.0**-53


def with_simpy(work: Workload, engine: Engine, rate: float) -> Any:
    """Latencies from a SimPy model: an arrival process, a store, and the engine's rounds."""
    import simpy

    env = simpy.Environment()
    waiting: Any = simpy.Store(env)
    finish = np.zeros(work.requests)
    survival = engine.survival[0, GAMMA]
    arrival = work.arrivals(rate)

    def arrivals() -> Any:
        for request in range(work.requests):
            yield env.timeout(max(0.0, arrival[request] - env.now))
            yield waiting.put(request)

    def admit(running: list[Any], request: int) -> None:
        drafts = np.searchsorted(-survival[1:], -uniforms(work.key, request), side="left")
        running.append([request, int(work.lengths[request]), iter((drafts + 1).tolist())])

    def rounds() -> Any:
        running: list[Any] = []
        for _ in iter(int, 1):
            if not running:
                admit(running, (yield waiting.get()))
            while waiting.items and len(running) < engine.max_batch:
                admit(running, (yield waiting.get()))
            yield env.timeout(engine.time[len(running), 0])
            for job in list(running):
                job[1] -= next(job[2])
                if job[1] <= 0:
                    finish[job[0]] = env.now
                    running.remove(job)
            if not running and not waiting.items and env.now > arrival[-1]:
                return

    env.process(arrivals())
    env.process(rounds())
    env.run()
    return finish - arrival


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--requests", type=int, default=2000)
    parser.add_argument("--repeats", type=int, default=5)
    options = parser.parse_args()
    law = DepthAcceptance(0.8)
    engine = build_engine(law, LoadCost(), gamma=GAMMA, max_batch=256)
    rounds = mean_rounds(law.survival(GAMMA), LENGTH)
    each = EACH * (GAMMA + 1)
    work = draw_workload(np.random.default_rng(1), requests=options.requests, lengths=LENGTH)

    begin = time.perf_counter()
    run_fleet(work, engine, arrival_rate=1.0)
    print(
        f"importing and compiling with Numba, once a process: {time.perf_counter() - begin:.2f} s"
    )
    print(f"{options.requests} requests of {LENGTH} tokens, gamma {GAMMA}, acceptance 0.8")
    print("load  loop          median s  spread s  rounds/s   largest difference of a latency")
    for load in (0.1, 0.5):
        rate = load / (rounds * each)

        def serve(jit: bool, rate: float = rate) -> Any:
            run = run_fleet(work, engine, arrival_rate=rate, jit=jit)
            return run.finish - run.arrival, run.totals[:, ROUNDS].sum()

        loops: dict[str, Callable[[], Any]] = {"numba": lambda: serve(True)}
        loops["interpreter"] = lambda: serve(False)
        if importlib.util.find_spec("simpy"):
            loops["simpy"] = lambda rate=rate: (with_simpy(work, engine, rate), 0.0)
        truth, turns = loops["numba"]()
        for name, walls in interleaved(loops, options.repeats).items():
            wall, spread = statistics.median(walls), max(walls) - min(walls)
            off = np.abs(loops[name]()[0] - truth).max()
            print(
                f"{load:4g}  {name:12s}  {wall:8.4f}  {spread:8.4f}  "
                f"{turns / wall:9.0f}  {off:.1e} s"
            )
        sharing = rounds * (FIXED + each) / (1 - load)
        field = LENGTH * FIXED / (law.survival(GAMMA).sum() - rate * LENGTH * each)
        mean = truth[options.requests // 5 :].mean()
        print(
            f"      mean latency {mean:.4f} s; processor sharing {sharing:.4f} s "
            f"({sharing / mean - 1:+.2%}); mean field {field:.4f} s ({field / mean - 1:+.2%})"
        )


if __name__ == "__main__":
    main()
