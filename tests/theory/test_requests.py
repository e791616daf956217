"""Requests of finite length: rounds, horizon, completion, spread between requests, latency."""

from __future__ import annotations

import functools
import itertools
from fractions import Fraction
from typing import Any

import mpmath
import numpy as np
import pytest
from exact import (
    RANDOM_PMF,
    at_digits,
    both,
    floats,
    fractions,
    masses,
    probabilities,
    relative_error,
)
from howspec.theory import DepthAcceptance, tokens_pmf
from howspec.theory.requests import distribution, length
from hypothesis import given, settings
from hypothesis import strategies as st

ALPHAS = st.one_of(st.sampled_from([0.0, 1e-12, 0.5, 1 - 1e-12, 1.0]), st.floats(0, 1))
INNER = st.floats(0.01, 0.99)


def walk_rounds(pmf: list[Fraction], tokens: int) -> list[Fraction]:
    """P(R = r), r = 0..tokens, by following every sequence of rounds to the end."""
    result = [Fraction(0)] * (tokens + 1)

    def follow(left: int, rounds: int, weight: Fraction) -> None:
        if left <= 0:
            result[rounds] += weight
            return
        for n, p in enumerate(pmf, start=1):
            if p:
                follow(left - n, rounds + 1, weight * p)

    follow(tokens, 0, Fraction(1))
    return result


# --- moments of a round ---------------------------------------------------------------------


@given(probabilities(), st.integers(0, 40))
def test_factorial_moments_are_sums_over_the_round_lengths(alpha: float, gamma: int) -> None:
    with mpmath.workdps(60):
        pmf = masses(mpmath.mpf(alpha), gamma)
        second = sum(n * (n - 1) * p for n, p in enumerate(pmf, start=1))
        third = sum(n * (n - 1) * (n - 2) * p for n, p in enumerate(pmf, start=1))
        point = {"alpha": alpha, "gamma": gamma}
        assert relative_error(length.factorial_moment_2(**point), second) < 1e-13
        assert relative_error(length.factorial_moment_3(**point), third) < 1e-13
        if 1e-9 < alpha < 1 - 1e-9 and gamma > 1:
            assert relative_error(at_digits(length.factorial_moment_2, **point), second) < 1e-15
            assert relative_error(at_digits(length.factorial_moment_3, **point), third) < 1e-15


def test_factorial_moments_broadcast() -> None:
    got = length.factorial_moment_2(np.array([[0.3], [1.0]]), np.array([0, 1, 4]))
    assert got.shape == (2, 3)
    assert got[1].tolist() == [0.0, 2.0, 20.0]
    assert got[0, 2] == length.factorial_moment_2(0.3, 4)


@given(ALPHAS, st.floats(0.5, 1.0), st.integers(0, 12))
@settings(max_examples=40)
def test_round_lengths_of_a_law_come_from_its_survival(
    alpha: float, decay: float, gamma: int
) -> None:
    law = DepthAcceptance(alpha, decay)
    pmf = distribution.round_length_pmf(law, gamma)
    reached = 1.0
    for k in range(gamma):
        rate = alpha * decay**k
        assert pmf[k] == pytest.approx(reached * (1 - rate), abs=1e-14)
        reached *= rate
    assert pmf[gamma] == pytest.approx(reached, abs=1e-14)
    moments = distribution.round_moments(pmf)
    if decay == 1.0:
        assert moments[1] == pytest.approx(length.factorial_moment_2(alpha, gamma), rel=1e-9)
        assert moments[2] == pytest.approx(length.factorial_moment_3(alpha, gamma), rel=1e-9)
    assert moments[0] == pytest.approx(law.survival(gamma).sum(), rel=1e-12)
    many = distribution.round_length_pmf(DepthAcceptance(np.full((3, 2), alpha), decay), gamma)
    assert many.shape == (3, 2, gamma + 1)


# --- rounds of a request --------------------------------------------------------------------


@given(RANDOM_PMF, st.integers(1, 9))
@settings(max_examples=40)
def test_distribution_and_moments_of_rounds_match_exact_enumeration(
    weights: list[int], tokens: int
) -> None:
    pmf = fractions(weights)
    exact = walk_rounds(pmf, tokens)
    got = distribution.rounds_pmf(floats(pmf), tokens)
    for p, q in zip(got, exact, strict=True):
        assert float(p) == pytest.approx(float(q), rel=1e-12, abs=1e-15)
    mean = sum(r * p for r, p in enumerate(exact))
    variance = sum((r - mean) ** 2 * p for r, p in enumerate(exact))
    got_mean, got_variance = distribution.rounds_moments(floats(pmf), tokens)
    assert float(got_mean) == pytest.approx(float(mean), rel=1e-12)
    assert float(got_variance) == pytest.approx(float(variance), rel=1e-11, abs=1e-14)
    # Wald: tokens made, the overshoot included, are rounds times the mean of a round.
    made = Fraction(0)

    def follow(left: int, weight: Fraction) -> None:
        nonlocal made
        for n, p in enumerate(pmf, start=1):
            made += weight * p * n
            if p and n < left:
                follow(left - n, weight * p)

    follow(tokens, Fraction(1))
    assert made == mean * sum(n * p for n, p in enumerate(pmf, start=1))


@functools.cache
def exact_moments(weights: tuple[int, ...], tokens: int) -> tuple[Any, Any]:
    """Mean and second moment of the rounds by the recursion on the first round, 60 digits."""
    if tokens <= 0:
        return mpmath.mpf(0), mpmath.mpf(0)
    mean = second = mpmath.mpf(1)
    for n, w in enumerate(weights, start=1):
        m, s = exact_moments(weights, tokens - n)
        p = mpmath.mpf(w) / sum(weights)
        mean, second = mean + p * m, second + p * (s + 2 * m)
    return mean, second


@pytest.mark.parametrize(
    "weights", [(3, 1), (1, 1, 1, 1), (2, 0, 0, 5), (4, 2, 1, 1, 6), (1, 0, 3)]
)
def test_expansions_meet_the_recursion_for_any_law_of_round_lengths(
    weights: tuple[int, ...],
) -> None:
    with mpmath.workdps(60):
        exact_moments.cache_clear()
        pmf = [mpmath.mpf(w) / sum(weights) for w in weights]
        mu = sum(n * p for n, p in enumerate(pmf, start=1))
        f2 = sum(n * (n - 1) * p for n, p in enumerate(pmf, start=1))
        f3 = sum(n * (n - 1) * (n - 2) * p for n, p in enumerate(pmf, start=1))
        for tokens in range(1, 601):  # build the recursion from below
            mean, second = exact_moments(weights, tokens)
        point = {"round_mean": mu, "round_factorial_2": f2}
        whole = {"length": 600, **point}
        variance = second - mean**2
        got = at_digits(length.rounds_mean, **whole)
        assert abs(got - mean) < 1e-10
        got = at_digits(length.rounds_variance, **whole, round_factorial_3=f3)
        assert abs(got - variance) < 1e-8
        past = mu * mean - 600
        assert abs(at_digits(length.overshoot, **point) - past) < 1e-9
        assert abs(at_digits(length.length_factor, **whole) - 600 / (mu * mean)) < 1e-12


@given(st.integers(1, 5000), INNER, st.integers(1, 30), st.floats(-4, 4))
def test_numeric_expansions_agree_with_their_definition(
    tokens: int, alpha: float, gamma: int, z: float
) -> None:
    pmf = [float(p) for p in masses(alpha, gamma)]
    m = [float(x) for x in distribution.round_moments(np.array(pmf))]
    with mpmath.workdps(60):
        mu, f2, f3 = map(mpmath.mpf, m)
        sigma2 = f2 + mu - mu * mu
        mean = tokens / mu + f2 / (2 * mu**2)
        constant = 5 * f2**2 / (4 * mu**4) - f2 / (2 * mu**2) - 2 * f3 / (3 * mu**3)
        point: dict[str, Any] = {"round_mean": m[0], "round_factorial_2": m[1]}
        both(length.overshoot, f2 / (2 * mu), point)
        whole = {"length": tokens, **point}
        both(length.rounds_mean, mean, whole)
        both(length.length_factor, tokens / (mu * mean), whole)
        quantile = mean + z * mpmath.sqrt(tokens * sigma2) / mu ** mpmath.mpf(1.5)
        point = {**whole, "normal_quantile": z}
        assert relative_error(at_digits(length.rounds_quantile_normal, **point), quantile) < 1e-15
        assert abs(length.rounds_quantile_normal(**point) - quantile) < 1e-10 * mean
        variance = tokens * sigma2 / mu**3 + constant
        point = {**whole, "round_factorial_3": m[2]}
        assert relative_error(at_digits(length.rounds_variance, **point), variance) < 1e-15
        scale = tokens * (f2 + mu * mu) / mu**3 + f2**2 / mu**4 + f3 / mu**3
        assert abs(length.rounds_variance(**point) - variance) < 1e-13 * scale


@pytest.mark.parametrize(("alpha", "gamma"), [(0.8, 8), (0.65, 4), (0.3, 2)])
def test_expansions_are_within_a_millionth_of_the_recursion_at_200_tokens(
    alpha: float, gamma: int
) -> None:
    pmf = tokens_pmf(alpha, gamma)
    mu, f2, f3 = distribution.round_moments(pmf)
    mean, variance = distribution.rounds_moments(pmf, 200)
    point = {"round_mean": mu, "round_factorial_2": f2}
    assert mean == pytest.approx(length.rounds_mean(200, **point), abs=1e-6)
    third = {"round_factorial_3": f3}
    assert variance == pytest.approx(length.rounds_variance(200, **point, **third), abs=1e-6)


@given(ALPHAS, st.integers(0, 8), st.integers(1, 60))
@settings(max_examples=40)
def test_rounds_stay_between_the_fewest_and_the_most(alpha: float, gamma: int, tokens: int) -> None:
    got = distribution.rounds_pmf(tokens_pmf(alpha, gamma), tokens)
    assert got.shape == (tokens + 1,)
    assert got.sum() == pytest.approx(1.0, abs=1e-12)
    assert (got >= 0.0).all()
    assert got[: -(-tokens // (gamma + 1))].sum() == 0.0
    mean, variance = distribution.rounds_moments(tokens_pmf(alpha, gamma), tokens)
    r = np.arange(tokens + 1)
    assert mean == pytest.approx(got @ r, rel=1e-10)
    assert variance == pytest.approx(got @ (r - mean) ** 2, abs=1e-9)
    if gamma == 0 or alpha == 0.0:
        assert got[tokens] == 1.0


def test_rounds_of_many_laws_are_walked_together() -> None:
    alphas = np.array([[0.2, 0.5, 0.7], [0.8, 0.9, 1.0]])
    pmf = tokens_pmf(alphas, 4)
    together = distribution.rounds_pmf(pmf, 30)
    mean, variance = distribution.rounds_moments(pmf, 30)
    assert together.shape == (2, 3, 31)
    for i, j in itertools.product(range(2), range(3)):
        np.testing.assert_allclose(
            together[i, j], distribution.rounds_pmf(pmf[i, j], 30), atol=1e-15
        )
        one = distribution.rounds_moments(pmf[i, j], 30)
        np.testing.assert_allclose((mean[i, j], variance[i, j]), one, rtol=1e-13)
    assert (
        np.diff([distribution.rounds_moments(pmf[0, 1], n)[0] for n in range(1, 40)]) >= 0
    ).all()


def test_quantiles_are_the_smallest_rounds_that_reach_the_probability() -> None:
    pmf = np.array([[0.0, 0.25, 0.5, 0.25], [0.0, 1.0, 0.0, 0.0]])
    asked = [0.0, 0.25, 0.2500001, 0.75, 1.0]
    got = distribution.rounds_quantile(pmf, asked)
    assert got.tolist() == [[0, 1, 2, 2, 3], [0, 1, 1, 1, 1]]
    assert distribution.rounds_quantile(pmf[0], 0.5) == 2
    # A sum a little short of 1 still has a last value.
    assert distribution.rounds_quantile(np.array([0.5, 0.5 - 1e-10]), 1.0) == 1


def test_normal_percentiles_are_within_a_round_at_256_tokens() -> None:
    for alpha, gamma in ((0.8, 5), (0.6, 3), (0.9, 8)):
        pmf = tokens_pmf(alpha, gamma)
        mu, f2, _ = distribution.round_moments(pmf)
        exact = distribution.rounds_quantile(distribution.rounds_pmf(pmf, 256), [0.05, 0.5, 0.95])
        point = {"round_mean": mu, "round_factorial_2": f2}
        z = np.array([-1.6448536269514722, 0.0, 1.6448536269514722])
        assert (np.abs(length.rounds_quantile_normal(256, z, **point) - exact) < 1.0).all()


def test_simulated_requests_follow_the_distribution_of_rounds() -> None:
    from scipy.stats import chisquare

    rng, law = np.random.default_rng(3), DepthAcceptance(0.85, 0.93)
    drawn = 1 + law.draw(rng, gamma=5, rounds=5_000 * 40).reshape(5_000, 40)
    rounds = (drawn.cumsum(axis=1) < 40).sum(axis=1) + 1
    exact = distribution.rounds_pmf(distribution.round_length_pmf(law, 5), 40)
    seen = np.bincount(rounds, minlength=41)
    big = exact * 5_000 >= 5.0
    seen = np.append(seen[big], seen[~big].sum())
    expected = np.append(exact[big], exact[~big].sum()) * 5_000
    assert chisquare(seen, expected * (seen.sum() / expected.sum())).pvalue > 1e-4
