"""Requests side by side: the last of a batch, requests that differ, what a user sees."""

from __future__ import annotations

import functools
import itertools
from fractions import Fraction

import mpmath
import numpy as np
import pytest
from exact import (
    RANDOM_PMF,
    at_digits,
    both,
    decades,
    exactly,
    floats,
    fractions,
    masses,
    probabilities,
    relative_error,
)
from howspec.theory import tokens_pmf
from howspec.theory.requests import distribution, latency, length
from hypothesis import given, settings
from hypothesis import strategies as st


@given(st.integers(0, 16), st.integers(0, 4), st.integers(1, 4))
@settings(max_examples=40)
def test_shortest_and_longest_round_of_a_batch_match_enumeration(
    eighths: int, gamma: int, rows: int
) -> None:
    alpha = Fraction(eighths, 16)
    pmf = masses(alpha, gamma)
    low = high = Fraction(0)
    for lengths in itertools.product(range(1, gamma + 2), repeat=rows):
        weight = functools.reduce(lambda w, n: w * pmf[n - 1], lengths, Fraction(1))
        low, high = low + weight * min(lengths), high + weight * max(lengths)
    point = {"alpha": float(alpha), "gamma": gamma, "batch": rows}
    for function, exact in (
        (distribution.lockstep_tokens, low),
        (distribution.longest_round, high),
    ):
        reference = mpmath.mpf(exact.numerator) / exact.denominator
        assert relative_error(function(**point), reference) < 1e-12
        if 0 < eighths < 16:
            assert relative_error(exactly(function, **point), reference) < 1e-15


@given(probabilities(), st.integers(0, 30), st.integers(1, 300))
def test_batch_rounds_keep_their_digits_everywhere(alpha: float, gamma: int, rows: int) -> None:
    with mpmath.workdps(400):
        a = mpmath.mpf(alpha)
        low = sum((a**rows) ** n for n in range(gamma + 1))
        high = sum(1 - (1 - a**n) ** rows for n in range(gamma + 1))
    assert relative_error(distribution.lockstep_tokens(alpha, gamma, rows), low) < 1e-12
    assert relative_error(distribution.longest_round(alpha, gamma, rows), high) < 1e-12


@given(RANDOM_PMF, RANDOM_PMF, st.integers(1, 5))
@settings(max_examples=40)
def test_last_of_a_batch_is_the_maximum_of_its_sequences(
    first: list[int], second: list[int], rows: int
) -> None:
    size = max(len(first), len(second))
    laws = [fractions(w + [0] * (size - len(w))) for w in (first, second)]
    exact = [Fraction(0)] * size
    for (i, p), (j, q) in itertools.product(*(enumerate(law) for law in laws)):
        exact[max(i, j)] += p * q
    stacked = np.array([floats(law) for law in laws])
    mean = float(sum(r * p for r, p in enumerate(exact)))
    assert distribution.completion_rounds(stacked) == pytest.approx(mean, rel=1e-12, abs=1e-15)
    cumulative = list(itertools.accumulate(laws[0]))
    mean = float(sum(1 - c**rows for c in cumulative))
    got = distribution.completion_rounds(stacked[0], rows)
    assert got == pytest.approx(mean, rel=1e-12, abs=1e-15)
    assert distribution.completion_rounds(stacked[0], 1) == pytest.approx(
        stacked[0] @ np.arange(size), rel=1e-12, abs=1e-15
    )


def beta_moment(a: Fraction, b: Fraction, ups: int, downs: int) -> Fraction:
    """E[alpha^ups (1 - alpha)^downs] of Beta(a, b)."""
    value = Fraction(1)
    for i in range(ups):
        value *= (a + i) / (a + b + i)
    for j in range(downs):
        value *= (b + j) / (a + b + ups + j)
    return value


@pytest.mark.parametrize(("a", "b"), [(8, 2), (1, 1), (Fraction(1, 2), Fraction(3, 4)), (30, 20)])
@pytest.mark.parametrize("tokens", [1, 2, 7])
def test_mixed_rounds_of_long_drafts_match_enumeration_over_the_beta_law(
    a: Fraction, b: Fraction, tokens: int
) -> None:
    a, b = Fraction(a), Fraction(b)
    exact = [Fraction(0)] * (tokens + 1)
    for accepted in itertools.product((True, False), repeat=tokens - 1):  # after each token
        rounds = 1 + accepted.count(False)
        exact[rounds] += beta_moment(a, b, accepted.count(True), rounds - 1)
    mean = sum(r * p for r, p in enumerate(exact))
    variance = sum((r - mean) ** 2 * p for r, p in enumerate(exact))
    point = {"length": tokens, "request_beta_a": float(a), "request_beta_b": float(b)}
    as_mp = [mpmath.mpf(x.numerator) / x.denominator for x in (mean, variance)]
    both(length.mixed_rounds_mean, as_mp[0], point)
    both(length.mixed_rounds_variance, as_mp[1], point)
    mix = length.RequestMix.beta(float(a), float(b), nodes=24)
    got = mix.rounds_pmf(tokens + 3, tokens)
    np.testing.assert_allclose(got, floats(exact), atol=1e-13)
    within, between = mix.rounds_variance(tokens + 3, tokens)
    assert within + between == pytest.approx(float(variance), rel=1e-11, abs=1e-13)
    r = np.arange(tokens + 1)
    assert got @ r == pytest.approx(float(mean), rel=1e-12)


def test_mixed_rounds_of_short_drafts_match_enumeration_over_the_beta_law() -> None:
    a, b, gamma, tokens = Fraction(5, 2), Fraction(4, 3), 2, 7
    exact = [Fraction(0)] * (tokens + 1)

    def follow(left: int, rounds: int, ups: int, downs: int) -> None:
        if left <= 0:
            exact[rounds] += beta_moment(a, b, ups, downs)
            return
        for accepted in range(gamma):
            follow(left - accepted - 1, rounds + 1, ups + accepted, downs + 1)
        follow(left - gamma - 1, rounds + 1, ups + gamma, downs)

    follow(tokens, 0, 0, 0)
    assert sum(exact) == 1
    mix = length.RequestMix.beta(float(a), float(b), nodes=16)
    np.testing.assert_allclose(mix.rounds_pmf(gamma, tokens), floats(exact), atol=1e-13)


@given(decades(-1, 3), decades(-1, 3), st.integers(1, 40))
@settings(max_examples=40)
def test_gauss_nodes_integrate_every_low_power_under_the_beta_law(
    a: float, b: float, nodes: int
) -> None:
    mix = length.RequestMix.beta(a, b, nodes=nodes)
    alpha, weight = np.asarray(mix.alpha), mix.weights
    assert ((alpha >= 0) & (alpha <= 1)).all()
    assert weight.sum() == pytest.approx(1.0, abs=1e-12)
    for power in (1, 2, 2 * nodes - 1):
        if power < 2 * nodes:
            exact = float(beta_moment(Fraction(a), Fraction(b), power, 0))
            assert weight @ alpha**power == pytest.approx(exact, rel=1e-9, abs=1e-12)


def test_total_variance_is_that_of_the_mixture_and_grows_with_the_square_of_length() -> None:
    mix = length.RequestMix([0.4, 0.7, 0.9], [0.2, 0.5, 0.3])
    r = np.arange(81)
    mixed = mix.rounds_pmf(4, 80)
    mean = mixed @ r
    within, between = mix.rounds_variance(4, 80)
    assert within + between == pytest.approx(mixed @ (r - mean) ** 2, rel=1e-10)
    assert mix.rounds_variance(4, 320)[1] / between == pytest.approx(16, rel=0.02)
    assert mix.rounds_variance(4, 320)[0] / within == pytest.approx(4, rel=0.05)
    same = length.RequestMix([0.7, 0.7])
    np.testing.assert_allclose(
        same.rounds_pmf(4, 80), distribution.rounds_pmf(tokens_pmf(0.7, 4), 80), atol=1e-15
    )
    assert same.rounds_variance(4, 80)[1] == pytest.approx(0.0, abs=1e-20)
    tails = distribution.rounds_quantile(mixed, [0.05, 0.95])
    alone = distribution.rounds_quantile(
        distribution.rounds_pmf(tokens_pmf(0.7, 4), 80), [0.05, 0.95]
    )
    assert tails[0] < alone[0]
    assert tails[1] > alone[1]


@given(st.floats(0, 1), decades(-2, 3), st.one_of(st.just(0.0), decades(-3, 1)), decades(-3, 1))
def test_whole_requests_are_sped_up_by_the_ratio_of_their_times(
    share: float, decode: float, ratio: float, prefill: float
) -> None:
    with mpmath.workdps(50):
        f, s, d, t = map(mpmath.mpf, (share, decode, ratio, prefill))
        rest = (1 - f) + (1 - f) * d
        exact = ((1 - f) + f) / (rest + f / s)
        point = {"decode_share": share, "decode_speedup": decode, "prefill_ratio": ratio}
        both(latency.end_to_end_speedup, exact, point)
        point = {"prefill_time": prefill, "prefill_ratio": ratio}
        both(latency.first_token_time, t + t * d, point)
    assert latency.end_to_end_speedup(1.0, decode) == pytest.approx(decode, rel=1e-14)
    assert latency.end_to_end_speedup(0.0, decode) == 1.0


@given(RANDOM_PMF, decades(-3, 0))
def test_gaps_of_a_stream_are_zero_within_a_round_and_one_round_at_its_end(
    weights: list[int], time: float
) -> None:
    pmf = fractions(weights)
    mu = sum(n * p for n, p in enumerate(pmf, start=1))
    # Of the n gaps of a round of n tokens, n - 1 are zero and one is a round long.
    zero = sum((n - 1) * p for n, p in enumerate(pmf, start=1)) / mu
    t = Fraction(time)
    mean = (1 - zero) * t
    variance = zero * mean**2 + (1 - zero) * (t - mean) ** 2
    mu_float = float(mu)
    with mpmath.workdps(50):
        exact = [mpmath.mpf(x.numerator) / x.denominator for x in (zero, mean, variance)]
        point = {"round_mean": mu_float}
        clock = {"round_mean": mu_float, "round_time": time}
        for function, want, values in (
            (latency.gap_zero_probability, exact[0], point),
            (latency.gap_mean, exact[1], clock),
            (latency.gap_variance, exact[2], clock),
        ):
            got = function(**values)
            assert got == pytest.approx(float(want), rel=1e-11, abs=1e-16)
            assert float(at_digits(function, **values)) == pytest.approx(
                float(want), rel=1e-11, abs=1e-16
            )
