"""Laws in draft scale: recovery, spread of new groups, the ladder's turning point."""

from __future__ import annotations

import numpy as np
import pytest
from howspec.calibrate.ladder import fit_ladder
from howspec.calibrate.latency import LatencyPoints
from howspec.calibrate.scaling import fit_cost_shape, fit_rejection
from howspec.theory import AffineCost, DepthAcceptance, DraftScaleLaw, tokens_by_gamma

SCALES = np.array([0.01, 0.03, 0.1, 0.3])


def test_the_exponent_within_groups_is_recovered_whatever_their_levels() -> None:
    rng = np.random.default_rng(0)
    groups, scale, alpha = [], [], []
    for g in range(12):
        level = rng.normal(np.log(0.12), 0.3)
        for s in SCALES:
            groups.append(g)
            scale.append(s)
            alpha.append(1 - np.exp(level - 0.2 * np.log(s) + rng.normal(0, 0.03)))
    fit = fit_rejection(groups, np.array(scale), np.array(alpha), rng)
    assert abs(np.median(fit.exponent) - 0.2) < 0.02
    assert 0.02 < fit.scatter < 0.05
    sample = fit.alpha(0.05, rng)
    low, high = np.quantile(sample, [0.05, 0.95])
    middle = 1 - 0.12 * 0.05**-0.2
    assert low < middle < high


def test_a_new_group_falls_inside_its_interval_as_often_as_promised() -> None:
    rng = np.random.default_rng(1)
    hits = []
    for _ in range(150):
        levels = rng.normal(np.log(0.12), 0.3, 7)
        scale = np.tile(SCALES, 6)
        groups = np.repeat(np.arange(6), 4)
        noise = rng.normal(0, 0.05, 24)
        rejection = np.exp(levels[groups] - 0.2 * np.log(scale) + noise)
        fit = fit_rejection(groups.tolist(), scale, 1 - rejection, rng, draws=500)
        new = 1 - np.exp(levels[6] - 0.2 * np.log(0.05) + rng.normal(0, 0.05))
        low, high = np.quantile(fit.alpha(0.05, rng), [0.05, 0.95])
        hits.append(low <= new <= high)
    assert 0.83 <= np.mean(hits) <= 0.97


@pytest.mark.parametrize(
    ("scale", "alpha", "message"),
    [
        ([0.1, 0.2, 2.0, 0.1], [0.5, 0.6, 0.7, 0.5], r"scale must be in \(0, 1\]"),
        ([0.1, 0.2, 0.3, 0.1], [0.5, 1.0, 0.7, 0.5], r"alpha must be in \(0, 1\), got 1"),
        ([0.1, 0.1, 0.1, 0.1], [0.5, 0.6, 0.7, 0.5], "two sizes"),
    ],
)
def test_a_rejection_law_refuses_what_it_cannot_fit(
    scale: list[float], alpha: list[float], message: str
) -> None:
    with pytest.raises(ValueError, match=message):
        fit_rejection([0, 0, 1, 1], np.array(scale), np.array(alpha), np.random.default_rng(0))


def test_cost_splits_into_depth_and_size() -> None:
    depth = np.array([0.2, 0.5, 0.8, 1.0])
    scale = np.array([0.05, 0.1, 0.3, 0.4])
    slope = np.repeat((0.3 * depth + 0.5 * scale)[:, None], 50, axis=1)
    fit = fit_cost_shape(depth, scale, slope)
    np.testing.assert_allclose(fit.per_depth, 0.3, rtol=1e-9)
    np.testing.assert_allclose(fit.per_size, 0.5, rtol=1e-9)
    assert fit.scatter < 1e-9
    predicted = fit.slope(0.4, 0.2, np.random.default_rng(0))
    np.testing.assert_allclose(predicted, 0.22, rtol=1e-6)
    with pytest.raises(ValueError, match="3 drafts or more"):
        fit_cost_shape(depth[:2], scale[:2], slope[:2])


def test_the_ladder_law_finds_the_turning_point_that_made_the_data() -> None:
    law = DraftScaleLaw(1e-12, 0.03, 0.6, 0.05, 0.8, overhead=0.1)
    rng = np.random.default_rng(3)
    gammas = np.arange(1, 8)
    points = []
    for s in SCALES:
        acceptance, cost = DepthAcceptance(law.acceptance(s)), AffineCost(law.cost(s), overhead=0.1)
        curve = cost.round_time(7) / tokens_by_gamma(acceptance, 7)
        noise = 1 + 0.003 * rng.standard_normal(7)
        points.append(LatencyPoints(f"s={s}", gammas, curve[1:] * noise))
    fit = fit_ladder(points, SCALES, rng, draws=40)
    grid = np.geomspace(0.005, 1, 300)
    acceptance, cost = fit.laws(grid)
    latency = (cost.round_time(7) / tokens_by_gamma(acceptance, 7)).min(axis=-1)
    best = grid[latency.argmin(axis=1)]
    truth = float(law.turning_point(7)[0])
    low, high = np.quantile(best, [0.02, 0.98])
    assert low * 0.97 <= truth <= high * 1.03
    assert abs(np.log(best[0] / truth)) < 0.25
    assert fit.rms < 0.01


def test_a_ladder_of_two_drafts_is_refused() -> None:
    points = [LatencyPoints(n, np.array([1, 2]), np.array([0.9, 0.8])) for n in "ab"]
    with pytest.raises(ValueError, match="3 drafts or more"):
        fit_ladder(points, np.array([0.1, 0.2]), np.random.default_rng(0))


def _ladder(scales: np.ndarray, off: tuple[float, ...]) -> list[LatencyPoints]:
    gammas = np.arange(1, 8)
    points = []
    for s, factor in zip(scales, off, strict=True):
        acceptance = DepthAcceptance(1 - 0.1 * s**-0.3)
        cost = AffineCost(0.05 + 0.8 * s, overhead=0.1)
        curve = cost.round_time(7) / tokens_by_gamma(acceptance, 7)
        points.append(LatencyPoints(f"s={s}", gammas, curve[1:] * factor))
    return points


def test_drafts_of_almost_one_size_leave_the_exponent_to_its_prior() -> None:
    scales = np.array([0.0999, 0.1, 0.1001])
    fit = fit_ladder(_ladder(scales, (1.0, 1.0, 1.0)), scales, np.random.default_rng(0), draws=2)
    assert fit.exponent[0] == pytest.approx(0.2, abs=0.1)


def test_drafts_off_the_law_widen_what_it_says_of_their_sizes() -> None:
    spread = {}
    for name, off in (("on", (1.0, 1.0, 1.0, 1.0)), ("off", (1.05, 0.95, 1.04, 0.96))):
        fit = fit_ladder(_ladder(SCALES, off), SCALES, np.random.default_rng(1), draws=30)
        acceptance, cost = fit.laws(np.array([0.1]))
        latency = (cost.round_time(7) / tokens_by_gamma(acceptance, 7)).min(axis=-1)
        spread[name] = float(np.log(latency).std())
        assert (fit.draft_scatter > 0.02) == (name == "off")
    assert spread["off"] > max(4 * spread["on"], 0.01)
