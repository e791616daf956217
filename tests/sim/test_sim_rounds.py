"""The token-by-token simulation confirms the formulas, and would notice if they were wrong."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import pytest
from howspec.sim.rounds.laws import confirm, simulate_tokens
from howspec.theory import AcceptanceLaw, AffineCost, DepthAcceptance
from howspec.theory.acceptance import MarkovAcceptance


@pytest.mark.parametrize("alpha", [0.2, 0.6, 0.9])
@pytest.mark.parametrize("decay", [0.9, 1.0, 1.1])
def test_simulated_rounds_confirm_the_predicted_speedup(alpha: float, decay: float) -> None:
    result = confirm(
        np.random.default_rng(7),
        DepthAcceptance(alpha, decay),
        cost=AffineCost(0.07, 0.01, 0.1),
        gamma=5,
        rounds=200_000,
    )
    assert abs(result.z) < 4
    assert result.speedup == pytest.approx(result.predicted, rel=0.01)


@dataclass(frozen=True)
class _Biased(DepthAcceptance):
    """Claims one survival and draws from another: 1 % too many acceptances."""

    def draw(self, rng, *, gamma, rounds):  # type: ignore[no-untyped-def]
        return DepthAcceptance(float(self.alpha) * 1.01).draw(rng, gamma=gamma, rounds=rounds)


def test_a_bias_of_one_percent_in_the_draws_is_noticed() -> None:
    law = _Biased(0.8)
    result = confirm(np.random.default_rng(7), law, cost=AffineCost(0.05), gamma=5, rounds=400_000)
    assert abs(result.z) > 4


def test_rounds_that_cannot_vary_give_no_z_and_no_warning() -> None:
    for alpha, gamma in ((0.0, 3), (1.0, 3), (0.5, 0)):
        result = confirm(
            np.random.default_rng(0),
            DepthAcceptance(alpha),
            cost=AffineCost(0.1),
            gamma=gamma,
            rounds=100,
        )
        assert result.z == 0.0
        assert result.tokens_se == 0.0


@pytest.mark.parametrize(
    "law", [DepthAcceptance(0.7), MarkovAcceptance(0.95, 0.1), MarkovAcceptance(0.99, 0.01)]
)
def test_the_standard_error_is_that_of_repeated_means(law: AcceptanceLaw) -> None:
    # Rounds of a bursty law follow each other: their errors are not those of independent rounds.
    runs = [
        confirm(np.random.default_rng(i), law, cost=AffineCost(0.1), gamma=4, rounds=32_000)
        for i in range(60)
    ]
    z = np.array([r.z for r in runs])
    assert 0.7 < z.std() < 1.35
    errors = np.array([r.tokens_se for r in runs])
    assert np.std([r.tokens_per_round for r in runs]) == pytest.approx(errors.mean(), rel=0.3)


def test_laws_with_arrays_and_too_few_rounds_are_refused() -> None:
    rng = np.random.default_rng(0)
    with pytest.raises(ValueError, match="single laws"):
        confirm(rng, DepthAcceptance(np.array([0.5, 0.6])), cost=AffineCost(0.1), gamma=2)
    with pytest.raises(ValueError, match=r"rounds must be an integer in \[64, inf\), got 1"):
        simulate_tokens(rng, DepthAcceptance(0.5), gamma=2, rounds=1)
