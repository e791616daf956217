"""Oracle, stopping rule and fixed draft, against exhaustive policies and simulated runs."""

from __future__ import annotations

import math
from typing import Any

import mpmath
import numpy as np
import pytest
from exact import at_digits, counts, decades, probabilities, relative_error
from howspec.theory.limits.headroom import (
    NONADAPTIVITY_BOUND,
    costless_length_ratio,
    indifferent_cost,
    lookahead_latency,
    nonadaptivity,
    nonadaptivity_cost,
    nonadaptivity_limit,
    oracle_speedup,
    worst_nonadaptivity,
)
from howspec.theory.speedup import speedup
from hypothesis import assume, example, given
from hypothesis import strategies as st

extras = st.one_of(st.just(0.0), decades(-4, 0.7))


def oracle_by_hand(alpha: float, c: float, b: float, o: float) -> Any:
    """Tokens over time of runs K = 0, 1, ...: each is drafted or walked, whichever is faster.

    Runs beyond the sum's end are drafted, as the long ones are; their tail is a geometric one.
    """
    a, per, fixed = mpmath.mpf(alpha), mpmath.mpf(c) + mpmath.mpf(b), mpmath.mpf(o)
    if per >= 1:
        return mpmath.mpf(1)
    end = int(mpmath.floor(fixed / (1 - per))) + 3
    time, reached = mpmath.mpf(0), mpmath.mpf(1)
    for k in range(end):
        walked, drafted = k + mpmath.mpf(1), 1 + fixed + k * per
        time += reached * (1 - a) * (min(walked, drafted) if k else 1)
        reached *= a
    time += reached * (1 + fixed + per * (end + a / (1 - a)))
    return 1 / (1 - a) / time


# --- the oracle -----------------------------------------------------------------------------


@given(st.one_of(st.floats(0, 0.9999), decades(-300, -1)), extras, extras, extras)
@example(0.9, 0.3, 0.1, 2.5)
@example(0.7, 0.05, 0.2, 0.4)
def test_oracle_drafts_the_runs_that_pay(alpha: float, c: float, b: float, o: float) -> None:
    if c + b >= 1 - 1e-3 and c + b < 1:
        return  # the shortest run that pays is then too long to sum
    with mpmath.workdps(60):
        exact = oracle_by_hand(alpha, c, b, o)
        costs = {"cost_ratio": c, "verify_slope": b, "overhead": o}
        if c + b < 1:
            assert abs(at_digits(oracle_speedup, alpha=alpha, **costs) / exact - 1) < 1e-20
    got = oracle_speedup(alpha, c, verify_slope=b, overhead=o)
    assert relative_error(got, exact) < 1e-11
    assert got >= 1 - 1e-15


@given(st.floats(-15, -1).map(lambda e: 1 - 10.0**e), st.floats(0, 0.99))
def test_oracle_without_overhead_keeps_its_digits_near_certain_acceptance(
    alpha: float, c: float
) -> None:
    with mpmath.workdps(50):
        exact = 1 / ((1 - mpmath.mpf(alpha)) + mpmath.mpf(alpha) * c)
    assert relative_error(oracle_speedup(alpha, c), exact) < 1e-14


def test_limits_of_the_oracle() -> None:
    assert oracle_speedup(1.0, 0.05, verify_slope=0.05, overhead=7.0) == pytest.approx(10.0)
    assert oracle_speedup(1.0, 0.0) == math.inf
    np.testing.assert_array_equal(oracle_speedup(0.0, [0.0, 0.3, 2.0], overhead=0.2), 1.0)
    np.testing.assert_array_equal(oracle_speedup([0.5, 1.0], 1.0), 1.0)
    assert oracle_speedup(0.9, 1 - 1e-16, overhead=1e300) == 1.0
    assert oracle_speedup(0.8, 0.0) == pytest.approx(5.0)


@given(probabilities(), extras, extras, extras, st.integers(0, 64))
def test_no_fixed_draft_beats_the_oracle(a: float, c: float, b: float, o: float, g: int) -> None:
    fixed = speedup(a, g, c, verify_slope=b, overhead=o)
    assert fixed <= oracle_speedup(a, c, verify_slope=b, overhead=o) * (1 + 1e-13)


def test_oracle_is_the_rate_of_simulated_clairvoyant_runs() -> None:
    rng = np.random.default_rng(8)
    a, c, b, o = 0.85, 0.2, 0.05, 1.6
    runs = rng.geometric(1 - a, 400_000) - 1
    time = np.minimum(runs + 1.0, 1 + o + (c + b) * runs)
    tokens = runs + 1.0
    rate = tokens.sum() / time.sum()
    error = np.std(tokens - rate * time) / time.mean() / math.sqrt(runs.size)
    assert abs(rate - oracle_speedup(a, c, verify_slope=b, overhead=o)) < 4 * error


# --- the price of not knowing ---------------------------------------------------------------


@given(decades(-8, 2))
def test_limit_ratio_and_its_cost_are_their_definitions(x: float) -> None:
    with mpmath.workdps(60):
        m = mpmath.mpf(x)
        # alpha -> 1, c = kappa (1 - alpha): S = (1 - e^-x) / (1 + kappa x) against 1 / (1 + kappa)
        kappa = 1 / (mpmath.expm1(m) - m)
        at_best = (1 + kappa * m) / ((1 + kappa) * -mpmath.expm1(-m))
        assert abs(at_digits(nonadaptivity_cost, drafted_mean=x) / kappa - 1) < 1e-20
    assert relative_error(nonadaptivity_cost(x), kappa) < 1e-13
    assert relative_error(nonadaptivity_limit(x), at_best) < 1e-14
    # x is the best length at this cost: a little shorter or longer is no better.
    with mpmath.workdps(120):
        for y in (m * 1.01, m / 1.01):
            assert (1 + kappa * y) / -mpmath.expm1(-y) > (1 + kappa * m) / -mpmath.expm1(-m)


def test_the_limit_ratio_peaks_at_the_bound() -> None:
    assert nonadaptivity_limit(1.0) == pytest.approx(NONADAPTIVITY_BOUND, rel=1e-15)
    assert (nonadaptivity_limit(np.geomspace(1e-3, 50, 1000)) <= NONADAPTIVITY_BOUND).all()
    assert nonadaptivity_cost(1.0) == pytest.approx(1 / (math.e - 2), rel=1e-15)


@given(st.floats(0.001, 0.999), counts(60))
def test_at_the_indifferent_cost_two_drafts_are_equally_good_and_the_ratio_is_worst(
    alpha: float, gamma: int
) -> None:
    with mpmath.workdps(80):
        a = mpmath.mpf(alpha)

        def fixed(g: int, c: Any) -> Any:
            return mpmath.fsum(a**i for i in range(g + 1)) / (1 + g * c)

        cost = at_digits(indifferent_cost, 80, alpha=alpha, gamma=gamma)
        assert abs(fixed(gamma, cost) / fixed(gamma + 1, cost) - 1) < mpmath.mpf(10) ** -40
        ratio = 1 / (1 - a * (1 - cost)) / fixed(gamma, cost)
    assert relative_error(indifferent_cost(alpha, gamma), cost) < 1e-12
    assert relative_error(worst_nonadaptivity(alpha, gamma), ratio) < 1e-13
    assert ratio < NONADAPTIVITY_BOUND


@given(st.floats(0.001, 0.999), counts(60), st.floats(0, 1))
def test_between_two_indifferent_costs_the_ratio_is_below_one_of_its_ends(
    alpha: float, gamma: int, part: float
) -> None:
    high, low = indifferent_cost(alpha, [gamma, gamma + 1])
    ratio = nonadaptivity(alpha, low + part * (high - low), gamma_max=100)
    assert ratio <= worst_nonadaptivity(alpha, [gamma, gamma + 1]).max() * (1 + 1e-12)


def test_ends_of_the_indifferent_cost() -> None:
    np.testing.assert_array_equal(indifferent_cost(1.0, [0, 3, 50]), 1.0)
    np.testing.assert_array_equal(indifferent_cost(0.0, [0, 3, 50]), 0.0)
    assert indifferent_cost(0.37, 0) == pytest.approx(0.37)  # speculation helps if c < alpha
    assert (np.diff(indifferent_cost(0.9, np.arange(30))) < 0).all()


def test_the_price_stays_below_the_bound_over_a_grid_and_comes_near_it() -> None:
    alpha = 1 - np.geomspace(1e-3, 0.99, 60)[:, None]
    cost = np.concatenate([[0.0], np.geomspace(1e-5, 1.5, 80)])
    ratio = nonadaptivity(alpha, cost, gamma_max=2**20)
    assert (ratio >= 1 - 1e-13).all()
    assert ratio.max() < NONADAPTIVITY_BOUND
    assert ratio.max() > 1.58
    gamma = np.arange(4000)
    worst = worst_nonadaptivity(alpha, gamma).max(axis=1, keepdims=True)
    assert (ratio <= worst * (1 + 1e-12)).all()


@given(probabilities(), st.one_of(st.just(0.0), decades(-6, -0.01)))
def test_the_mean_run_is_a_draft_length_whose_price_does_not_depend_on_the_cost(
    alpha: float, c: float
) -> None:
    got = costless_length_ratio(alpha)
    assert 1.0 <= got <= NONADAPTIVITY_BOUND * (1 + 1e-15)
    assume(0 < alpha < 1)
    with mpmath.workdps(60):
        a = mpmath.mpf(alpha)
        gamma = a / (1 - a)
        fixed = (1 - a ** (gamma + 1)) / (1 - a) / (1 + gamma * c)
        exact = 1 / (1 - a * (1 - mpmath.mpf(c))) / fixed
        assert abs(at_digits(costless_length_ratio, alpha=alpha) / exact - 1) < 1e-20
    assert relative_error(got, exact) < 1e-13
    if 1e-3 < alpha < 1 - 1e-9:
        real = speedup(alpha, float(gamma), c)
        assert oracle_speedup(alpha, c) / real == pytest.approx(got, rel=1e-7)


def test_known_prices() -> None:
    got = nonadaptivity([[0.6], [0.8]], [0.01, 0.05, 0.1])
    np.testing.assert_allclose(got, [[1.07, 1.21, 1.30], [1.14, 1.35, 1.45]], atol=0.005)
    # An overhead that only speculation pays gives the oracle more to choose.
    assert nonadaptivity(0.924, 0.226, overhead=5.0) > 1.7


# --- look-ahead with enough targets ---------------------------------------------------------


@given(probabilities(), st.floats(0, 1), st.integers(1, 4096))
def test_lookahead_takes_as_long_per_token_as_the_oracle(a: float, c: float, length: int) -> None:
    with mpmath.workdps(40):
        per_token = mpmath.mpf(a) * c + (1 - mpmath.mpf(a))
        exact = 1 + mpmath.fsum([per_token] * (length - 1))
    got = lookahead_latency(a, c, length)
    assert relative_error(got, exact) < 1e-12
    if per_token > 1e-6:
        assert 1 / per_token == pytest.approx(oracle_speedup(a, c), rel=1e-9)


def test_lookahead_latency_is_that_of_simulated_servers() -> None:
    rng = np.random.default_rng(21)
    a, c, length, texts = 0.75, 0.2, 40, 20_000
    accepted = rng.random((texts, length)) < a
    # Every prefix goes to a free target the moment it is drafted. A rejected token is known one
    # step after its prefix was handed over, an accepted one lets drafting go on after c.
    handed_over = np.zeros(texts)
    for token in range(length - 1):
        handed_over = handed_over + np.where(accepted[:, token], c, 1.0)
    finished = handed_over + 1.0
    error = finished.std() / math.sqrt(texts)
    assert abs(finished.mean() - lookahead_latency(a, c, length)) < 4 * error
