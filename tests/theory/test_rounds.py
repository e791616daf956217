"""Tokens per round against the sums that define them."""

from __future__ import annotations

import mpmath
import numpy as np
import pytest
from exact import (
    EDGES,
    at_digits,
    counts,
    pmf_of_round,
    probabilities,
    relative_error,
    tokens_of_round,
)
from howspec.theory.rounds import (
    geometric_sum,
    tokens_generating_function,
    tokens_per_round,
    tokens_pmf,
    tokens_survival,
    tokens_variance,
)
from hypothesis import example, given
from hypothesis import strategies as st

inside = probabilities().filter(lambda a: 1e-30 < a < 1)


def variance_of_round(alpha: float, gamma: int) -> mpmath.mpf:
    """Var[N] as the mean squared deviation, with digits to spare for alpha near 0."""
    with mpmath.workdps(60 + (0 if alpha == 0 else max(0, int(-mpmath.log10(alpha))))):
        mean = tokens_of_round(alpha, gamma)
        masses = pmf_of_round(alpha, gamma)
        return +mpmath.fsum(p * (n - mean) ** 2 for n, p in enumerate(masses, start=1))


@given(probabilities(), counts(10_000))
@example(1 - 1e-15, 10_000)
@example(1 - 1e-4, 10_000)
@example(5e-324, 10_000)
def test_mean_tokens_equal_the_sum_of_the_survival(alpha: float, gamma: int) -> None:
    with mpmath.workdps(50):
        assert relative_error(tokens_per_round(alpha, gamma), tokens_of_round(alpha, gamma)) < 2e-15


@given(probabilities().filter(lambda a: a < 1), st.floats(0, 10_000))
def test_mean_tokens_at_a_real_gamma_equal_the_printed_quotient(alpha: float, gamma: float) -> None:
    with mpmath.workdps(50):
        a = mpmath.mpf(alpha)
        exact = (1 - a ** (mpmath.mpf(gamma) + 1)) / (1 - a)
        assert relative_error(tokens_per_round(alpha, gamma), exact) < 1e-14


@given(probabilities(), st.integers(0, 2_000))
@example(0.9999, 2_000)
@example(0.99976, 2_000)
def test_variance_equals_the_mean_squared_deviation(alpha: float, gamma: int) -> None:
    assert relative_error(tokens_variance(alpha, gamma), variance_of_round(alpha, gamma)) < 1e-12


@pytest.mark.parametrize("gamma", [1, 3, 9_999, 10_000])
@pytest.mark.parametrize("share", [0.1, 0.499, 0.501, 3.0, 40.0])
def test_variance_keeps_its_digits_where_the_series_meets_the_closed_form(
    gamma: int, share: float
) -> None:
    alpha = max(0.0, 1 - share / (gamma + 1))
    assert relative_error(tokens_variance(alpha, gamma), variance_of_round(alpha, gamma)) < 1e-12


@given(probabilities(), counts(3_000), probabilities())
@example(1 - 4e-6, 10_000, 1 - 9e-4)
def test_generating_function_equals_the_mean_of_z_to_the_n(
    alpha: float, gamma: int, z: float
) -> None:
    with mpmath.workdps(50):
        power, exact = mpmath.mpf(1), mpmath.mpf(0)
        for mass in pmf_of_round(alpha, gamma):
            power *= mpmath.mpf(z)
            exact += mass * power
        got = tokens_generating_function(alpha, gamma, z)
        assert relative_error(got, exact) < 1e-12
        assert 0 <= got <= 1


@given(probabilities(), st.integers(0, 3_000))
def test_masses_equal_the_walk_through_the_round_and_sum_to_one(alpha: float, gamma: int) -> None:
    got = tokens_pmf(alpha, gamma)
    with mpmath.workdps(50):
        exact = pmf_of_round(alpha, gamma)
        assert got.shape == (gamma + 1,)
        for n in {0, gamma // 2, max(0, gamma - 1), gamma}:
            assert relative_error(got[n], exact[n]) < 1e-12
    assert got.sum() == pytest.approx(1, abs=1e-12)


@given(probabilities(), st.integers(0, 40), st.integers(0, 40))
def test_survival_is_the_upper_tail_of_the_masses(alpha: float, gamma: int, n: int) -> None:
    n = min(n, gamma)
    with mpmath.workdps(50):
        exact = mpmath.fsum(pmf_of_round(alpha, gamma)[n:])
        assert relative_error(tokens_survival(alpha, n), exact) < 1e-12


@given(inside, counts(200), inside)
def test_printed_expressions_equal_the_sums(alpha: float, gamma: int, z: float) -> None:
    with mpmath.workdps(60):
        masses = pmf_of_round(alpha, gamma)
        tokens = mpmath.fsum(n * p for n, p in enumerate(masses, start=1))
        tail = mpmath.fsum(masses[min(3, gamma) :])
        transform = mpmath.fsum(mpmath.mpf(z) ** n * p for n, p in enumerate(masses, start=1))
        assert (
            relative_error(at_digits(tokens_per_round, 90, alpha=alpha, gamma=gamma), tokens)
            < 1e-15
        )
        assert (
            relative_error(at_digits(tokens_survival, 90, alpha=alpha, n=min(3, gamma)), tail)
            < 1e-15
        )
        got = at_digits(tokens_generating_function, 90, alpha=alpha, gamma=gamma, z=z)
        assert relative_error(got, transform) < 1e-15
    exact = variance_of_round(alpha, gamma)
    assert relative_error(at_digits(tokens_variance, 160, alpha=alpha, gamma=gamma), exact) < 1e-15


@pytest.mark.parametrize("gamma", range(6))
def test_moments_follow_from_the_generating_function(gamma: int) -> None:
    import sympy

    alpha, z = sympy.symbols("alpha z", positive=True)
    masses = [(1 - alpha) * alpha ** (n - 1) for n in range(1, gamma + 1)] + [alpha**gamma]
    transform = sum(p * z**n for n, p in enumerate(masses, start=1))
    first = sympy.diff(transform, z).subs(z, 1)
    second = sympy.diff(transform, z, 2).subs(z, 1)
    assert sympy.cancel(tokens_generating_function(alpha, gamma, z) - transform) == 0
    assert sympy.cancel(tokens_per_round(alpha, gamma) - first) == 0
    assert sympy.cancel(tokens_variance(alpha, gamma) - (second + first - first**2)) == 0


@pytest.mark.parametrize("gamma", [0, 1, 7, 10_000])
def test_limits_are_written_out(gamma: int) -> None:
    assert tokens_per_round(1, gamma) == gamma + 1
    assert tokens_per_round(0, gamma) == 1
    assert tokens_variance(1, gamma) == tokens_variance(0, gamma) == 0
    assert tokens_generating_function(0.7, gamma, 1) == pytest.approx(1, abs=1e-13)
    assert tokens_generating_function(0.7, gamma, 0) == 0
    assert tokens_generating_function(1, gamma, 0.9) == pytest.approx(0.9 ** (gamma + 1), rel=1e-12)


def test_one_term_sums_to_exactly_one_whatever_the_ratio() -> None:
    ratios = np.random.default_rng(3).random(10_000)
    assert (tokens_per_round(ratios, 0) == 1).all()
    assert (geometric_sum(ratios, np.zeros(1)) == 0).all()


def test_long_drafts_approach_the_mean_and_variance_of_a_geometric_number() -> None:
    alpha = np.linspace(0, 0.95, 20)
    np.testing.assert_allclose(tokens_per_round(alpha, 5_000), 1 / (1 - alpha), rtol=1e-13)
    np.testing.assert_allclose(tokens_variance(alpha, 5_000), alpha / (1 - alpha) ** 2, rtol=1e-12)


@given(probabilities(), probabilities(), st.integers(0, 500))
def test_tokens_stay_in_their_bounds_and_rise_in_alpha_and_gamma(
    alpha: float, other: float, gamma: int
) -> None:
    low, high = sorted((alpha, other))
    mean = tokens_per_round(low, gamma)
    assert 1 <= mean <= gamma + 1
    assert mean <= tokens_per_round(high, gamma) * (1 + 1e-15)
    more, most = tokens_per_round(low, gamma + 1), tokens_per_round(low, gamma + 2)
    assert mean <= more * (1 + 1e-15)
    assert most - more <= (more - mean) + 2e-15 * most, "each further draft token adds less"
    assert 0 <= tokens_variance(low, gamma) <= gamma**2 / 4 * (1 + 1e-12) + 1e-300


def test_nothing_is_nan_or_warns_over_the_whole_domain() -> None:
    alpha = np.array(EDGES)[:, None, None]
    gamma = np.array([0, 1, 2, 33, 1e4, 1e9, 1e160, 1e308])[:, None]
    z = np.array(EDGES)
    assert np.isfinite(tokens_per_round(alpha, gamma)).all()
    assert np.isfinite(tokens_variance(alpha, gamma)).all()
    assert np.isfinite(tokens_survival(alpha, gamma)).all()
    assert np.isfinite(tokens_generating_function(alpha, gamma, z)).all()


def test_arrays_broadcast_and_scalars_come_back_as_floats() -> None:
    assert tokens_per_round([[0.1], [0.2]], [1, 2, 3]).shape == (2, 3)
    assert tokens_pmf([0.1, 0.2], 4).shape == (2, 5)
    assert type(tokens_per_round(0.5, 2)) is float
    assert type(tokens_variance(0.5, 2)) is float
    assert tokens_per_round([], 2).shape == (0,)
