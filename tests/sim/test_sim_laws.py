"""Rounds of every acceptance law by simulation, against the laws' own expectations."""

from __future__ import annotations

from dataclasses import dataclass, field

import numpy as np
import pytest
from howspec.sim.rounds.estimate import counts_estimate
from howspec.sim.rounds.laws import by_survival, count_rounds, simulate_tokens
from howspec.theory import DepthAcceptance, tokens_by_gamma
from howspec.theory.acceptance import (
    BetaRequestAcceptance,
    BetaRoundAcceptance,
    MarkovAcceptance,
    PositionalAcceptance,
)
from numpy.typing import NDArray
from scipy.stats import chi2_contingency

INDEPENDENT = [
    DepthAcceptance(0.8),
    DepthAcceptance(0.9, 0.9),
    PositionalAcceptance(np.array([0.8, 0.7, 0.75, 0.6]), extension="last"),
    BetaRoundAcceptance(4.0, 1.5),
]
DEPENDENT = [BetaRequestAcceptance(6.0, 2.5), MarkovAcceptance(0.85, 0.35)]


@pytest.mark.parametrize("gamma", [1, 6])
@pytest.mark.parametrize("law", [*INDEPENDENT, *DEPENDENT], ids=lambda x: type(x).__name__)
def test_simulated_tokens_agree_with_the_law(law: object, gamma: int) -> None:
    found = simulate_tokens(np.random.default_rng(gamma), law, gamma=gamma, rounds=200_000)  # type: ignore[arg-type]
    assert abs(found.z(float(tokens_by_gamma(law, gamma)[-1]))) < 4.0  # type: ignore[arg-type]
    assert found.n == 64


@pytest.mark.parametrize("law", INDEPENDENT, ids=lambda x: type(x).__name__)
def test_both_ways_of_drawing_have_one_distribution(law: object) -> None:
    slow = count_rounds(np.random.default_rng(1), law, gamma=5, rounds=200_000)  # type: ignore[arg-type]
    fast = count_rounds(
        np.random.default_rng(2),
        law,  # type: ignore[arg-type]
        gamma=5,
        rounds=200_000,
        draw=by_survival,
    )
    assert chi2_contingency(np.array([slow, fast])).pvalue > 1e-4


def test_a_bias_of_a_thousandth_is_seen_in_the_mean() -> None:
    rng = np.random.default_rng(3)
    law = DepthAcceptance(0.8 * 1.001)
    counts = count_rounds(rng, law, gamma=5, rounds=10**7, block=2**20, draw=by_survival)
    found = counts_estimate(np.arange(1.0, 7.0), counts)
    assert found.z(float(tokens_by_gamma(DepthAcceptance(0.8), 5)[-1])) > 4.0


def test_batch_means_are_wider_than_independent_errors_where_rounds_are_alike() -> None:
    law = MarkovAcceptance(0.99, 0.05)
    rng = np.random.default_rng(5)
    honest = simulate_tokens(rng, law, gamma=8, rounds=100_000)
    counts = count_rounds(rng, law, gamma=8, rounds=100_000)
    naive = counts_estimate(np.arange(1.0, 10.0), counts)
    assert honest.se > 2.0 * naive.se


@dataclass(frozen=True)
class Recording:
    """Accepts nothing and notes how many rounds it was asked for."""

    asked: list[int] = field(default_factory=list)
    shape: tuple[int, ...] = ()

    def survival(self, gamma: int) -> NDArray[np.float64]:
        return np.eye(1, gamma + 1)[0]

    def draw(self, rng: np.random.Generator, *, gamma: int, rounds: int) -> NDArray[np.int64]:
        self.asked.append(rounds)
        return np.zeros(rounds, np.int64)


def test_memory_is_bounded_by_the_block() -> None:
    law = Recording()
    counts = count_rounds(np.random.default_rng(0), law, gamma=3, rounds=1000, block=300)
    assert law.asked == [300, 300, 300, 100]
    assert counts.tolist() == [1000, 0, 0, 0]


def test_too_few_rounds_for_the_batches_are_refused() -> None:
    with pytest.raises(ValueError, match=r"rounds must be an integer in \[64, inf\), got 63"):
        simulate_tokens(np.random.default_rng(0), DepthAcceptance(0.8), gamma=2, rounds=63)
