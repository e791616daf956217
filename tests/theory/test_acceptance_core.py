"""Acceptance that changes with depth, against products taken at 50 digits."""

from __future__ import annotations

import mpmath
import numpy as np
import pytest
from exact import at_digits, decades, probabilities, relative_error, tokens_of_round
from howspec.theory.acceptance.law import (
    AcceptanceLaw,
    DepthAcceptance,
    conditional_rate,
    count_accepted,
    tokens_by_gamma,
)
from hypothesis import example, given
from hypothesis import strategies as st
from scipy import stats

decays = st.one_of(st.just(1.0), st.floats(0.5, 1.5), decades(-300, 300))


def rate(alpha: float, decay: float, position: int) -> mpmath.mpf:
    """alpha, multiplied by the decay once for each further position, at most 1."""
    value = mpmath.mpf(alpha)
    for _ in range(position - 1):
        value *= mpmath.mpf(decay)
    return min(mpmath.mpf(1), value)


@given(probabilities(), decays, st.integers(1, 200))
@example(5e-324, 1e300, 2)
@example(5e-324, 1e155, 3)
@example(1e-310, 1e200, 3)
@example(0.0, 1e300, 9)
def test_conditional_rate_equals_repeated_multiplication(
    alpha: float, decay: float, position: int
) -> None:
    with mpmath.workdps(50):
        exact = rate(alpha, decay, position)
        assert relative_error(conditional_rate(alpha, decay, position), exact) < 1e-12
        printed = at_digits(conditional_rate, alpha=alpha, decay=decay, position=position)
        assert relative_error(printed, exact) < 1e-15


@given(probabilities(), st.floats(0.5, 1.5), st.integers(0, 60))
def test_survival_is_the_product_of_the_rates_and_tokens_their_sum(
    alpha: float, decay: float, gamma: int
) -> None:
    law = DepthAcceptance(alpha, decay)
    survival, tokens = law.survival(gamma), tokens_by_gamma(law, gamma)
    assert survival.shape == tokens.shape == (gamma + 1,)
    with mpmath.workdps(50):
        product, total = mpmath.mpf(1), mpmath.mpf(1)
        assert survival[0] == tokens[0] == 1
        for k in range(1, gamma + 1):
            product *= rate(alpha, decay, k)
            total += product
            assert relative_error(survival[k], product) < 1e-12 or product < 1e-300
            assert relative_error(tokens[k], total) < 1e-13


@given(probabilities(), st.integers(0, 300))
def test_without_decay_the_law_is_independent_acceptance(alpha: float, gamma: int) -> None:
    with mpmath.workdps(50):
        got = tokens_by_gamma(DepthAcceptance(alpha), gamma)[gamma]
        assert relative_error(got, tokens_of_round(alpha, gamma)) < 1e-13


@given(probabilities(), st.floats(0.3, 3.0), st.floats(0.3, 3.0), st.integers(1, 30))
def test_survival_falls_with_depth_and_rises_with_both_parameters(
    alpha: float, decay: float, other: float, gamma: int
) -> None:
    low, high = sorted((decay, other))
    survival = DepthAcceptance(alpha, low).survival(gamma)
    assert (np.diff(survival) <= 0).all()
    assert ((survival >= 0) & (survival <= 1)).all()
    assert (survival <= DepthAcceptance(alpha, high).survival(gamma) * (1 + 1e-12) + 1e-300).all()
    assert (DepthAcceptance(alpha / 2, low).survival(gamma) <= survival).all()
    np.testing.assert_array_equal(DepthAcceptance(alpha, low).survival(gamma - 1), survival[:-1])


def test_arrays_of_parameters_are_laws_side_by_side() -> None:
    alpha, decay = np.array([[0.3], [0.9]]), np.array([0.8, 1.0, 1.2])
    law = DepthAcceptance(alpha, decay)
    assert law.shape == (2, 3)
    assert isinstance(law, AcceptanceLaw)
    many = law.survival(5)
    assert many.shape == (2, 3, 6)
    for i in range(2):
        for j in range(3):
            one = DepthAcceptance(float(alpha[i, 0]), float(decay[j]))
            np.testing.assert_array_equal(many[i, j], one.survival(5))
    assert tokens_by_gamma(law, 5).shape == (2, 3, 6)
    assert DepthAcceptance(0.5).shape == ()


@pytest.mark.parametrize(("alpha", "decay"), [(0.8, 1.0), (0.9, 0.8), (0.5, 1.3)])
def test_draws_follow_the_survival(alpha: float, decay: float) -> None:
    law, gamma, rounds = DepthAcceptance(alpha, decay), 5, 200_000
    accepted = law.draw(np.random.default_rng(7), gamma=gamma, rounds=rounds)
    assert accepted.shape == (rounds,)
    assert accepted.dtype == np.int64
    masses = -np.diff(np.append(law.survival(gamma), 0.0))
    counts = np.bincount(accepted, minlength=gamma + 1)
    seen = masses > 0
    assert counts[~seen].sum() == 0
    assert stats.chisquare(counts[seen], rounds * masses[seen]).pvalue > 1e-4


def test_accepted_tokens_are_counted_up_to_the_first_rejection() -> None:
    table = np.array([[1, 1, 1], [1, 0, 1], [0, 1, 1], [0, 0, 0]], bool)
    assert count_accepted(table).tolist() == [3, 1, 0, 0]
    assert count_accepted(np.ones((2, 0), bool)).tolist() == [0, 0]
    law = DepthAcceptance(0.5)
    assert law.draw(np.random.default_rng(1), gamma=0, rounds=3).tolist() == [0, 0, 0]


def test_a_rate_of_scalars_is_a_float() -> None:
    assert type(conditional_rate(0.8, 0.9, 2)) is float
    assert conditional_rate([0.8, 0.9], 0.9, 2).shape == (2,)
