"""Standard errors that hold."""

from __future__ import annotations

import numpy as np
import pytest
from howspec.sim.rounds.estimate import (
    Estimate,
    cluster_bootstrap,
    mean_estimate,
    ratio_estimate,
)

RNG_SEED = 11


def test_ratio_errors_agree_with_the_bootstrap_over_requests() -> None:
    rng = np.random.default_rng(RNG_SEED)
    rounds = rng.integers(20, 80, 400).astype(float)
    tokens = rounds * rng.normal(2.5, 0.4, 400)
    direct = ratio_estimate(tokens, rounds)
    draws = cluster_bootstrap(rng, tokens, rounds, resamples=4000)
    assert direct.mean == pytest.approx(tokens.sum() / rounds.sum(), rel=1e-14)
    assert direct.se == pytest.approx(draws.std(), rel=0.08)
    assert abs(draws.mean() - direct.mean) < 0.1 * direct.se


def test_bootstrap_keeps_the_pairing_of_trailing_axes() -> None:
    rng = np.random.default_rng(RNG_SEED)
    rounds = rng.integers(20, 80, (100, 1)).astype(float)
    draws = cluster_bootstrap(rng, rounds * np.array([2.0, 3.0]), rounds, resamples=50)
    assert draws == pytest.approx(np.broadcast_to([2.0, 3.0], (50, 2)))


def test_z_of_a_certain_value_is_zero_only_where_both_agree() -> None:
    assert Estimate(2.0, 0.0, 5).z(2.0) == 0.0
    assert Estimate(2.0, 0.0, 5).z(1.0) == np.inf
    assert Estimate(2.0, 0.0, 5).z(3.0) == -np.inf
    assert Estimate(2.0, 0.5, 5).z(1.0) == 2.0
    assert mean_estimate([1.0, 3.0]) == Estimate(2.0, pytest.approx(1.0), 2)


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda: mean_estimate([1.0]), "values must be 2 or more"),
        (lambda: mean_estimate([1.0, np.nan]), "finite"),
        (lambda: ratio_estimate([1.0, 2.0], [0.0, 0.0]), "positive sum"),
        (lambda: cluster_bootstrap(np.random.default_rng(0), [1.0], [1.0]), "two or more"),
    ],
)
def test_bad_input_is_refused_in_one_line(call: object, message: str) -> None:
    with pytest.raises(ValueError, match=message) as error:
        call()  # type: ignore[operator]
    assert "\n" not in str(error.value)
