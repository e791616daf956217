"""Why there is one turning point: curvatures against differences, and ladders that have two."""

from __future__ import annotations

import math
from typing import Any

import mpmath
import numpy as np
import pytest
from exact import at_digits, counts, decades, probabilities, relative_error
from howspec.theory.optimum import best_gamma
from howspec.theory.scale.concavity import (
    compare_with_zero_scale,
    cost_log_curvature,
    rejection_log_curvature,
    sensitivity_fall,
    speedup_log_curvature,
    unique_turning_point,
)
from howspec.theory.scale.law import DraftScaleLaw, rejection_sensitivity
from howspec.theory.speedup import speedup
from hypothesis import assume, example, given, settings
from hypothesis import strategies as st

floors = st.one_of(st.just(0.0), st.floats(0.001, 0.5))
extras = st.one_of(st.just(0.0), decades(-4, 0))
FULL_LAW = {
    "rejection_floor": 0.07,
    "rejection_coefficient": 0.11,
    "rejection_exponent": 0.3,
}
FULL_COSTS = {"cost_floor": 0.02, "cost_slope": 1.3, "verify_slope": 0.03, "overhead": 0.2}
LAW = {
    "rejection_floor": floors,
    "rejection_coefficient": decades(-4, -0.5),
    "rejection_exponent": st.floats(0.05, 1.5),
}
COSTS = {
    "cost_floor": extras,
    "cost_slope": decades(-2, 1),
    "verify_slope": extras,
    "overhead": extras,
}


def second_difference(f: Any, x: float) -> Any:
    """f'' at x by a central difference of 60 digits: the error of the rule is below 1e-25."""
    with mpmath.workdps(60):
        h, at = mpmath.mpf(10) ** -14, mpmath.mpf(x)
        return (f(at + h) - 2 * f(at) + f(at - h)) / h**2


def log_tokens(alpha: Any, gamma: int) -> Any:
    return mpmath.log(mpmath.fsum(alpha**i for i in range(gamma + 1)))


# --- the formulas ---------------------------------------------------------------------------


@given(probabilities(), counts(120))
def test_fall_of_the_sensitivity_is_its_derivative(alpha: float, gamma: int) -> None:
    with mpmath.workdps(700 if alpha < 1e-200 else 80):
        a = mpmath.mpf(alpha)
        # r = (g + 1) / (sum of a^-j), so -dr/d ln a times -1 is r times the mean of j.
        weights = [a ** (gamma - j) for j in range(gamma + 1)]
        mean = mpmath.fsum(j * w for j, w in enumerate(weights)) / mpmath.fsum(weights)
        exact = (gamma + 1) * a**gamma / mpmath.fsum(weights) * mean
        if 0 < alpha < 1:
            stated = at_digits(sensitivity_fall, 700, alpha=alpha, gamma=gamma)
            assert abs(stated - exact) < mpmath.mpf(10) ** -30
    got = sensitivity_fall(alpha, gamma)
    assert got >= 0.0
    assert relative_error(got, exact) < 1e-11 or abs(got - float(exact)) < 1e-300


@given(st.floats(0.02, 0.98), st.integers(1, 30))
def test_the_sensitivity_falls_by_what_the_formula_says(alpha: float, gamma: int) -> None:
    h = 1e-5
    up, down = alpha * math.exp(h), alpha * math.exp(-h)
    change = rejection_sensitivity(down, gamma) - rejection_sensitivity(min(up, 1.0), gamma)
    assert change / (2 * h) == pytest.approx(sensitivity_fall(alpha, gamma), rel=1e-6, abs=1e-9)


@given(scale=decades(-5, 0), **LAW)
@example(scale=0.05, **FULL_LAW)
def test_rejection_curvature_is_the_second_derivative(scale: float, **law: float) -> None:
    d, a, b = law.values()

    def log_rejection(x: Any) -> Any:
        return mpmath.log(mpmath.mpf(d) + mpmath.mpf(a) * mpmath.exp(-mpmath.mpf(b) * x))

    with mpmath.workdps(60):
        exact = second_difference(log_rejection, mpmath.log(mpmath.mpf(scale)))
    assert abs(at_digits(rejection_log_curvature, scale=scale, **law) - exact) < 1e-20
    got = rejection_log_curvature(scale, d, a, b)
    assert abs(got - exact) <= 1e-11 * abs(exact) + mpmath.mpf(10) ** -20
    assert 0 <= got <= b * b / 4 * (1 + 1e-15)


@given(gamma=counts(40), scale=decades(-5, 0), **COSTS)
@example(gamma=4, scale=0.05, **FULL_COSTS)
def test_cost_curvature_is_the_second_derivative(gamma: int, scale: float, **costs: float) -> None:
    c0, c1, b, o = (mpmath.mpf(v) for v in costs.values())

    def log_cost(x: Any) -> Any:
        time = 1 + o
        for _ in range(gamma):
            time += c0 + c1 * mpmath.exp(x) + b
        return mpmath.log(time)

    with mpmath.workdps(60):
        exact = second_difference(log_cost, mpmath.log(mpmath.mpf(scale)))
    got = cost_log_curvature(gamma, scale, **costs)
    assert abs(got - exact) <= 1e-11 * abs(exact) + mpmath.mpf(10) ** -20
    assert 0 <= got <= 0.25


@given(gamma=st.integers(1, 30), scale=decades(-5, 0), **LAW, **COSTS)
@example(gamma=4, scale=0.05, **FULL_LAW, **FULL_COSTS)
def test_speedup_curvature_is_the_second_derivative_and_never_positive(
    gamma: int, scale: float, **p: float
) -> None:
    law = DraftScaleLaw(**p)
    got = speedup_log_curvature(scale, gamma, **p)
    if not law.acceptance(scale) > 1e-9:
        assert math.isnan(got) or got <= 0
        return

    def log_speedup(x: Any) -> Any:
        s = mpmath.exp(x)
        power = mpmath.mpf(p["rejection_coefficient"]) * s ** -mpmath.mpf(p["rejection_exponent"])
        alpha = 1 - mpmath.mpf(p["rejection_floor"]) - power
        per_token = mpmath.mpf(p["cost_floor"]) + mpmath.mpf(p["cost_slope"]) * s
        per_token += mpmath.mpf(p["verify_slope"])
        time = 1 + gamma * per_token + mpmath.mpf(p["overhead"])
        return log_tokens(alpha, gamma) - mpmath.log(time)

    with mpmath.workdps(60):
        exact = second_difference(log_speedup, mpmath.log(mpmath.mpf(scale)))
    stated = at_digits(speedup_log_curvature, gamma=gamma, scale=scale, **p)
    assert abs(stated - exact) < 1e-18
    assert abs(got - exact) <= 1e-10 * abs(exact) + mpmath.mpf(10) ** -18
    assert got <= 0


def test_curvature_needs_a_draft_token_and_a_law_that_holds() -> None:
    p = {
        "rejection_floor": 0.0,
        "rejection_coefficient": 0.3,
        "rejection_exponent": 0.5,
        "cost_floor": 0.1,
        "cost_slope": 1.0,
    }
    assert math.isnan(speedup_log_curvature(0.01, 3, **p))  # alpha would be -2


# --- ladders --------------------------------------------------------------------------------


@given(gamma=st.integers(1, 12), **LAW, **COSTS)
@example(gamma=4, **FULL_LAW, **FULL_COSTS)
def test_a_ladder_from_the_laws_meets_the_conditions_and_turns_once(gamma: int, **p: float) -> None:
    law = DraftScaleLaw(**p)
    low = float(law.smallest_scale()) * 1.01
    assume(low < 0.9)
    s = np.geomspace(low, 1.0, 200)
    keep = np.asarray(law.acceptance(s)) < 1.0
    s = s[keep]
    assume(s.size >= 3)
    seen = unique_turning_point(
        s,
        law.acceptance(s),
        law.cost(s),
        gamma=gamma,
        verify_slope=p["verify_slope"],
        overhead=p["overhead"],
        tolerance=1e-7,
    )
    assert seen.guaranteed
    assert seen.unique
    assert seen.speedups[0] == pytest.approx(law.speedup(seen.scales[0], gamma), rel=1e-12)


def _s_shaped(s: Any) -> Any:
    """Acceptance with a floor: 0.35 however small the draft, 0.85 for large ones."""
    return 0.35 + 0.5 / (1.0 + (0.02 / s) ** 3)


def test_an_s_shaped_ladder_is_seen_to_break_the_condition_and_to_turn_twice() -> None:
    s = np.geomspace(1e-5, 1.0, 400)
    seen = unique_turning_point(s, _s_shaped(s), 0.5 * s, gamma=3)
    assert not seen.rejection_log_convex
    assert seen.cost_log_convex
    assert not seen.guaranteed
    assert len(seen.scales) == 2
    assert seen.scales[0] == pytest.approx(s[0])  # one of them is the smallest draft there is
    assert 0.02 < seen.scales[1] < 0.2


def test_a_staircase_of_costs_is_seen_to_break_the_condition() -> None:
    s = np.geomspace(1e-3, 1.0, 60)
    law = DraftScaleLaw(0.05, 0.1, 0.3, 0.02, 1.0)
    stairs = 0.02 + np.ceil(np.log2(s / s[0]) / 2) * 0.05
    seen = unique_turning_point(s, law.acceptance(s), stairs, gamma=4)
    assert seen.rejection_log_convex
    assert not seen.cost_log_convex
    assert len(seen.scales) > 1


def test_a_level_top_counts_as_one_turning_point() -> None:
    seen = unique_turning_point([0.1, 0.2, 0.4, 0.8], [0.3, 0.5, 0.5, 0.4], [0.1] * 4, gamma=2)
    assert seen.scales == (0.2,)
    assert seen.speedups[0] == pytest.approx(speedup(0.5, 2, 0.1))


@given(st.floats(0.0, 0.9), st.floats(0.0, 0.05))
@settings(max_examples=12)
def test_a_draft_of_no_size_wins_exactly_where_it_is_faster(alpha: float, cost: float) -> None:
    law = DraftScaleLaw(0.05, 0.1, 0.25, 0.03, 1.0, verify_slope=0.01, overhead=0.05)
    scale, gamma, value = law.turning_point(5)
    choice = compare_with_zero_scale(law, alpha, zero_cost=cost, gamma_max=5)
    costs = {"verify_slope": 0.01, "overhead": 0.05}
    g = best_gamma(alpha, cost, gamma_max=5, **costs)
    zero = speedup(alpha, g, cost, **costs)
    assert choice.zero_speedup == pytest.approx(zero)
    assert choice.model_speedup == pytest.approx(float(value))
    assert choice.speedup == max(choice.zero_speedup, choice.model_speedup)
    if zero > value:
        assert (choice.scale, choice.gamma) == (0.0, g)
    else:
        assert (choice.scale, choice.gamma) == (float(scale), int(gamma))


def test_both_sides_of_the_comparison_occur() -> None:
    law = DraftScaleLaw(0.05, 0.1, 0.25, 0.03, 1.0)
    assert compare_with_zero_scale(law, 0.1).scale > 0
    assert compare_with_zero_scale(law, 0.8).scale == 0.0
