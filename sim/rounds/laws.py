"""Rounds under any acceptance law, in blocks, so that memory stays bounded; a law confirmed.

Two ways to draw. `by_law` lets the law draw token by token: it holds for every law, also where
one round depends on the last. `by_survival` draws a round from the survival by one random word,
some hundred times faster: it holds where rounds are independent of each other.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ...theory.acceptance.law import AcceptanceLaw, tokens_by_gamma
from ...theory.costs.law import CostLaw
from ...theory.domain import check
from .compiled import check_count
from .estimate import Estimate, batch_means
from .iid import draw_accepted

Draw = Callable[[np.random.Generator, AcceptanceLaw, int, int], NDArray[Any]]


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


def _blocks(
    rng: np.random.Generator, law: AcceptanceLaw, gamma: int, rounds: int, block: int, draw: Draw
) -> Iterator[NDArray[np.int64]]:
    """Histograms of accepted tokens of successive blocks, shape (gamma + 1,) each."""
    most = int(check("gamma", gamma, whole=True))
    size = check_count("block", block)
    for start in range(0, rounds, size):
        accepted = draw(rng, law, most, min(size, rounds - start))
        yield np.bincount(accepted, minlength=most + 1)


def count_rounds(
    rng: np.random.Generator,
    law: AcceptanceLaw,
    *,
    gamma: int,
    rounds: int,
    block: int = 65536,
    draw: Draw = by_law,
) -> NDArray[np.int64]:
    """How many of ``rounds`` simulated rounds accept 0..gamma tokens, shape (gamma + 1,).

    law: single; block: rounds held in memory at a time; draw: :func:`by_law` or
    :func:`by_survival`. Raises ValueError outside the ranges.
    """
    total = np.zeros(int(check("gamma", gamma, whole=True)) + 1, np.int64)
    for counts in _blocks(rng, law, gamma, check_count("rounds", rounds), block, draw):
        total += counts
    return total


def simulate_tokens(
    rng: np.random.Generator,
    law: AcceptanceLaw,
    *,
    gamma: int,
    rounds: int,
    batches: int = 64,
    draw: Draw = by_law,
) -> Estimate:
    """Mean tokens per round, the bonus token included, by simulation [token].

    The standard error comes from the means of ``batches`` >= 2 stretches of consecutive rounds, so
    that it holds where neighbouring rounds are alike; ``rounds`` is rounded down to a multiple.
    """
    parts = check_count("batches", batches, low=2)
    each = check_count("rounds", rounds, low=parts) // parts
    tokens = np.arange(1.0, float(check("gamma", gamma, whole=True)) + 2.0)
    means = [c @ tokens / each for c in _blocks(rng, law, gamma, each * parts, each, draw)]
    return batch_means(means, batches=parts)


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
