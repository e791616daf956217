"""The cost of a point of a sweep.

python benchmarks/sim_sweep.py
"""

from __future__ import annotations

import time

import numpy as np
from howspec.sim.parallel import grid, sweep


def idle(rng: np.random.Generator, *, point: int) -> float:
    return float(rng.random())


def main() -> None:
    points = grid(point=range(2000))
    for backend, workers in (("sequential", None), ("threading", 2), ("loky", 2)):
        sweep(idle, points[:10], seed=1, backend=backend, workers=workers)
        begin = time.perf_counter()
        sweep(idle, points, seed=1, backend=backend, workers=workers)
        each = (time.perf_counter() - begin) / len(points)
        print(f"a point that does nothing, {backend}: {1e6 * each:.0f} us")


if __name__ == "__main__":
    main()
