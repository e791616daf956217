"""The best number of draft tokens against golden section, scans and derivatives at 50 digits."""

from __future__ import annotations

import mpmath
import numpy as np
import pytest
from exact import EDGES, at_digits, decades, log_speedup, probabilities, relative_error
from howspec.theory.optimum import (
    best_gamma,
    curvature,
    optimal_gamma,
    optimal_gamma_gradient,
    optimal_speedup,
    optimum_curvature,
    optimum_d_alpha,
    optimum_d_slope,
    optimum_root,
    real_optimum,
    speedup_at_optimum,
)
from howspec.theory.regret import regret_halfwidth
from howspec.theory.speedup import reduced_cost, speedup
from hypothesis import assume, example, given, settings
from hypothesis import strategies as st

costs = decades(-6, 0)
extras = st.one_of(st.just(0.0), decades(-4, 1))
inner = probabilities().filter(lambda a: 0 < a < 1)


def golden(alpha: float, cost: float, steps: int = 260) -> mpmath.mpf:
    """The gamma >= 0 that maximises S, by golden section; good to half of the digits."""
    high = mpmath.mpf(1)
    while log_speedup(alpha, cost, 2 * high) > log_speedup(alpha, cost, high):
        high *= 2
    low, high = mpmath.mpf(0), 2 * high
    phi = (mpmath.sqrt(5) - 1) / 2
    inner_low, inner_high = high - phi * (high - low), low + phi * (high - low)
    at_low, at_high = log_speedup(alpha, cost, inner_low), log_speedup(alpha, cost, inner_high)
    for _ in range(steps):
        if at_low < at_high:
            low, inner_low, at_low = inner_low, inner_high, at_high
            inner_high = low + phi * (high - low)
            at_high = log_speedup(alpha, cost, inner_high)
        else:
            high, inner_high, at_high = inner_high, inner_low, at_low
            inner_low = high - phi * (high - low)
            at_low = log_speedup(alpha, cost, inner_low)
    return (low + high) / 2


def digits_for(alpha: float) -> int:
    """Twice the digits wanted, plus those that 1 - alpha^(gamma+1) loses for alpha near 0."""
    return 90 + int(max(0, -mpmath.log10(alpha)))


@given(inner, costs)
@example(1 - 1e-15, 1e-6)
@example(5e-324, 1e-6)
@example(0.8, 1.0)
@example(0.999, 0.9989)
def test_optimum_equals_golden_section_on_the_definition(alpha: float, cost: float) -> None:
    with mpmath.workdps(digits_for(alpha)):
        exact = golden(alpha, cost)
        assert abs(optimal_gamma(alpha, cost) - exact) <= 1e-12 * (1 + exact)
        best = max(mpmath.exp(log_speedup(alpha, cost, exact)), 1)
        assert relative_error(optimal_speedup(alpha, cost), best) < 1e-12


@given(inner, costs, st.integers(-14, -1))
def test_optimum_near_its_vanishing_keeps_absolute_digits(
    alpha: float, cost: float, gap: int
) -> None:
    assume(alpha > 1e-6)
    threshold = alpha * -np.log(alpha) / (1 - alpha) if alpha < 1 - 1e-9 else 1 - (1 - alpha) / 2
    cost = float(np.clip(threshold * (1 - 10.0**gap), 1e-6, 1.0))
    with mpmath.workdps(digits_for(alpha)):
        exact = golden(alpha, cost)
        assert abs(optimal_gamma(alpha, cost) - exact) <= 1e-12 * (1 + exact)


@given(inner.filter(lambda a: 1e-12 < a < 1 - 1e-12), decades(-6, -0.01))
@example(0.8, 0.05)
def test_curvature_and_gradient_equal_numerical_derivatives_of_the_definition(
    alpha: float, cost: float
) -> None:
    with mpmath.workdps(140):
        star = golden(alpha, cost, 420)
        assume(star > 1e-3)
        logs = mpmath.diff(lambda g: log_speedup(alpha, cost, g), star, 2)
        assert relative_error(optimum_curvature(alpha, cost), -logs) < 1e-11

        # The root of d ln S / d gamma, moved a little on either side of alpha and of the cost.
        def slope(a: mpmath.mpf, c: mpmath.mpf, g: mpmath.mpf) -> mpmath.mpf:
            power = a ** (g + 1)
            return -mpmath.log(a) * power / (1 - power) - c / (1 + g * c)

        point = (mpmath.mpf(alpha), mpmath.mpf(cost), star)
        # Implicit differentiation on the definition: d gamma = -F_x / F_gamma.
        by_gamma = mpmath.diff(slope, point, (0, 0, 1))
        by_alpha = -mpmath.diff(slope, point, (1, 0, 0)) / by_gamma
        by_cost = -mpmath.diff(slope, point, (0, 1, 0)) / by_gamma
        got = optimal_gamma_gradient(alpha, cost)
        assert relative_error(got[0], by_alpha) < 1e-11
        assert relative_error(got[1], by_cost) < 1e-11
        assert got[0] > 0 > got[1]


@given(inner.filter(lambda a: 1e-9 < a < 1 - 1e-9), decades(-3, -0.05), extras)
@settings(max_examples=15)
def test_printed_expressions_equal_golden_section(alpha: float, cost: float, o: float) -> None:
    with mpmath.workdps(120):
        star = golden(alpha, cost, 420)
        assume(star > 1e-2)
        point = {"alpha": alpha, "slope": cost}
        a, c = mpmath.mpf(alpha), mpmath.mpf(cost)
        assert relative_error(at_digits(real_optimum, 90, **point), star) < 1e-14
        assert relative_error(at_digits(optimum_root, 90, **point), a ** -(star + 1)) < 1e-14
        best = mpmath.exp(log_speedup(alpha, cost, star)) / (1 + mpmath.mpf(o))
        assert relative_error(at_digits(speedup_at_optimum, 90, **point, overhead=o), best) < 1e-14
        bend = -mpmath.diff(lambda g: log_speedup(alpha, cost, g), star, 2)
        assert relative_error(at_digits(curvature, 90, **point), bend) < 1e-12
        step = mpmath.mpf(10) ** -20
        by_alpha = (golden(a + step * a, cost, 420) - golden(a - step * a, cost, 420)) / (
            2 * step * a
        )
        by_cost = (golden(alpha, c + step * c, 420) - golden(alpha, c - step * c, 420)) / (
            2 * step * c
        )
        assert relative_error(at_digits(optimum_d_alpha, 90, **point), by_alpha) < 1e-12
        assert relative_error(at_digits(optimum_d_slope, 90, **point), by_cost) < 1e-12


@given(probabilities(), costs, extras, extras)
def test_verify_slope_and_overhead_enter_through_the_reduced_cost(
    alpha: float, c: float, b: float, o: float
) -> None:
    slope = reduced_cost(c, b, o)
    got = optimal_gamma(alpha, c, verify_slope=b, overhead=o)
    assert got == optimal_gamma(alpha, slope)
    plain = optimal_speedup(alpha, slope) if got > 0 else 1.0
    best = optimal_speedup(alpha, c, verify_slope=b, overhead=o)
    assert best == pytest.approx(max(1.0, plain / (1 + o)), rel=1e-14)
    if 0 < got < np.inf:
        assert optimum_curvature(alpha, c, verify_slope=b, overhead=o) == optimum_curvature(
            alpha, slope
        )
        assert optimal_gamma_gradient(
            alpha, c, verify_slope=b, overhead=o
        ) == optimal_gamma_gradient(alpha, slope)


@given(probabilities(), costs, extras, extras, st.integers(1, 400))
@example(0.5, 1e-6, 10.0, 0.0, 400)
def test_best_whole_gamma_equals_the_exhaustive_scan(
    alpha: float, c: float, b: float, o: float, gamma_max: int
) -> None:
    got = best_gamma(alpha, c, verify_slope=b, overhead=o, gamma_max=gamma_max)
    scan = speedup(alpha, np.arange(gamma_max + 1), c, verify_slope=b, overhead=o)
    assert isinstance(got, int)
    assert 0 <= got <= gamma_max
    # Equal to the last bit or two: a plateau of equal values may be resolved by rounding alone.
    assert scan[got] >= scan.max() * (1 - 1e-15)
    clear = scan[np.arange(gamma_max + 1) != got].max() < scan[got] * (1 - 1e-13)
    assert got == scan.argmax() or not clear


def test_best_gamma_takes_the_smallest_of_equals_and_prefers_plain_decoding() -> None:
    assert best_gamma(0.5, 0.5) == 0  # gamma = 1 gives exactly 1.5 / 1.5
    assert best_gamma(0.0, 0.0) == 0
    assert best_gamma(1.0, 0.5, gamma_max=7) == 7
    assert best_gamma(0.9, 0.0, gamma_max=2**53) > 32


@given(probabilities(), probabilities(), costs, costs, extras)
def test_optimum_rises_with_alpha_and_with_overhead_and_falls_with_cost(
    alpha: float, other: float, c: float, d: float, o: float
) -> None:
    low, high = sorted((alpha, other))
    cheap, dear = sorted((c, d))
    here = optimal_gamma(low, dear)
    slack = 1e-12 * (1 + here) if np.isfinite(here) else 0.0
    assert here <= optimal_gamma(high, dear) + slack
    assert here <= optimal_gamma(low, cheap) + slack
    assert here <= optimal_gamma(low, dear, overhead=o) + slack
    assert best_gamma(low, dear) <= best_gamma(high, dear)
    assert optimal_speedup(low, dear) <= optimal_speedup(high, dear) * (1 + 1e-14)


@given(inner, costs)
def test_speedup_at_the_optimum_bounds_every_whole_gamma(alpha: float, c: float) -> None:
    top = optimal_speedup(alpha, c)
    assert speedup(alpha, np.arange(0, 200), c).max() <= top * (1 + 1e-14)
    star = optimal_gamma(alpha, c)
    assert abs(best_gamma(alpha, c, gamma_max=2**53) - star) <= 1 + 1e-9 * star


@given(inner, costs, extras, extras)
def test_speedup_at_the_optimum_bounds_every_gamma_with_overhead_too(
    alpha: float, c: float, b: float, o: float
) -> None:
    options = {"verify_slope": b, "overhead": o}
    every = speedup(alpha, np.arange(0.0, 300.0), c, **options)
    assert every.max() <= optimal_speedup(alpha, c, **options) * (1 + 1e-13)


def test_limits_are_written_out() -> None:
    assert optimal_gamma(1, 0.5) == np.inf
    assert optimal_gamma(0.5, 0) == np.inf
    assert optimal_gamma(0, 0) == 0
    assert optimal_gamma(1, 1) == 0
    assert optimal_gamma(0.8, 1) == 0
    assert optimal_speedup(1, 0.25) == 4
    assert optimal_speedup(0.75, 0) == 4
    assert optimal_speedup(0, 0) == 1
    assert optimal_speedup(1, 0) == np.inf
    assert optimal_speedup(1, 0.25, overhead=1) == pytest.approx(4)
    assert np.isnan(optimum_curvature(0.1, 0.9))
    assert np.isnan(regret_halfwidth([1.0, 0.5], [0.5, 0.0])).all()
    assert np.isnan(optimal_gamma_gradient(0.1, 0.9)).all()


def test_the_real_optimum_vanishes_where_its_derivative_at_zero_does() -> None:
    alpha = np.linspace(0.05, 0.95, 19)
    edge = alpha * -np.log(alpha) / (1 - alpha)
    assert (optimal_gamma(alpha, edge * (1 + 1e-12)) == 0).all()
    assert (optimal_gamma(alpha, edge * (1 - 1e-9)) > 0).all()


def test_cheap_drafts_and_sure_acceptance_approach_their_asymptotes() -> None:
    rate = -np.log(0.6)
    assert optimal_gamma(0.6, 1e-280) == pytest.approx(np.log(rate / 1e-280) / rate - 1, rel=1e-2)
    near = 1 - 1e-12
    assert optimal_gamma(near, 0.2) == pytest.approx((2 * 0.8 / 0.2 / 1e-12) ** 0.5, rel=1e-4)


def test_costs_at_the_edge_of_floats_keep_the_asymptote() -> None:
    # Where L / c' is beyond the largest float, u = L/c' exactly to all digits.
    rate = -np.log(0.3)
    tiny = np.array([1e-290, 1e-306, 1e-308, 1e-310])
    exact = [float(mpmath.log(mpmath.mpf(rate)) - mpmath.log(mpmath.mpf(c))) for c in tiny]
    expected = [x / rate for x in exact]
    got = optimal_gamma(0.3, tiny) + 1
    np.testing.assert_allclose(got, expected, rtol=4e-3)
    assert (np.diff(got) > 0).all()
    np.testing.assert_allclose(optimal_speedup(0.3, tiny), 1 / 0.7, rtol=1e-15)
    by_alpha, by_slope = optimal_gamma_gradient(0.3, tiny)
    np.testing.assert_allclose(by_slope[:2], -1 / tiny[:2] / rate, rtol=1e-2)
    assert np.isfinite(by_alpha).all()
    np.testing.assert_allclose(by_alpha, by_alpha[0], rtol=0.1)


def test_nothing_is_nan_or_warns_over_the_whole_domain() -> None:
    alpha = np.array(EDGES)[:, None, None]
    cost = np.array([0, 5e-324, 1e-300, 1e-6, 0.5, 1 - 1e-16, 1, 1 + 1e-15, 10, 1e308])[:, None]
    o = np.array([0, 1e-300, 0.1, 1e308])
    for b in (0.0, 0.01, 1e308):
        star = optimal_gamma(alpha, cost, verify_slope=b, overhead=o)
        assert star.shape == (10, 10, 4)
        assert (star >= 0).all()
        assert (optimal_speedup(alpha, cost, verify_slope=b, overhead=o) >= 1).all()
        best = best_gamma(alpha, cost, verify_slope=b, overhead=o, gamma_max=2**53)
        assert best.dtype == np.int64
        inside = (star > 0) & np.isfinite(star)
        for value in (
            optimum_curvature(alpha, cost, verify_slope=b, overhead=o),
            regret_halfwidth(alpha, cost, verify_slope=b, overhead=o),
            *optimal_gamma_gradient(alpha, cost, verify_slope=b, overhead=o),
        ):
            assert (np.isnan(value) == ~inside).all()
    assert type(optimal_gamma(0.8, 0.05)) is float
    assert best_gamma([], 0.1).shape == (0,)
