"""Standard errors that hold, and control variates that shrink them without moving the mean."""

from __future__ import annotations

import numpy as np
import pytest
from howspec.sim.rounds.estimate import (
    Estimate,
    batch_means,
    bootstrap_weights,
    cluster_bootstrap,
    control_variates,
    counts_estimate,
    mean_estimate,
    ratio_estimate,
)
from numpy.typing import NDArray

RNG_SEED = 11


def autoregressive(rng: np.random.Generator, size: int, correlation: float) -> NDArray[np.float64]:
    noise = rng.standard_normal(size)
    out = np.empty(size)
    out[0] = noise[0] / np.sqrt(1.0 - correlation**2)
    for i in range(1, size):
        out[i] = correlation * out[i - 1] + noise[i]
    return out


def test_mean_and_histogram_estimates_are_one() -> None:
    values = np.random.default_rng(RNG_SEED).integers(0, 5, 1000)
    plain = mean_estimate(values)
    counted = counts_estimate(np.arange(5), np.bincount(values, minlength=5))
    assert plain.mean == pytest.approx(counted.mean, rel=1e-14)
    assert plain.se == pytest.approx(counted.se, rel=1e-12)
    assert plain.n == counted.n == 1000
    assert plain.se == pytest.approx(values.std(ddof=1) / np.sqrt(1000), rel=1e-14)


def test_an_interval_covers_at_its_confidence() -> None:
    rng = np.random.default_rng(RNG_SEED)
    hits = 0
    for _ in range(2000):
        low, high = mean_estimate(rng.exponential(size=200)).interval(0.9)
        hits += low < 1.0 < high
    assert abs(hits - 1800) < 4.0 * np.sqrt(2000 * 0.9 * 0.1) + 20


def test_batch_means_see_the_correlation_that_independent_errors_miss() -> None:
    rng = np.random.default_rng(RNG_SEED)
    z_batch, z_plain = [], []
    for _ in range(200):
        x = autoregressive(rng, 3205, 0.9)
        z_batch.append(batch_means(x, batches=16).z(0.0))
        z_plain.append(mean_estimate(x).z(0.0))
    assert 0.8 < np.std(z_batch) < 1.4
    assert np.std(z_plain) > 3.0


def test_a_remainder_is_dropped_at_the_front() -> None:
    assert batch_means([1e9, 1.0, 2.0, 3.0, 4.0], batches=2).mean == 2.5


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
    weights = bootstrap_weights(rng, requests=100, resamples=7)
    assert weights.shape == (7, 100)
    assert (weights.sum(axis=1) == 100).all()


def test_control_variates_remove_the_shared_noise_and_nothing_else() -> None:
    rng = np.random.default_rng(RNG_SEED)
    zs, factors = [], []
    for _ in range(400):
        control = rng.normal(3.0, 1.0, 300)
        values = 5.0 - 2.0 * (control - 3.0) + rng.normal(0.0, 0.5, 300)
        found = control_variates(values, control, means=3.0)
        zs.append(found.estimate.z(5.0))
        factors.append(found.reduction)
    assert abs(np.mean(zs)) < 4.0 / np.sqrt(400)
    assert 0.85 < np.std(zs) < 1.15
    assert np.mean(factors) == pytest.approx(1.0 + 4.0 / 0.25, rel=0.1)


def test_several_controls_explain_a_linear_value_entirely() -> None:
    rng = np.random.default_rng(RNG_SEED)
    controls = rng.normal(size=(50, 2))
    found = control_variates(1.0 + controls @ [2.0, -3.0], controls, means=[0.0, 0.0])
    assert found.estimate.mean == pytest.approx(1.0, abs=1e-12)
    assert found.reduction > 1e20


def test_z_of_a_certain_value_is_zero_only_where_both_agree() -> None:
    assert Estimate(2.0, 0.0, 5).z(2.0) == 0.0
    assert Estimate(2.0, 0.0, 5).z(1.0) == np.inf
    assert Estimate(2.0, 0.0, 5).z(3.0) == -np.inf
    assert Estimate(2.0, 0.5, 5).z(1.0) == 2.0


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda: mean_estimate([1.0]), "values must be 2 or more"),
        (lambda: mean_estimate([1.0, np.nan]), "finite"),
        (lambda: batch_means([1.0, 2.0], batches=1), r"batches must be an integer in \[2, inf\)"),
        (lambda: batch_means([1.0, 2.0], batches=3), "values must be 3 or more"),
        (lambda: counts_estimate([1.0, 2.0], [1.0]), "one shape"),
        (lambda: counts_estimate([1.0, 2.0], [1.0, 0.0]), "sum to 2 or more"),
        (lambda: ratio_estimate([1.0, 2.0], [0.0, 0.0]), "positive sum"),
        (lambda: control_variates([1.0, 2.0, 3.0], np.eye(3)[:, :2], means=0.0), "fewer than 2"),
        (lambda: Estimate(1.0, 1.0, 2).interval(1.0), "confidence must be in"),
        (lambda: cluster_bootstrap(np.random.default_rng(0), [1.0], [1.0]), "two or more"),
    ],
)
def test_bad_input_is_refused_in_one_line(call: object, message: str) -> None:
    with pytest.raises(ValueError, match=message) as error:
        call()  # type: ignore[operator]
    assert "\n" not in str(error.value)
