"""Memory and time of very large simulations in blocks, and the cost of a point of a sweep.

    python benchmarks/sim_sweep.py

Each case runs in a process of its own, whose peak resident memory is read at its end.
"""

from __future__ import annotations

import argparse
import json
import resource
import subprocess
import sys
import time
from dataclasses import dataclass
from typing import Any

import numpy as np
from howspec.sim.sweeps.backends import in_blocks
from howspec.sim.sweeps.sweep import grid, sweep
from howspec.theory import DepthAcceptance, tokens_per_round, tokens_pmf, tokens_variance

ALPHA, GAMMA = 0.8, 5


@dataclass(frozen=True)
class Counts:
    """How many of ``size`` rounds emit 1, 2, .. gamma + 1 tokens, from one multinomial draw."""

    def __call__(self, rng: np.random.Generator, size: int) -> dict[str, Any]:
        return {"counts": rng.multinomial(size, tokens_pmf(ALPHA, GAMMA))}


@dataclass(frozen=True)
class Draws:
    """The same counts from rounds that are drawn token by token."""

    def __call__(self, rng: np.random.Generator, size: int) -> dict[str, Any]:
        accepted = DepthAcceptance(ALPHA).draw(rng, gamma=GAMMA, rounds=size)
        return {"counts": np.bincount(accepted, minlength=GAMMA + 1)}


def idle(rng: np.random.Generator, *, point: int) -> float:
    return float(rng.random())


def case(kind: str, rounds: int, block: int, workers: int) -> None:
    """Run one case and print its numbers as JSON."""
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    begin = time.perf_counter()
    function = {"counts": Counts(), "draws": Draws()}[kind]
    counts = in_blocks(function, rounds, block=block, seed=1, backend="threading", workers=workers)[
        "counts"
    ]
    wall = time.perf_counter() - begin
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    assert counts.sum() == rounds
    mean = float(counts @ np.arange(1.0, GAMMA + 2)) / rounds
    error = np.sqrt(tokens_variance(ALPHA, GAMMA) / rounds)
    z = (mean - tokens_per_round(ALPHA, GAMMA)) / error
    found = {"wall": wall, "before": before / 1024, "peak": peak / 1024, "mean": mean, "z": z}
    print(json.dumps(found | {"counts": counts.tolist()}))


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--case", nargs=4, help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.case:
        kind, *numbers = options.case
        case(kind, *(int(float(n)) for n in numbers))
        return
    print("rounds   block    how     workers  seconds  peak MiB (before)  mean tokens  error/se")
    same: dict[tuple[str, ...], list[int]] = {}
    for kind, rounds, block, workers in (
        ("counts", "1e10", "1e8", "1"),
        ("counts", "1e10", "1e6", "1"),
        ("counts", "1e10", "1e6", "2"),
        ("draws", "1e7", "1e7", "1"),
        ("draws", "1e7", "1e5", "1"),
        ("draws", "1e7", "1e5", "2"),
        ("draws", "1e8", "1e5", "1"),
    ):
        command = [sys.executable, __file__, "--case", kind, rounds, block, workers]
        done = subprocess.run(command, check=True, capture_output=True, text=True)
        found = json.loads(done.stdout)
        assert same.setdefault((kind, rounds, block), found["counts"]) == found["counts"]
        print(
            f"{rounds:7s}  {block:7s}  {kind:6s}  {workers:7s}  {found['wall']:7.2f}  "
            f"{found['peak']:8.0f} ({found['before']:.0f})     "
            f"{found['mean']:.6f}     {found['z']:+.2f}"
        )
    print("\nthe same rounds and block gave the same counts, whatever the workers")
    points = grid(point=range(2000))
    for backend, workers in (("sequential", None), ("threading", 2), ("loky", 2)):
        sweep(idle, points[:10], seed=1, backend=backend, workers=workers)
        begin = time.perf_counter()
        sweep(idle, points, seed=1, backend=backend, workers=workers)
        each = (time.perf_counter() - begin) / len(points)
        print(f"a point that does nothing, {backend}: {1e6 * each:.0f} us")


if __name__ == "__main__":
    main()
