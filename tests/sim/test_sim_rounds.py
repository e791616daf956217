"""The token-by-token simulation confirms the formulas, and would notice if they were wrong."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import pytest
from howspec.sim.rounds import confirm, mean_tokens
from howspec.theory import AffineCost, DepthAcceptance


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


def test_the_standard_error_is_that_of_repeated_means() -> None:
    law = DepthAcceptance(0.7)
    runs = [mean_tokens(np.random.default_rng(i), law, gamma=4, rounds=500) for i in range(400)]
    means, errors = np.array(runs).T
    assert means.std(ddof=1) == pytest.approx(errors.mean(), rel=0.12)


def test_blocks_do_not_change_what_is_counted() -> None:
    law = DepthAcceptance(0.7)
    one = mean_tokens(np.random.default_rng(3), law, gamma=4, rounds=1000)
    many = mean_tokens(np.random.default_rng(3), law, gamma=4, rounds=1000, block=1000)
    assert one == many
    assert mean_tokens(np.random.default_rng(3), law, gamma=4, rounds=1001, block=10)[0] > 1


def test_laws_with_arrays_and_too_few_rounds_are_refused() -> None:
    rng = np.random.default_rng(0)
    with pytest.raises(ValueError, match="single laws"):
        confirm(rng, DepthAcceptance(np.array([0.5, 0.6])), cost=AffineCost(0.1), gamma=2)
    with pytest.raises(ValueError, match=r"rounds must be an integer in \[2, inf\), got 1"):
        mean_tokens(rng, DepthAcceptance(0.5), gamma=2, rounds=1)
