"""The choice of gamma without certainty: objectives, their order, and what knowing is worth."""

from __future__ import annotations

import numpy as np
import pytest
from exact import at_digits, relative_error
from howspec.theory import optimal_gamma, optimal_gamma_gradient, optimum_curvature, speedup
from howspec.theory.decision import (
    decide,
    decided_tokens_value,
    measurement_value,
    optima_gap,
    score,
    timed_point_value,
    unknown_alpha_regret,
    value_of_knowing,
    value_of_measuring,
)
from howspec.theory.decision.samples import TAIL, worst_losses
from howspec.theory.domain import Floats
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import optimize

GAMMAS = np.arange(25.0)


def table(alpha: Floats, cost: Floats) -> Floats:
    return np.asarray(speedup(alpha[:, None], GAMMAS, cost[:, None]))


def test_scores_are_their_definitions_and_agree_where_nothing_is_uncertain() -> None:
    two = np.array([[1.0, 2.0, 3.0], [1.0, 1.5, 0.5]])
    assert score(two, "throughput") == pytest.approx([1.0, 1.75, 1.75])
    assert score(two, "latency") == pytest.approx([1.0, 2 / (1 / 2 + 1 / 1.5), 2 / (1 / 3 + 2)])
    assert score(two, "regret") == pytest.approx(
        [(1 / 3 + 2 / 3) / 2, (2 / 3 + 1) / 2, (1 + 1 / 3) / 2]
    )
    assert score(two, "safe") == pytest.approx([1 / 3, 2 / 3, 1 / 3])
    many = np.array([[1.0, 0.5]] * 3 + [[0.4, 1.0]] + [[1.0, 1.0]] * 16)  # the worst two of twenty
    assert score(many, "safe") == pytest.approx([1 - (0.6 + 0.0) / 2, 0.5])
    uneven = score(many, "safe", weights=np.arange(1.0, 21.0))
    assert uneven == pytest.approx([1 - 4 * 0.6 / 21, 1 - 6 * 0.5 / 21])
    found = decide(two, objective="latency", tolerance=0.4)
    assert found.gamma == 1
    assert found.expected_regret == pytest.approx(1 - score(two, "regret"))
    assert found.probability_best == pytest.approx([0.0, 0.5, 0.5])
    assert found.probability_within == pytest.approx([0.5, 1.0, 0.5])
    assert found.mean_speedup == pytest.approx(score(two, "throughput"))
    assert found.value_of_knowing == pytest.approx((2 / (1 / 3 + 1 / 1.5)) / (12 / 7) - 1)
    weighted = decide(two, objective="throughput", weights=[3.0, 1.0])
    assert weighted.mean_speedup == pytest.approx([1.0, 1.875, 2.375])
    sure = table(np.array([0.8]), np.array([0.05]))
    for objective in ("latency", "throughput", "regret", "safe"):
        assert decide(sure, objective=objective).gamma == int(sure.argmax())
        assert value_of_knowing(sure, objective=objective) == 0.0


@pytest.mark.parametrize("draws", [7, 32, 500])
def test_the_worst_tenth_is_found_under_every_row_of_weights(draws: int) -> None:
    rng = np.random.default_rng(draws)
    loss, weights = rng.random((draws, 3)), rng.random((4, draws)) ** 8
    weights /= weights.sum(axis=1, keepdims=True)
    found = worst_losses(loss, weights)
    for row, w in zip(found, weights, strict=True):
        for mean, own in zip(row, loss.T, strict=True):
            left, total = TAIL, 0.0
            for i in own.argsort()[::-1]:
                taken = min(left, w[i])
                left, total = left - taken, total + taken * own[i]
            assert mean == pytest.approx(total / TAIL)


@given(st.integers(0, 10**6), st.floats(0.05, 0.9), st.floats(2.0, 200.0), st.floats(-3, -0.7))
def test_who_has_work_to_do_drafts_no_more_than_who_has_time(
    seed: int, mean: float, worth: float, log_cost: float
) -> None:
    rng = np.random.default_rng(seed)
    alpha = rng.beta(mean * worth, (1 - mean) * worth, 200)
    cost = 10**log_cost * np.exp(0.5 * rng.standard_normal(200))
    every = np.array([alpha.repeat(20), np.tile(cost[:20], 200)])  # independent, exactly
    draws = table(*every)
    latency, regret, throughput = (
        decide(draws, objective=o).gamma for o in ("latency", "regret", "throughput")
    )
    assert latency <= throughput
    assert regret <= throughput
    at = alpha.argsort()
    one = table(alpha[at], np.full(200, cost[0]))
    slope = np.diff(np.log(one), axis=0)
    top = np.diff(np.log(one.max(axis=1)))
    latency, regret = (decide(one, objective=o).gamma for o in ("latency", "regret"))
    if (top <= 2.0 * slope[:, min(latency, regret)] + 1e-15).all():
        assert latency <= regret


def test_the_value_of_knowing_bounds_that_of_measuring_and_meets_it() -> None:
    rng = np.random.default_rng(3)
    alpha = rng.beta(6.0, 3.0, 300)
    draws = table(alpha, np.full(300, 0.08))
    for objective in ("latency", "throughput", "regret", "safe"):
        whole = value_of_knowing(draws, objective=objective)
        sharp = value_of_measuring(rng, draws, alpha, noise=1e-4, objective=objective, repeats=1)
        vague = value_of_measuring(rng, draws, alpha, noise=0.1, objective=objective)
        nothing = value_of_measuring(rng, draws, alpha, noise=1e3, objective=objective)
        assert sharp == pytest.approx(whole, rel=0.02)
        assert -1e-9 <= nothing < 0.02 * whole
        assert nothing < vague < whole


def real_optimum(alpha: Floats, weight: Floats, cost: float, power: float) -> float:
    """The real gamma with the largest mean of S^power times its sign."""

    def loss(g: float) -> float:
        value = np.asarray(speedup(alpha, g, cost))
        return float(-np.sign(power) * (weight @ value**power))

    found = optimize.minimize_scalar(
        loss, bounds=(0.5, 40.0), method="bounded", options={"xatol": 1e-10}
    )
    return float(found.x)


def test_closed_forms_are_the_small_variance_limit_of_the_definitions() -> None:
    mean, cost, worth = 0.8, 0.05, 4000.0
    nodes, weights = np.polynomial.hermite_e.hermegauss(20)
    weights = weights / weights.sum()
    v = mean * (1 - mean) / worth
    alpha = mean + np.sqrt(v) * nodes
    gap = real_optimum(alpha, weights, cost, 1.0) - real_optimum(alpha, weights, cost, -1.0)
    assert gap == pytest.approx(optima_gap(mean, cost, v), rel=0.02)
    best = [float(speedup(a, optimal_gamma(a, cost), cost)) for a in alpha]
    held = np.asarray(speedup(alpha, optimal_gamma(mean, cost), cost))
    assert weights @ (1 - held / best) == pytest.approx(
        unknown_alpha_regret(mean, cost, v), rel=0.03
    )


def test_decided_tokens_remove_their_share_of_the_regret() -> None:
    mean, cost, n0, n = 0.75, 0.05, 400, 300
    rng = np.random.default_rng(4)
    alpha = rng.beta(mean * n0, (1 - mean) * n0, 20_000)
    after = (mean * n0 + rng.binomial(n, alpha)) / (n0 + n)
    best = np.asarray(speedup(alpha, optimal_gamma(alpha, cost), cost))

    def regret(estimate: Floats | float) -> Floats:
        return 1 - np.asarray(speedup(alpha, optimal_gamma(estimate, cost), cost)) / best

    removed = regret(mean) - regret(after)
    value = decided_tokens_value(mean, cost, belief_tokens=n0, decided_tokens=n)
    assert removed.mean() == pytest.approx(
        value, abs=4 * removed.std() / 20_000**0.5 + 0.05 * value
    )
    assert decided_tokens_value(mean, cost, belief_tokens=n0, decided_tokens=0) == 0.0
    whole = unknown_alpha_regret(mean, cost, mean * (1 - mean) / (n0 + 1))
    half = decided_tokens_value(mean, cost, belief_tokens=n0, decided_tokens=n0)
    assert half == pytest.approx(whole / 2)


def test_a_timed_point_and_any_measurement_are_worth_what_updating_leaves() -> None:
    mean, cost, v, error = 0.8, 0.05, 1e-6, 2e-6
    rng = np.random.default_rng(5)
    c = cost + np.sqrt(v) * rng.standard_normal(40_000)
    seen = c + np.sqrt(error) * rng.standard_normal(c.size)
    after = cost + (seen - cost) * v / (v + error)
    best = np.asarray(speedup(mean, optimal_gamma(mean, c), c))

    def regret(estimate: Floats | float) -> Floats:
        return 1 - np.asarray(speedup(mean, optimal_gamma(mean, estimate), c)) / best

    removed = regret(cost) - regret(after)
    value = timed_point_value(mean, cost, slope_spread=v, error_variance=error)
    assert removed.mean() == pytest.approx(value, abs=4 * removed.std() / 200 + 0.02 * value)
    by_alpha, by_slope = optimal_gamma_gradient(mean, cost)
    kappa = optimum_curvature(mean, cost)
    one = measurement_value(
        [by_alpha, by_slope], np.diag([0.0, v]), sensitivity=[0.0, 1.0], error_variance=error,
        curvature=kappa,
    )  # fmt: skip
    assert one == pytest.approx(value, rel=1e-12)
    # A second gamma shows ln S there: alpha and the cost at once.
    covariance = np.array([[4e-4, 1e-5], [1e-5, 2e-6]])
    step = 1e-6
    second = [
        (np.log(speedup(mean + step, 2, cost)) - np.log(speedup(mean, 2, cost))) / step,
        (np.log(speedup(mean, 2, cost + step)) - np.log(speedup(mean, 2, cost))) / step,
    ]
    g, h = np.array([by_alpha, by_slope]), np.array(second)
    posterior = covariance - np.outer(covariance @ h, covariance @ h) / (h @ covariance @ h + 1e-3)
    left = 0.5 * kappa * (g @ covariance @ g - g @ posterior @ g)
    both = measurement_value(g, covariance, sensitivity=h, error_variance=1e-3, curvature=kappa)
    assert both == pytest.approx(left, rel=1e-9)


@given(st.floats(0.1, 0.99), st.floats(1e-3, 0.2), st.floats(1e-6, 0.01))
@settings(max_examples=40)
def test_closed_forms_keep_their_digits(alpha: float, slope: float, v: float) -> None:
    if not optimal_gamma(alpha, slope) > 0.01:
        assert np.isnan(optima_gap(alpha, slope, v))
        return
    point = {"alpha": alpha, "slope": slope}
    for function, extra in (
        (optima_gap, {"alpha_spread": v}),
        (unknown_alpha_regret, {"alpha_spread": v}),
        (decided_tokens_value, {"belief_tokens": 50.0, "decided_tokens": 1000 * v}),
        (timed_point_value, {"slope_spread": v, "error_variance": 1e-3}),
    ):
        exact = at_digits(function, **point, **extra)
        assert relative_error(function(**point, **extra), exact) < 1e-8
