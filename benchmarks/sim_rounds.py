"""Rounds a second at gamma = 5, against NumPy and against the random numbers alone.

    python benchmarks/sim_rounds.py [--rounds 100000000] [--repeats 5]

Every case draws from the same law. The bound is an array filled with 64-bit words: no sampler that
uses one word a round can be faster. The last lines check 10^8 rounds against the closed forms, and
the same check against a sampler with a bias of a thousandth.
"""

from __future__ import annotations

import argparse
from functools import partial

import numpy as np
from howspec.sim.rounds.laws import draw_accepted, words
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


def counted(rng: np.random.Generator, survival: NDArray[np.float64]) -> NDArray[np.int64]:
    """How many of 10^8 rounds accept 0..gamma tokens."""
    parts = (draw_accepted(rng, survival, rounds=10**7) for _ in range(10))
    return sum(np.bincount(part, minlength=survival.size) for part in parts)


def largest_z(counts: NDArray[np.int64]) -> float:
    n = np.arange(1.0, GAMMA + 2.0)
    mean = float(tokens_per_round(ALPHA, GAMMA))

    def z(values: NDArray[np.float64], expected: float) -> float:
        total = counts.sum()
        found = counts @ values / total
        spread = counts @ (values - found) ** 2 / (total - 1.0)
        return float((found - expected) / np.sqrt(spread / total)) if spread else 0.0

    zs = [z(n, mean), z((n - mean) ** 2, float(tokens_variance(ALPHA, GAMMA)))]
    zs += [z((n > k).astype(float), float(s)) for k, s in enumerate(SURVIVAL)]
    return float(np.abs(zs).max())


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--rounds", type=int, default=10**8)
    parser.add_argument("--repeats", type=int, default=5)
    options = parser.parse_args()
    rng, many = np.random.default_rng(1), options.rounds
    few = max(many // 20, 1)  # the slow rivals and the arrays of eight bytes a round
    sizes = {
        "fill 64-bit words, NumPy PCG64": few,
        "fill 64-bit words, SplitMix64": few,
        "rounds": many,
        "NumPy geometric": few,
        "NumPy logarithm": few,
        "NumPy token by token": few,
    }
    cases = [
        partial(rng.integers, 0, 2**64, few, dtype=np.uint64),
        partial(words, rng, count=few),
        partial(draw_accepted, rng, SURVIVAL, rounds=many),
        partial(by_geometric, rng, few),
        partial(by_logarithm, rng, few),
        partial(by_tokens, rng, few),
    ]
    seconds = interleaved(dict(zip(sizes, cases, strict=True)), options.repeats)
    for name, size in sizes.items():
        print(f"{name:34}{rate(seconds[name], size)}")
    biased = DepthAcceptance(ALPHA * 1.001).survival(GAMMA)
    fair, unfair = (largest_z(counted(rng, s)) for s in (SURVIVAL, biased))
    print(f"largest z at 10^8 rounds: {fair:.2f}; with a bias of a thousandth: {unfair:.1f}")


if __name__ == "__main__":
    main()
