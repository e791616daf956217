"""What is lost beside the optimum, and by not knowing where it is."""

from __future__ import annotations

import mpmath
import numpy as np
import pytest
from exact import at_digits, decades, log_speedup, probabilities, relative_error
from howspec.theory import optimal_gamma, optimal_gamma_gradient, optimum_curvature, speedup
from howspec.theory.decision import (
    decided_tokens_value,
    measurement_value,
    optima_gap,
    timed_point_value,
    unknown_alpha_regret,
)
from howspec.theory.domain import Floats
from howspec.theory.optimum import best_gamma
from howspec.theory.regret import neighbour_loss, regret_halfwidth, regret_window
from howspec.theory.speedup import reduced_cost
from hypothesis import HealthCheck, assume, given, settings
from hypothesis import strategies as st
from scipy import optimize

costs = decades(-6, 0)
extras = st.one_of(st.just(0.0), decades(-4, 1))
inner = probabilities().filter(lambda a: 0 < a < 1)


@given(inner, costs, extras, st.one_of(st.floats(0.001, 0.9), decades(-6, -3)))
def test_both_ends_of_the_regret_window_lose_the_tolerance(
    alpha: float, c: float, o: float, tolerance: float
) -> None:
    low, high = regret_window(alpha, c, overhead=o, tolerance=tolerance)
    star, slope = optimal_gamma(alpha, c, overhead=o), reduced_cost(c, 0.0, o)
    if not 0.0 < star < np.inf:
        assert np.isnan(low)
        assert np.isnan(high)
        return
    assume(1e-9 < star < 1e9 and alpha > 1e-100)
    with mpmath.workdps(60):
        # The optimum anew at many digits, then the loss at both ends from the definition.
        top = log_speedup(alpha, slope, mpmath_optimum(alpha, slope))
        ends = [log_speedup(alpha, slope, mpmath.mpf(g)) for g in (low, high)]
        losses = [-mpmath.expm1(end - top) for end in ends]
    assert low <= star <= high
    assert float(losses[1]) == pytest.approx(tolerance, rel=1e-6)
    if low > 0:
        assert float(losses[0]) == pytest.approx(tolerance, rel=1e-6)
    else:
        assert float(losses[0]) <= tolerance * (1 + 1e-9)
    half = regret_halfwidth(alpha, c, overhead=o, tolerance=tolerance)
    assert half <= (high - star) * (1 + 1e-6)
    if low > 0:
        assert half == pytest.approx(star - low, rel=1e-6)


def mpmath_optimum(alpha: float, slope: float) -> mpmath.mpf:
    rate, c = -mpmath.log(mpmath.mpf(alpha)), mpmath.mpf(slope)
    goal = rate * (1 - c) / c
    w = mpmath.mpf(float(mpmath.sqrt(2 * goal) + goal))
    for _ in range(200):
        w = w - (w - mpmath.log1p(w) - goal) * (1 + 1 / w)
    return mpmath.log1p(w) / rate - 1


def test_the_example_of_the_regret_window_is_about_one_and_a_half_tokens() -> None:
    assert optimal_gamma(0.8, 0.05) == pytest.approx(7.86, abs=0.005)
    assert regret_halfwidth(0.8, 0.05) == pytest.approx(1.46, abs=0.005)
    low, high = regret_window(0.8, 0.05)
    assert (low, high) == pytest.approx((6.40, 9.59), abs=0.005)
    # Close to the optimum the loss is that of the curvature.
    kappa = optimum_curvature(0.8, 0.05)
    close = regret_halfwidth(0.8, 0.05, tolerance=1e-8)
    assert close == pytest.approx((2e-8 / kappa) ** 0.5, rel=1e-4)


@given(inner, costs, extras)
@settings(suppress_health_check=[HealthCheck.filter_too_much])
def test_one_token_beside_the_best_gamma_loses_no_more_than_the_bound(
    alpha: float, c: float, b: float
) -> None:
    best = best_gamma(alpha, c, verify_slope=b, gamma_max=10**6)
    assume(1 <= best < 10**6)
    top, *beside = (speedup(alpha, best + d, c, verify_slope=b) for d in (0, -1, 1))
    losses = 1.0 - np.array(beside) / top
    assert losses.max() <= neighbour_loss(alpha, best) + 1e-13


@given(st.floats(0.01, 0.99), st.integers(1, 40))
def test_the_loss_of_a_neighbour_is_reached_where_one_token_more_is_as_good(
    alpha: float, gamma: int
) -> None:
    tokens = sum(alpha**k for k in range(gamma + 1))
    share = alpha ** (gamma + 1) / tokens  # a draft token's part of the round at gamma
    cost = share / (1.0 - gamma * share)
    below, here, above = (speedup(alpha, gamma + d, cost) for d in (-1, 0, 1))
    assert above == pytest.approx(here, rel=1e-12)
    assert 1.0 - below / here == pytest.approx(neighbour_loss(alpha, gamma), abs=1e-12)


def test_limits_of_the_loss_of_a_neighbour() -> None:
    assert neighbour_loss([0.0, 1.0], 3).tolist() == [0.0, 0.0]
    assert neighbour_loss(0.5, 1) == pytest.approx(0.2, rel=1e-15)
    every = neighbour_loss(np.linspace(0, 1, 1001), np.arange(1, 20)[:, None])
    assert (np.diff(every.max(axis=1)) < 0).all()


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
