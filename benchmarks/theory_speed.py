"""Speed of the theory: points a second beside the printed formula, and best gammas beside a scan.

    python theory_speed.py [--points 1000000] [--repeats 9]

Every row is one run with its rival, interleaved; the columns are medians with the fastest and the
slowest repeat. The scan tries gamma = 1..32 with the same speed-up function and is also the check:
the closed form must agree with it everywhere.
"""

from __future__ import annotations

import argparse
from collections.abc import Callable
from typing import Any

import numpy as np
from howspec.theory import best_gamma, optimal_gamma, speedup, tokens_per_round
from timing import interleaved


def _printed_tokens(alpha: Any, gamma: Any) -> Any:
    return (1 - alpha ** (gamma + 1)) / (1 - alpha)


def _printed_speedup(alpha: Any, gamma: Any, cost: Any, slope: Any, overhead: Any) -> Any:
    return _printed_tokens(alpha, gamma) / (1 + gamma * (cost + slope) + overhead)


def _scan(alpha: Any, cost: Any, slope: Any, overhead: Any) -> Any:
    best, value = np.zeros(alpha.shape, np.int64), np.ones(alpha.shape)
    for gamma in range(1, 33):
        s = speedup(alpha, gamma, cost, verify_slope=slope, overhead=overhead)
        better = s > value
        best[better], value[better] = gamma, s[better]
    return best


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--points", type=int, default=1_000_000)
    parser.add_argument("--repeats", type=int, default=9)
    options = parser.parse_args()
    rng = np.random.default_rng(0)
    n = options.points
    alpha, gamma = rng.random(n), rng.integers(0, 33, n).astype(float)
    cost, slope = rng.random(n) ** 2, 0.05 * rng.random(n)
    overhead = 0.5 * rng.random(n)
    closed = best_gamma(alpha, cost, verify_slope=slope, overhead=overhead)
    scanned = _scan(alpha, cost, slope, overhead)
    print(f"best gamma: closed form equals scan in {(closed == scanned).sum()} of {n}")
    cases: dict[str, Callable[[], Any]] = {
        "tokens_per_round": lambda: tokens_per_round(alpha, gamma),
        "  printed formula": lambda: _printed_tokens(alpha, gamma),
        "speedup": lambda: speedup(alpha, gamma, cost, verify_slope=slope, overhead=overhead),
        "  printed formula ": lambda: _printed_speedup(alpha, gamma, cost, slope, overhead),
        "optimal_gamma": lambda: optimal_gamma(alpha, cost, verify_slope=slope, overhead=overhead),
        "best_gamma": lambda: best_gamma(alpha, cost, verify_slope=slope, overhead=overhead),
        "  scan of 32": lambda: _scan(alpha, cost, slope, overhead),
    }
    print(f"{'':20}{'million/s':>10}{'fastest':>10}{'slowest':>10}{'seconds':>10}")
    for name, seconds in interleaved(cases, options.repeats).items():
        middle, fast, slow = np.median(seconds), min(seconds), max(seconds)
        print(
            f"{name:20}{n / middle / 1e6:10.1f}{n / fast / 1e6:10.1f}{n / slow / 1e6:10.1f}"
            f"{middle:10.3f}"
        )


if __name__ == "__main__":
    main()
