r"""Rounds under any acceptance law, and a prediction confirmed by them.

Two ways to draw. `by_law` lets the law draw token by token: it holds for every law, also where
one round depends on the last. `by_survival` draws a round from the survival by one random word,
some hundred times faster: it holds where rounds are independent of each other, whatever happens
within a round.

The upper 62 bits of a word are compared as an integer with t_k = s_k 2^62, s_k the probability that
the first k draft tokens are all accepted; the number of thresholds above it is the number of
accepted tokens. No logarithm, no branch, and exact to 2^-62. The words are SplitMix64 (Steele, Lea,
Flood, OOPSLA 2014, doi:10.1145/2660193.2660195), a bijective mixing of start + i * golden, with
``start`` drawn from the caller's generator; two calls of n rounds share words with probability
n / 2^63.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike, NDArray

from ...theory.acceptance.law import AcceptanceLaw, tokens_by_gamma
from ...theory.costs.law import CostLaw
from ...theory.domain import as_floats, check
from .compiled import check_count, compiled
from .estimate import Estimate, mean_estimate

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


def _accepted(out: NDArray[np.uint8], start: np.uint64, thresholds: NDArray[np.int64]) -> None:
    """Write the accepted tokens of the rounds of a sequence of words."""
    for base in range(0, out.size, _BLOCK):
        end = min(out.size, base + _BLOCK)
        for lane in range(0, thresholds.size, _LANES):
            a, b, c, d = thresholds[lane : lane + 4]
            e, f, g, h = thresholds[lane + 4 : lane + 8]
            for i in range(base, end):
                z = start + np.uint64(i + 1) * GOLDEN
                z = (z ^ (z >> np.uint64(30))) * FIRST
                z = (z ^ (z >> np.uint64(27))) * SECOND
                v = np.int64((z ^ (z >> np.uint64(31))) >> np.uint64(2))
                k = np.int64(v < a) + np.int64(v < b) + np.int64(v < c) + np.int64(v < d)
                k += np.int64(v < e) + np.int64(v < f) + np.int64(v < g) + np.int64(v < h)
                out[i] = np.uint8(k) if lane == 0 else np.uint8(out[i] + k)


def start_word(rng: np.random.Generator) -> np.uint64:
    """The start of a fresh sequence of words, drawn from ``rng``."""
    return np.uint64(rng.integers(0, 2**64, dtype=np.uint64))


def words(rng: np.random.Generator, *, count: int) -> NDArray[np.uint64]:
    """``count`` words of a fresh sequence, shape (count,): what `draw_accepted` consumes."""
    out = np.empty(check_count("count", count, low=0), np.uint64)
    compiled(_fill_words)(out, start_word(rng))
    return out


def _thresholds(survival: ArrayLike) -> NDArray[np.int64]:
    """Integers t_1..t_gamma: a round accepts k or more tokens where its word is below t_k.

    Padded with zeros, which no word is below, to a multiple of eight and at least eight. Raises
    ValueError unless s_0 = 1, 0 <= s_k <= s_(k-1) and gamma <= 255.
    """
    s = as_floats("survival", survival)
    if s.ndim != 1 or not 1 <= s.size <= 256:
        raise ValueError(f"survival must hold s_0..s_gamma with gamma <= 255, got shape {s.shape}")
    if s[0] != 1.0 or not ((np.diff(s) <= 0.0).all() and s[-1] >= 0.0):
        raise ValueError(f"survival must start at 1 and not rise, in [0, 1], got {s.tolist()[:6]}")
    padded = np.zeros(max(_LANES, -(-(s.size - 1) // _LANES) * _LANES), np.int64)
    padded[: s.size - 1] = np.rint(np.ldexp(s[1:], _BITS)).astype(np.int64)
    return padded


def draw_accepted(
    rng: np.random.Generator, survival: ArrayLike, *, rounds: int
) -> NDArray[np.uint8]:
    """Accepted draft tokens of independent rounds, shape (rounds,), in 0..gamma [token].

    survival: s_0..s_gamma of one law, gamma <= 255, as its ``survival(gamma)`` gives it. Raises
    ValueError outside these ranges. Memory: one byte a round.
    """
    out = np.empty(check_count("rounds", rounds, low=0), np.uint8)
    limits = _thresholds(survival)
    compiled(_accepted)(out, start_word(rng), limits)
    return out


def by_law(
    rng: np.random.Generator, law: AcceptanceLaw, gamma: int, rounds: int
) -> NDArray[np.int64]:
    """Accepted tokens of ``rounds`` consecutive rounds, drawn token by token, in 0..gamma."""
    return law.draw(rng, gamma=gamma, rounds=rounds)


def by_survival(
    rng: np.random.Generator, law: AcceptanceLaw, gamma: int, rounds: int
) -> NDArray[np.uint8]:
    """Accepted tokens of independent rounds, from the survival; gamma <= 255."""
    return draw_accepted(rng, law.survival(gamma), rounds=rounds)


def simulate_tokens(
    rng: np.random.Generator, law: AcceptanceLaw, *, gamma: int, rounds: int, batches: int = 64
) -> Estimate:
    """Mean tokens per round, the bonus token included, by simulation [token].

    law: single; gamma: >= 0. Memory is that of one of ``batches`` >= 2 stretches of consecutive
    rounds; the standard error comes from their means, so that it holds where neighbouring rounds
    are alike; ``rounds`` is rounded down to a multiple. Raises ValueError outside the ranges.
    """
    parts = check_count("batches", batches, low=2)
    each = check_count("rounds", rounds, low=parts) // parts
    most = int(check("gamma", gamma, whole=True))
    tokens = np.arange(1.0, most + 2.0)
    means = [
        np.bincount(by_law(rng, law, most, each), minlength=most + 1) @ tokens / each
        for _ in range(parts)
    ]
    return mean_estimate(means)


@dataclass(frozen=True)
class Confirmation:
    """A predicted speed-up beside a simulated one.

    gamma [token]; rounds simulated; tokens_per_round and its standard error [token]; speedup and
    its standard error, simulated; predicted: by the formulas; z: (simulated - predicted) / standard
    error, 0 where neither varies. The errors are those of means over stretches of consecutive
    rounds, so that they hold where one round depends on the one before it.
    """

    gamma: int
    rounds: int
    tokens_per_round: float
    tokens_se: float
    speedup: float
    speedup_se: float
    predicted: float
    z: float


def confirm(
    rng: np.random.Generator,
    law: AcceptanceLaw,
    *,
    cost: CostLaw,
    gamma: int,
    rounds: int = 400_000,
    batches: int = 64,
) -> Confirmation:
    """Simulate rounds under single laws and hold the predicted speed-up against the result.

    rng: random generator; gamma: >= 0; rounds: >= batches >= 2. Raises ValueError for laws with
    arrays and outside these ranges.
    """
    if law.shape != () or cost.shape != ():
        raise ValueError("confirm takes single laws, got arrays of parameters")
    times = cost.round_time(gamma)
    ratio = float(times[0] / times[gamma])
    tokens = float(tokens_by_gamma(law, gamma)[gamma])
    found = simulate_tokens(rng, law, gamma=gamma, rounds=rounds, batches=batches)
    return Confirmation(
        gamma=gamma,
        rounds=rounds - rounds % batches,
        tokens_per_round=found.mean,
        tokens_se=found.se,
        speedup=found.mean * ratio,
        speedup_se=found.se * ratio,
        predicted=tokens * ratio,
        z=found.z(tokens),
    )
