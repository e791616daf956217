"""Rounds a second at gamma = 5, against NumPy and against the random numbers alone.

    python benchmarks/sim_rounds.py [--rounds 100000000] [--repeats 5]

Every case draws from the same law. The bound is an array filled with 64-bit words: no sampler that
uses one word a round can be faster. The last lines check 10^8 rounds against the closed forms, and
the same check against a sampler with a bias of a thousandth.
"""

from __future__ import annotations

import argparse
import statistics
from functools import partial

import numpy as np
from howspec.sim.rounds import iid
from howspec.sim.rounds.estimate import counts_estimate
from howspec.theory import DepthAcceptance, tokens_per_round, tokens_variance
from numpy.typing import NDArray
from timing import interleaved, rate

ALPHA, GAMMA = 0.8, 5
SURVIVAL = DepthAcceptance(ALPHA).survival(GAMMA)


def by_geometric(rng: np.random.Generator, rounds: int) -> NDArray[np.int64]:
    return np.minimum(rng.geometric(1.0 - ALPHA, rounds) - 1, GAMMA)


def by_logarithm(rng: np.random.Generator, rounds: int) -> NDArray[np.int64]:
    return np.minimum((np.log(rng.random(rounds)) / np.log(ALPHA)).astype(np.int64), GAMMA)


def by_tokens(rng: np.random.Generator, rounds: int) -> NDArray[np.int64]:
    return DepthAcceptance(ALPHA).draw(rng, gamma=GAMMA, rounds=rounds)


def largest_z(counts: NDArray[np.int64]) -> float:
    n = np.arange(1.0, GAMMA + 2.0)
    mean = float(tokens_per_round(ALPHA, GAMMA))
    zs = [
        counts_estimate(n, counts).z(mean),
        counts_estimate((n - mean) ** 2, counts).z(float(tokens_variance(ALPHA, GAMMA))),
    ]
    zs += [counts_estimate(n > k, counts).z(float(s)) for k, s in enumerate(SURVIVAL)]
    return float(np.abs(zs).max())


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--rounds", type=int, default=10**8)
    parser.add_argument("--repeats", type=int, default=5)
    options = parser.parse_args()
    rng, many = np.random.default_rng(1), options.rounds
    few = max(many // 20, 1)  # the slow rivals and the arrays of eight bytes a round
    draw, count = (partial(f, rng, SURVIVAL) for f in (iid.draw_accepted, iid.count_accepted))
    sizes = {
        "fill 64-bit words, NumPy PCG64": few,
        "fill 64-bit words, SplitMix64": few,
        "rounds, one array, 1 thread": many,
        "rounds, one array, 2 threads": many,
        "histogram of rounds, 1 thread": many,
        "histogram of rounds, 2 threads": many,
        "NumPy geometric": few,
        "NumPy logarithm": few,
        "NumPy token by token": few,
    }
    cases = [
        partial(rng.integers, 0, 2**64, few, dtype=np.uint64),
        partial(iid.words, rng, count=few),
        partial(draw, rounds=many),
        partial(draw, rounds=many, workers=2),
        partial(count, rounds=many),
        partial(count, rounds=many, workers=2),
        partial(by_geometric, rng, few),
        partial(by_logarithm, rng, few),
        partial(by_tokens, rng, few),
    ]
    seconds = interleaved(dict(zip(sizes, cases, strict=True)), options.repeats)
    for name, size in sizes.items():
        print(f"{name:34}{rate(seconds[name], size)}")
    for kind in ("rounds, one array", "histogram of rounds"):
        one, two = (seconds[f"{kind}, {w}"] for w in ("1 thread", "2 threads"))
        print(f"{kind}: two threads are {statistics.median(one) / statistics.median(two):.2f} x")
    direct = interleaved(
        {"at once": lambda: iid.draw_counts(rng, SURVIVAL, rounds=many)}, options.repeats
    )["at once"]
    print(f"counts of {many} rounds drawn at once: {1e6 * statistics.median(direct):.1f} us")
    biased = DepthAcceptance(ALPHA * 1.001).survival(GAMMA)
    fair = iid.count_accepted(rng, SURVIVAL, rounds=10**8, workers=2)
    unfair = iid.count_accepted(rng, biased, rounds=10**8, workers=2)
    print(f"largest z at 10^8 rounds: {largest_z(fair):.2f}; with a bias of a thousandth: ", end="")
    print(f"{largest_z(unfair):.1f}")


if __name__ == "__main__":
    main()
