"""Fits of latency sweeps: recovery, honest intervals, weak identification, bad input."""

from __future__ import annotations

import mpmath
import numpy as np
import pytest
from howspec.calibrate.grid import Priors, draw_above_zero, draw_cells, log_normal_cdf, support
from howspec.calibrate.latency import LatencyPoints, fit_latency
from howspec.theory import AffineCost, DepthAcceptance, tokens_by_gamma

GAMMAS = np.arange(1, 8)


@pytest.mark.parametrize("z", [-30.0, -3.0, 0.0, 4.0, 8.9, 9.1, 40.0])
def test_the_normal_distribution_is_that_of_fifty_digits(z: float) -> None:
    with mpmath.workdps(50):
        exact = float(mpmath.log(mpmath.ncdf(z)))
    assert log_normal_cdf(np.array([z, 50.0])) == pytest.approx([exact, 0.0], rel=1e-12, abs=2e-19)


def _points(
    alpha: float,
    slope: float,
    *,
    overhead: float = 0.2,
    decay: float = 0.97,
    noise: np.ndarray | float = 0.0,
    draft: str = "draft",
) -> LatencyPoints:
    curve = AffineCost(slope, overhead=overhead).round_time(7) / tokens_by_gamma(
        DepthAcceptance(alpha, decay), 7
    )
    return LatencyPoints(draft, GAMMAS, curve[1:] * (1.0 + noise))


def test_a_clean_sweep_is_reproduced_within_a_tenth_of_a_percent() -> None:
    points = _points(0.75, 0.08)
    fit = fit_latency([points], np.random.default_rng(0))
    curve = fit.relative_latency("draft", 7).mean(axis=0)
    assert np.abs(curve[1:] / points.relative - 1).max() < 1e-3
    assert fit.relative_latency("draft", 7).shape == (2000, 8)


def test_intervals_of_the_best_speedup_and_of_the_next_point_cover_the_truth() -> None:
    # 80 simulated sweeps with 1.5 % scatter; a 90 % interval that held less than 82 % of them
    # would be 2.4 standard errors short.
    rng = np.random.default_rng(11)
    hit_curve, hit_alpha, width = [], [], []
    for _ in range(80):
        alpha, slope = rng.uniform(0.5, 0.9), rng.uniform(0.02, 0.3)
        overhead, decay = abs(rng.normal(0, 0.3)), np.exp(rng.normal(0, 0.05))
        noise = 0.015 * rng.standard_normal(7)
        points = _points(alpha, slope, overhead=overhead, decay=decay, noise=noise)
        fit = fit_latency([points], rng, draws=500, size="coarse")
        truth = 1.0 / _points(alpha, slope, overhead=overhead, decay=decay).relative
        sample = 1.0 / fit.relative_latency("draft", 7)[:, 1:]
        low, high = np.quantile(sample, [0.05, 0.95], axis=0)
        hit_curve.append(((low <= truth) & (truth <= high)).mean())
        low_alpha, high_alpha = np.quantile(fit.alpha[0], [0.05, 0.95])
        hit_alpha.append(low_alpha <= alpha <= high_alpha)
        width.append((high / low - 1).mean())
    assert 0.82 <= np.mean(hit_curve) <= 0.99
    assert 0.82 <= np.mean(hit_alpha) <= 1.0
    assert np.mean(width) < 0.06, "intervals that hold must also say something"


def test_latency_alone_leaves_alpha_wide_and_the_curve_narrow() -> None:
    rng = np.random.default_rng(2)
    fit = fit_latency([_points(0.75, 0.1, noise=0.01 * rng.standard_normal(7))], rng)
    low, high = np.quantile(fit.alpha[0], [0.05, 0.95])
    assert high - low > 0.05
    at_best = fit.relative_latency("draft", 7)[:, 4]
    assert np.quantile(at_best, 0.95) / np.quantile(at_best, 0.05) - 1 < 0.04
    # The ridge: a higher alpha goes with a dearer draft token.
    assert np.corrcoef(fit.alpha[0], fit.slope[0])[0, 1] > 0.6


def test_drafts_of_a_family_share_overhead_and_decay_and_sharpen_each_other() -> None:
    rng = np.random.default_rng(3)
    family = [
        _points(a, c, noise=0.01 * rng.standard_normal(7), draft=name)
        for a, c, name in ((0.6, 0.05, "small"), (0.7, 0.12, "middle"), (0.8, 0.25, "large"))
    ]
    alone = fit_latency(family[:1], rng)
    joint = fit_latency(family, rng)
    assert joint.alpha.shape == (3, 2000)
    assert joint.overhead.std() < alone.overhead.std()
    acceptance, cost = joint.laws("large")
    assert acceptance.shape == cost.shape == (2000,)
    assert np.median(joint.slope[2]) > np.median(joint.slope[0])


def test_the_scale_of_latency_does_not_matter_and_the_seed_does_repeat() -> None:
    points = _points(0.7, 0.1)
    same = LatencyPoints("draft", GAMMAS, (points.relative * 123.0) / 123.0)
    first = fit_latency([points], np.random.default_rng(5), size="coarse")
    second = fit_latency([same], np.random.default_rng(5), size="coarse")
    np.testing.assert_allclose(first.alpha, second.alpha)
    np.testing.assert_allclose(first.slope, second.slope, rtol=1e-6)


@pytest.mark.parametrize(
    ("gammas", "relative", "message"),
    [
        ([1, 2], [0.9], "equally long"),
        ([1], [0.9], "at least 2 points"),
        ([0, 1], [1.0, 0.9], r"gamma must be an integer in \[1, inf\), got 0"),
        ([1, 2], [0.9, np.nan], r"relative latency must be in \(0, inf\)"),
        ([1, 2], [0.9, -0.1], r"relative latency must be in \(0, inf\)"),
    ],
)
def test_bad_points_are_refused_in_one_line(
    gammas: list[int], relative: list[float], message: str
) -> None:
    with pytest.raises(ValueError, match=message) as error:
        LatencyPoints("draft", np.array(gammas), np.array(relative))
    assert "\n" not in str(error.value)


def test_no_points_or_a_draft_twice_is_refused() -> None:
    rng = np.random.default_rng(0)
    with pytest.raises(ValueError, match="at least one draft"):
        fit_latency([], rng)
    with pytest.raises(ValueError, match="each draft once"):
        fit_latency([_points(0.7, 0.1), _points(0.8, 0.1)], rng)


def test_cells_are_drawn_in_proportion_to_their_weight() -> None:
    weight = np.log(np.array([[0.1, 0.2], [0.3, 0.4]]))
    i, j = draw_cells(np.random.default_rng(0), weight, 10_000)
    share = np.bincount(2 * i + j, minlength=4) / 10_000
    np.testing.assert_allclose(share, [0.1, 0.2, 0.3, 0.4], atol=2e-4)


@pytest.mark.parametrize("mean", [-40.0, -8.0, -1.0, 0.0, 3.0, 50.0])
def test_draws_above_zero_follow_the_cut_normal_law(mean: float) -> None:
    from scipy.stats import kstest, truncnorm

    draws = draw_above_zero(np.random.default_rng(1), np.full(4000, mean), np.ones(4000))
    assert (draws >= 0).all()
    assert kstest(draws, truncnorm(-mean, np.inf, loc=mean).cdf).pvalue > 1e-4


def test_the_support_of_a_marginal_keeps_its_peak_and_a_margin() -> None:
    values = np.linspace(0, 10, 101)
    axis = support(np.exp(-0.5 * ((values - 4.0) / 0.5) ** 2), values)
    assert axis.size == 101
    assert 1.0 < axis[0] < 2.0
    assert 6.0 < axis[-1] < 7.0


def test_a_narrow_prior_of_the_overhead_pulls_it_to_zero() -> None:
    points = _points(0.75, 0.1, overhead=0.3)
    free = fit_latency([points], np.random.default_rng(0), size="coarse")
    held = fit_latency(
        [points], np.random.default_rng(0), size="coarse", priors=Priors(overhead=0.01)
    )
    assert abs(np.median(free.overhead) - 0.3) < 0.1
    assert np.median(held.overhead) < 0.5 * np.median(free.overhead)
