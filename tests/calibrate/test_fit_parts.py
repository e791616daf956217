"""Fits of acceptance and of round cost apart: recovery, coverage, limits, bad input."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pytest
from howspec.calibrate.library import load_sweep, specbundle_sweeps
from howspec.calibrate.rounds import fit_round_cost
from howspec.calibrate.sweeps import fit_sweeps
from howspec.calibrate.tokens import fit_counts, fit_tokens
from howspec.theory import AffineCost, DepthAcceptance, tokens_by_gamma
from howspec.theory.acceptance import round_counts


def _counts(
    rng: np.random.Generator, alpha: float, decay: float, rounds: int
) -> tuple[np.ndarray, np.ndarray]:
    accepted = DepthAcceptance(alpha, decay).draw(rng, gamma=5, rounds=rounds)
    return round_counts(accepted, 5).by_position()


def test_tokens_per_round_give_back_the_law_that_made_them() -> None:
    gammas = np.arange(1, 8)
    tokens = tokens_by_gamma(DepthAcceptance(0.8, 0.95), 7)[gammas]
    fit = fit_tokens(gammas, tokens, np.random.default_rng(0))
    assert abs(np.median(fit.alpha) - 0.8) < 0.01
    assert abs(np.median(fit.decay) - 0.95) < 0.02
    fitted = tokens_by_gamma(fit.law(), 7).mean(axis=0)[gammas]
    assert np.abs(fitted / tokens - 1).max() < 2e-3


def test_one_point_is_answered_with_an_interval_that_admits_the_decay() -> None:
    tokens = float(tokens_by_gamma(DepthAcceptance(0.8), 5)[5])
    fit = fit_tokens([5], [tokens], np.random.default_rng(0))
    low, high = np.quantile(fit.alpha, [0.05, 0.95])
    assert low < 0.8 < high
    assert high - low > 0.03


def test_counts_are_fitted_by_the_trials_that_were_resolved() -> None:
    rng = np.random.default_rng(1)
    fit = fit_counts(*_counts(rng, 0.7, 1.0, 400_000), rng)
    assert abs(np.median(fit.alpha) - 0.7) < 0.005
    assert abs(np.median(fit.decay) - 1.0) < 0.01


def test_intervals_from_counts_cover_alpha() -> None:
    rng = np.random.default_rng(4)
    hits = []
    for _ in range(150):
        alpha, decay = rng.uniform(0.2, 0.95), np.exp(rng.normal(0, 0.05))
        if alpha * max(decay, 1.0) ** 4 >= 1.0:
            continue
        fit = fit_counts(*_counts(rng, alpha, decay, 300), rng, draws=400)
        low, high = np.quantile(fit.alpha, [0.05, 0.95])
        hits.append(low <= alpha <= high)
    assert 0.83 <= np.mean(hits) <= 0.97  # 90 % within 3 standard errors


def test_more_counts_narrow_the_interval_and_positions_never_tried_say_nothing() -> None:
    tried, accepted = _counts(np.random.default_rng(2), 0.6, 1.0, 3000)
    few = fit_counts(tried, accepted, np.random.default_rng(0))
    many = fit_counts(4 * tried, 4 * accepted, np.random.default_rng(0))
    assert many.alpha.std() == pytest.approx(few.alpha.std() / 2, rel=0.15)
    longer = fit_counts([*tried, 0, 0], [*accepted, 0, 0], np.random.default_rng(0))
    np.testing.assert_allclose(longer.alpha, few.alpha)


def test_round_times_give_back_slope_and_overhead() -> None:
    gammas = np.array([1, 3, 5, 7])
    cost = AffineCost(0.06, overhead=0.15).round_time(7)[gammas]
    fit = fit_round_cost(gammas, cost, np.random.default_rng(0))
    assert abs(np.median(fit.slope) - 0.06) < 0.003
    assert abs(np.median(fit.overhead) - 0.15) < 0.01
    assert not fit.suspect_baseline


def test_intervals_of_round_costs_cover() -> None:
    rng = np.random.default_rng(6)
    gammas = np.array([1, 3, 5, 7])
    hits = []
    for _ in range(120):
        slope, overhead = rng.uniform(0.01, 0.4), abs(rng.normal(0, 0.3))
        truth = AffineCost(slope, overhead=overhead).round_time(7)[gammas]
        noisy = truth * (1 + 0.015 * rng.standard_normal(4))
        fit = fit_round_cost(gammas, noisy, rng, draws=500)
        sample = fit.law().round_time(7)[:, 4]
        low, high = np.quantile(sample, [0.05, 0.95])
        hits.append(low <= 1 + 4 * slope + overhead <= high)
    assert 0.8 <= np.mean(hits) <= 0.98


def test_a_plain_baseline_that_is_too_slow_is_said() -> None:
    gammas = np.array([3, 5, 7])
    fit = fit_round_cost(gammas, 0.75 + 0.08 * gammas, np.random.default_rng(0))
    assert fit.suspect_baseline


@pytest.mark.parametrize(
    ("fit", "one", "other", "message"),
    [
        (fit_counts, [5], [6], "must be"),
        (fit_counts, [0, 0], [0, 0], "must be"),
        (fit_counts, [5, 3], [5, -1], "must be"),
        (fit_counts, [5], [1, 2], "must be"),
        (fit_counts, [], [], "must be"),
        *((fit_tokens, [3], [t], r"tokens_per_round must be in \[1, gamma \+ 1\]")
          for t in (0.9, 4.2, np.nan)),
        (fit_round_cost, [0, 1], [1, 1], "must be"),
        (fit_round_cost, [1, 2], [1], "must be"),
        (fit_round_cost, [1], [-1.0], "must be"),
    ],
)  # fmt: skip
def test_what_cannot_have_been_measured_is_refused(
    fit: Callable[..., object], one: list[float], other: list[float], message: str
) -> None:
    with pytest.raises(ValueError, match=message):
        fit(one, other, np.random.default_rng(0))


def test_sweeps_choose_the_fit_that_their_columns_allow() -> None:
    rng = np.random.default_rng(0)
    serving = next(iter(specbundle_sweeps()))
    grid = load_sweep("paper_bloom_grid", draft="BLOOM-3B")
    first, second = fit_sweeps([serving, grid], rng, draws=300, size="coarse")
    assert first.given == "speed-up and tokens per round"
    assert second.given == "latency against gamma"
    assert second.sweep.draft == "BLOOM-3B"
    assert any("weak identification" in note for note in second.notes)
