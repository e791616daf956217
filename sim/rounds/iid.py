r"""Rounds with independent acceptance at the speed of the random numbers behind them.

One 64-bit word decides a whole round. Its upper 62 bits are compared as an integer with
t_k = s_k 2^62, s_k the probability that the first k draft tokens are all accepted; the number of
thresholds above it is the number of accepted tokens. No logarithm, no branch, and exact to 2^-62.
It holds for every law under which rounds are independent, whatever happens within a round.

The words are SplitMix64 (Steele, Lea, Flood, OOPSLA 2014, doi:10.1145/2660193.2660195), a bijective
mixing of start + i * golden: word i needs no state, so any thread can compute any part of the
sequence, and the result is the same whatever the number of threads and blocks. ``start`` is
drawn from the caller's generator; two calls of n rounds share words with probability n / 2^63.
"""

from __future__ import annotations

from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from ...theory.domain import as_floats
from .compiled import check_count, compiled

GOLDEN = np.uint64(0x9E3779B97F4A7C15)
FIRST = np.uint64(0xBF58476D1CE4E5B9)
SECOND = np.uint64(0x94D049BB133111EB)
_BITS = 62
_LANES = 8  # thresholds compared in one pass; more are done in further passes over a block
_BLOCK = 16384  # rounds whose results stay in the first-level cache between passes


def _fill_words(out: NDArray[np.uint64], start: np.uint64) -> None:
    for i in range(out.size):
        z = start + np.uint64(i + 1) * GOLDEN
        z = (z ^ (z >> np.uint64(30))) * FIRST
        z = (z ^ (z >> np.uint64(27))) * SECOND
        out[i] = z ^ (z >> np.uint64(31))


def _accepted(
    out: NDArray[np.uint8], start: np.uint64, first: int, thresholds: NDArray[np.int64]
) -> None:
    """Write the accepted tokens of rounds first..first + out.size - 1 of the sequence."""
    for base in range(0, out.size, _BLOCK):
        end = min(out.size, base + _BLOCK)
        for lane in range(0, thresholds.size, _LANES):
            a, b, c, d = thresholds[lane : lane + 4]
            e, f, g, h = thresholds[lane + 4 : lane + 8]
            for i in range(base, end):
                z = start + np.uint64(first + i + 1) * GOLDEN
                z = (z ^ (z >> np.uint64(30))) * FIRST
                z = (z ^ (z >> np.uint64(27))) * SECOND
                v = np.int64((z ^ (z >> np.uint64(31))) >> np.uint64(2))
                k = np.int64(v < a) + np.int64(v < b) + np.int64(v < c) + np.int64(v < d)
                k += np.int64(v < e) + np.int64(v < f) + np.int64(v < g) + np.int64(v < h)
                out[i] = np.uint8(k) if lane == 0 else np.uint8(out[i] + k)


def _reached(
    rounds: int, start: np.uint64, first: int, thresholds: NDArray[np.int64]
) -> NDArray[np.int64]:
    """How many of the rounds first..first + rounds - 1 accept at least 1, 2, ... tokens."""
    total = np.zeros(thresholds.size, np.int64)
    for base in range(0, thresholds.size, _LANES):
        a, b, c, d = thresholds[base : base + 4]
        e, f, g, h = thresholds[base + 4 : base + 8]
        na, nb, nc, nd, ne, nf, ng, nh = 0, 0, 0, 0, 0, 0, 0, 0
        for i in range(rounds):
            z = start + np.uint64(first + i + 1) * GOLDEN
            z = (z ^ (z >> np.uint64(30))) * FIRST
            z = (z ^ (z >> np.uint64(27))) * SECOND
            v = np.int64((z ^ (z >> np.uint64(31))) >> np.uint64(2))
            na += v < a
            nb += v < b
            nc += v < c
            nd += v < d
            ne += v < e
            nf += v < f
            ng += v < g
            nh += v < h
        total[base : base + 8] = np.array((na, nb, nc, nd, ne, nf, ng, nh))
    return total


def start_word(rng: np.random.Generator) -> np.uint64:
    """The start of a fresh sequence of words, drawn from ``rng``."""
    return np.uint64(rng.integers(0, 2**64, dtype=np.uint64))


def words(rng: np.random.Generator, *, count: int) -> NDArray[np.uint64]:
    """``count`` words of a fresh sequence, shape (count,): what the samplers below consume."""
    out = np.empty(check_count("count", count, low=0), np.uint64)
    compiled(_fill_words)(out, start_word(rng))
    return out


def check_survival(survival: ArrayLike) -> NDArray[np.float64]:
    """Return s_0..s_gamma after checking s_0 = 1, 0 <= s_k <= s_(k-1) and gamma <= 255."""
    s = as_floats("survival", survival)
    if s.ndim != 1 or not 1 <= s.size <= 256:
        raise ValueError(f"survival must hold s_0..s_gamma with gamma <= 255, got shape {s.shape}")
    if s[0] != 1.0 or not ((np.diff(s) <= 0.0).all() and s[-1] >= 0.0):
        raise ValueError(f"survival must start at 1 and not rise, in [0, 1], got {s.tolist()[:6]}")
    return s


def thresholds(survival: ArrayLike) -> NDArray[np.int64]:
    """Integers t_1..t_gamma: a round accepts k or more tokens where its word is below t_k.

    survival: s_0..s_gamma, as a law's ``survival(gamma)`` gives it. Padded with zeros, which no
    word is below, to a multiple of eight and at least eight.
    """
    s = check_survival(survival)
    padded = np.zeros(max(_LANES, -(-(s.size - 1) // _LANES) * _LANES), np.int64)
    padded[: s.size - 1] = np.rint(np.ldexp(s[1:], _BITS)).astype(np.int64)
    return padded


def _in_parts(rounds: int, workers: int, part: Callable[[int, int], Any]) -> list[Any]:
    """Call part(first, end) on ``workers`` contiguous ranges of rounds, each in a thread."""
    edges = [rounds * i // workers for i in range(workers + 1)]
    if workers == 1:
        return [part(0, rounds)]
    with ThreadPoolExecutor(workers) as pool:
        return list(pool.map(part, edges[:-1], edges[1:]))


def draw_accepted(
    rng: np.random.Generator, survival: ArrayLike, *, rounds: int, workers: int = 1
) -> NDArray[np.uint8]:
    """Accepted draft tokens of independent rounds, shape (rounds,), in 0..gamma [token].

    survival: s_0..s_gamma of one law, gamma <= 255. workers: threads; the result does not depend
    on it. Raises ValueError outside these ranges. Memory: one byte a round.
    """
    out = np.empty(check_count("rounds", rounds, low=0), np.uint8)
    limits, threads = thresholds(survival), check_count("workers", workers)
    start, kernel = start_word(rng), compiled(_accepted)
    _in_parts(out.size, threads, lambda a, b: kernel(out[a:b], start, a, limits))
    return out


def count_accepted(
    rng: np.random.Generator, survival: ArrayLike, *, rounds: int, workers: int = 1
) -> NDArray[np.int64]:
    """How many of ``rounds`` simulated rounds accept 0..gamma tokens, shape (gamma + 1,).

    The histogram of :func:`draw_accepted` of the same generator state, in constant memory.
    Arguments as there.
    """
    size = check_count("rounds", rounds, low=0)
    limits, threads = thresholds(survival), check_count("workers", workers)
    gamma = int(np.size(survival)) - 1
    start, kernel = start_word(rng), compiled(_reached)
    reached = sum(_in_parts(size, threads, lambda a, b: kernel(b - a, start, a, limits)))
    at_least = np.concatenate([[size], reached[:gamma], [0]])
    return np.asarray(at_least[:-1] - at_least[1:], dtype=np.int64)


def draw_counts(rng: np.random.Generator, survival: ArrayLike, *, rounds: int) -> NDArray[np.int64]:
    """The same histogram drawn at once as a multinomial, in O(gamma) whatever ``rounds`` is.

    For sums over independent rounds; it says nothing about their order. Arguments as in
    :func:`draw_accepted`.
    """
    s = check_survival(survival)
    shares = s - np.append(s[1:], 0.0)
    return rng.multinomial(check_count("rounds", rounds, low=0), shares / shares.sum())
