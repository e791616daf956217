"""Elasticities, exchange rate and objectives against differences of the speed-up itself."""

from __future__ import annotations

from typing import Any

import mpmath
import numpy as np
import pytest
from exact import at_digits, counts, decades, probabilities, relative_error
from howspec.theory.limits.sensitivity import (
    acceptance_elasticity,
    blended_slope,
    draft_cost_elasticity,
    energy_slope,
    exchange_rate,
    investments,
    overhead_elasticity,
    verify_cost_elasticity,
)
from howspec.theory.optimum import optimal_gamma
from howspec.theory.rounds import tokens_per_round
from howspec.theory.speedup import reduced_cost, speedup
from hypothesis import assume, example, given
from hypothesis import strategies as st

extras = st.one_of(st.just(0.0), decades(-5, 1))


def elasticity_by_hand(alpha: float, gamma: int) -> Any:
    """The mean of i under weights alpha^i, i = 0..gamma."""
    a = mpmath.mpf(alpha)
    weights = [a**i for i in range(gamma + 1)]
    return mpmath.fsum(i * w for i, w in enumerate(weights)) / mpmath.fsum(weights)


def log_speedup(alpha: Any, gamma: int, c: Any, b: Any, o: Any) -> Any:
    tokens = mpmath.fsum(alpha**i for i in range(gamma + 1))
    return mpmath.log(tokens / (1 + mpmath.fsum([c + b] * gamma) + (o if gamma else 0)))


def log_slope(f: Any, x: float) -> Any:
    """d f / d ln x by a central difference of 60 digits."""
    with mpmath.workdps(60):
        h, at = mpmath.mpf(10) ** -15, mpmath.log(mpmath.mpf(x))
        return (f(mpmath.exp(at + h)) - f(mpmath.exp(at - h))) / (2 * h)


@given(probabilities(), counts(200))
@example(0.61, 1)
@example(0.95, 8)
def test_acceptance_elasticity_is_a_mean_of_positions(alpha: float, gamma: int) -> None:
    with mpmath.workdps(700 if alpha < 1e-200 else 80):
        exact = elasticity_by_hand(alpha, gamma)
        if 0 < alpha < 1:
            stated = at_digits(acceptance_elasticity, 700, alpha=alpha, gamma=gamma)
            assert abs(stated - exact) <= mpmath.mpf(10) ** -30 * exact
    got = acceptance_elasticity(alpha, gamma)
    assert relative_error(got, exact) < 2e-13 or (exact == 0 and got == 0)
    assert 0.0 <= got <= gamma
    if alpha < 1:
        assert got <= alpha / (1 - alpha) * (1 + 1e-14)


@given(st.floats(0.02, 0.99), st.integers(1, 30), extras, extras, extras)
@example(0.8, 5, 0.07, 0.03, 0.2)
def test_elasticities_are_the_log_derivatives_of_the_speedup(
    alpha: float, gamma: int, c: float, b: float, o: float
) -> None:
    m = [mpmath.mpf(v) for v in (alpha, c, b, o)]
    costs = {"verify_slope": b, "overhead": o}
    slope = log_slope(lambda x: log_speedup(x, gamma, m[1], m[2], m[3]), alpha)
    assert abs(acceptance_elasticity(alpha, gamma) - slope) < 1e-12 * slope
    cases: list[tuple[Any, float, Any]] = [
        (draft_cost_elasticity, c, lambda x: log_speedup(m[0], gamma, x, m[2], m[3])),
        (verify_cost_elasticity, b, lambda x: log_speedup(m[0], gamma, m[1], x, m[3])),
        (overhead_elasticity, o, lambda x: log_speedup(m[0], gamma, m[1], m[2], x)),
    ]
    for function, at, of in cases:
        exact = log_slope(of, at) if at > 0 else mpmath.mpf(0)
        got = function(gamma, c, **costs)
        assert abs(got - exact) <= 1e-13 * abs(exact)
        assert -1.0 < got <= 0.0


@given(st.floats(0.001, 0.999), st.integers(1, 30), extras, extras, extras)
@example(0.8, 5, 0.07, 0.03, 0.2)
def test_exchange_rate_is_the_ratio_of_the_two_slopes(
    alpha: float, gamma: int, c: float, b: float, o: float
) -> None:
    m = [mpmath.mpf(v) for v in (alpha, c, b, o)]
    with mpmath.workdps(60):
        by_alpha = mpmath.diff(lambda x: log_speedup(x, gamma, m[1], m[2], m[3]), m[0])
        by_cost = mpmath.diff(lambda x: log_speedup(m[0], gamma, x, m[2], m[3]), m[1])
        exact = -by_alpha / by_cost
    costs = {"cost_ratio": c, "verify_slope": b, "overhead": o}
    assert abs(at_digits(exchange_rate, alpha=alpha, gamma=gamma, **costs) / exact - 1) < 1e-20
    got = exchange_rate(alpha, gamma, c, verify_slope=b, overhead=o)
    assert relative_error(got, exact) < 1e-11
    # Paying the rate for a little acceptance leaves the speed-up where it was.
    h = 1e-6 * min(alpha, 1 - alpha)
    moved = speedup(alpha + h, gamma, c + got * h, verify_slope=b, overhead=o)
    base = speedup(alpha, gamma, c, verify_slope=b, overhead=o)
    assert moved == pytest.approx(base, rel=1e-9)


def test_limits_of_the_sensitivities() -> None:
    np.testing.assert_array_equal(acceptance_elasticity(1.0, [0, 1, 7]), [0, 0.5, 3.5])
    np.testing.assert_array_equal(acceptance_elasticity([0.0, 0.3, 1.0], 0), 0.0)
    assert exchange_rate(0.0, 4, 0.1) == pytest.approx(1.4 / 4)
    assert exchange_rate(1.0, 4, 0.1) == pytest.approx(2.0 * 1.4 / 4)
    assert overhead_elasticity(0, 0.1, overhead=0.5) == 0.0


def test_a_longer_draft_lives_more_on_acceptance() -> None:
    values = acceptance_elasticity(0.8, np.arange(20))
    assert (np.diff(values) > 0).all()
    assert acceptance_elasticity(0.8, 5) == pytest.approx(1.868332, abs=1e-6)


@given(st.floats(0.05, 0.95), st.floats(0.01, 0.3))
def test_at_the_best_gamma_the_elasticity_is_that_of_the_best_speedup(
    alpha: float, c: float
) -> None:
    best = optimal_gamma(alpha, c)
    assume(best >= 0.5)
    h = 1e-5

    def top(a: float) -> float:
        return float(np.log(speedup(a, optimal_gamma(a, c), c)))

    slope = (top(alpha * np.exp(h)) - top(alpha * np.exp(-h))) / (2 * h)
    assert slope == pytest.approx(acceptance_elasticity(alpha, best), rel=1e-5)


@given(st.floats(0.1, 0.9), st.integers(1, 12), st.floats(0.001, 0.5))
def test_investments_are_speedups_compared_and_ordered(
    alpha: float, gamma: int, part: float
) -> None:
    table = investments(alpha, gamma, 0.08, verify_slope=0.02, overhead=0.1, improvement=part)
    assert list(table.values()) == sorted(table.values(), reverse=True)
    costs = {"cost_ratio": 0.08, "verify_slope": 0.02, "overhead": 0.1}
    base = tokens_per_round(alpha, gamma) / (1.1 + 0.1 * gamma)
    for name in costs:
        c = {**costs, name: costs[name] * (1 - part)}
        time = 1 + c["overhead"] + gamma * (c["cost_ratio"] + c["verify_slope"])
        new = tokens_per_round(alpha, gamma) / time
        assert table[name] == pytest.approx(new / base - 1, rel=1e-9, abs=1e-14)
    gains = {
        "acceptance": min(1.0, alpha * (1 + part)),
        "rejection": alpha + (1 - alpha) * part,
    }
    for name, value in gains.items():
        ratio = tokens_per_round(value, gamma) / tokens_per_round(alpha, gamma)
        assert table[name] == pytest.approx(ratio - 1, rel=1e-9, abs=1e-14)


def test_small_investments_gain_their_elasticity() -> None:
    table = investments(0.8, 5, 0.07, verify_slope=0.01, overhead=0.1, improvement=1e-6)
    assert table["acceptance"] / 1e-6 == pytest.approx(acceptance_elasticity(0.8, 5), rel=1e-5)
    cost = draft_cost_elasticity(5, 0.07, verify_slope=0.01, overhead=0.1)
    assert table["cost_ratio"] / 1e-6 == pytest.approx(-cost, rel=1e-5)


# --- energy and money -----------------------------------------------------------------------


@given(extras, extras, extras, extras, extras, extras, st.floats(0, 1))
@example(0.07, 0.03, 0.2, 0.3, 0.15, 0.4, 0.3)
def test_reduced_costs_of_energy_and_of_a_blend_divide_a_token_by_the_fixed_part(
    c: float, b: float, o: float, ed: float, eb: float, eo: float, w: float
) -> None:
    p = {"verify_slope": b, "overhead": o, "verify_energy": eb, "overhead_energy": eo}
    with mpmath.workdps(50):
        m = [mpmath.mpf(v) for v in (c, b, o, ed, eb, eo)]
        energy = (m[3] + m[4]) / (1 + m[5])

        def cost(g: int) -> Any:
            """The blended cost of a round with g draft tokens."""
            time, used = 1 + m[2], 1 + m[5]
            for _ in range(g):
                time, used = time + m[0] + m[1], used + m[3] + m[4]
            return (1 - mpmath.mpf(w)) * time + w * used

        blend = (cost(2) - cost(1)) / cost(0)
    assert abs(energy_slope(ed, eb, eo) - energy) <= 1e-14 * energy
    assert abs(blended_slope(c, ed, energy_weight=w, **p) - blend) <= 1e-13 * blend + 1e-30
    assert blended_slope(c, ed, energy_weight=0.0, **p) == pytest.approx(reduced_cost(c, b, o))
    assert blended_slope(c, ed, energy_weight=1.0, **p) == pytest.approx(energy_slope(ed, eb, eo))


@given(st.floats(0.05, 0.97), decades(-3, -0.3), st.floats(0, 0.3), st.floats(0, 0.3))
def test_best_gamma_for_energy_has_the_least_energy_per_token(
    alpha: float, ed: float, eb: float, eo: float
) -> None:
    best = optimal_gamma(alpha, energy_slope(ed, eb, eo))
    assume(best > 0)

    def energy(g: Any) -> Any:
        return (1 + eo + g * (ed + eb)) / tokens_per_round(alpha, g)

    scan = energy(np.linspace(0.01, 3 * best + 2, 2001))
    assert energy(best) <= scan.min() * (1 + 1e-12)


@given(st.floats(0.05, 0.97), decades(-3, -0.3), st.floats(1.0, 4.0), st.floats(0, 1))
def test_energy_wants_the_shorter_draft_where_its_share_is_larger(
    alpha: float, c: float, factor: float, w: float
) -> None:
    fast = optimal_gamma(alpha, c)
    frugal = optimal_gamma(alpha, energy_slope(c * factor))
    between = optimal_gamma(alpha, blended_slope(c, c * factor, energy_weight=w))
    assert frugal <= between + 1e-9
    assert between <= fast + 1e-9
