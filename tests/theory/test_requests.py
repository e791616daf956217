"""Requests of finite length: rounds, horizon, completion, spread between requests, latency."""

from __future__ import annotations

import functools
import itertools
from fractions import Fraction
from typing import Any

import mpmath
import numpy as np
import pytest
from exact import at_digits, both, decades, exactly, probabilities, relative_error
from howspec.theory import AffineCost, DepthAcceptance, speedup, tokens_pmf
from howspec.theory.acceptance import AcceptanceLaw, BetaRequestAcceptance, MarkovAcceptance
from howspec.theory.costs.choose import choose_gamma
from howspec.theory.costs.law import SequentialDraftCost
from howspec.theory.costs.passes import LinearPass
from howspec.theory.costs.uneven import StaircasePass
from howspec.theory.requests import distribution, horizon, latency, length
from howspec.theory.requests.latency import request_latency
from hypothesis import given, settings
from hypothesis import strategies as st

ALPHAS = st.one_of(st.sampled_from([0.0, 1e-12, 0.5, 1 - 1e-12, 1.0]), st.floats(0, 1))
INNER = st.floats(0.01, 0.99)


def masses(alpha: Any, gamma: int) -> list[Any]:
    """P(N = n), n = 1..gamma + 1, in the number type of alpha."""
    return [alpha**n * (1 - alpha) for n in range(gamma)] + [alpha**gamma]


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


RANDOM_PMF = st.lists(st.integers(0, 20), min_size=1, max_size=5).filter(sum)


def fractions(weights: list[int]) -> list[Fraction]:
    return [Fraction(w, sum(weights)) for w in weights]


def floats(pmf: list[Fraction]) -> Any:
    return np.array([float(p) for p in pmf])


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


# --- horizon --------------------------------------------------------------------------------


def best_time(pmf_of: Any, times: list[Fraction], left: int) -> list[tuple[int, Fraction]]:
    """(best gamma, least time) for 0..left tokens to go, from the definition, in fractions."""
    table = [(0, Fraction(0))]
    for r in range(1, left + 1):
        options = []
        for gamma in range(min(len(times), r)):
            rest = sum(p * table[max(r - n, 0)][1] for n, p in enumerate(pmf_of(gamma), start=1))
            options.append((times[gamma] + rest, gamma))
        value, gamma = min(options)
        table.append((gamma, value))
    return table


@given(st.integers(0, 64), st.integers(0, 32), st.integers(1, 12))
@settings(max_examples=30)
def test_plan_is_the_cheapest_of_all_plans(eighths: int, cost: int, tokens: int) -> None:
    alpha, ratio = Fraction(eighths, 64), Fraction(cost, 64)
    times = [1 + g * ratio for g in range(7)]
    exact = best_time(lambda g: masses(alpha, g), times, tokens)
    law = AffineCost(float(ratio))
    plan = horizon.plan_horizon(DepthAcceptance(float(alpha)), law, length=tokens, gamma_max=6)
    np.testing.assert_allclose(plan.time, [float(v) for _, v in exact], rtol=1e-12)
    held = []
    for gamma in range(7):
        value = [Fraction(0)]
        for r in range(1, tokens + 1):
            g = min(gamma, r - 1)
            rest = sum(p * value[max(r - n, 0)] for n, p in enumerate(masses(alpha, g), start=1))
            value.append(times[g] + rest)
        got = horizon.request_time(DepthAcceptance(float(alpha)), law, gamma=gamma, length=tokens)
        np.testing.assert_allclose(got, [float(v) for v in value], rtol=1e-12)
        long = [Fraction(0)]
        for r in range(1, tokens + 1):
            pmf = masses(alpha, gamma)
            rest = sum(p * long[max(r - n, 0)] for n, p in enumerate(pmf, start=1))
            long.append(times[gamma] + rest)
        got = horizon.request_time(
            DepthAcceptance(float(alpha)), law, gamma=gamma, length=tokens, shorten=False
        )
        np.testing.assert_allclose(got, [float(v) for v in long], rtol=1e-12)
        held.append(value[-1])
    assert plan.constant_time[-1] == pytest.approx(float(min(held)), rel=1e-12)
    assert held[plan.constant] == pytest.approx(float(min(held)), rel=1e-12)
    assert plan.saving[-1] == pytest.approx(1 - float(exact[-1][1] / min(held)), abs=1e-12)
    assert plan.speedup[-1] == pytest.approx(float(tokens / exact[-1][1]), rel=1e-12)
    assert (plan.gamma[0], plan.saving[0], plan.speedup[0]) == (0, 0.0, 1.0)


def test_time_of_rounds_that_are_not_shortened_is_rounds_times_round_time() -> None:
    law, cost = DepthAcceptance(0.8, 0.95), AffineCost(0.05, 0.01, 0.1)
    got = horizon.request_time(law, cost, gamma=4, length=50, shorten=False)
    mean, _ = distribution.rounds_moments(distribution.round_length_pmf(law, 4), 50)
    assert got[50] == pytest.approx(mean * cost.round_time(4)[4], rel=1e-12)


def test_plan_of_a_known_case_and_its_long_run() -> None:
    law, cost = DepthAcceptance(0.8), AffineCost(0.05)
    plan = horizon.plan_horizon(law, cost, length=400, gamma_max=16)
    assert plan.gamma[:13].tolist() == [0, 0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 7]
    assert plan.gamma[400] == plan.constant == choose_gamma(law, cost).gamma == 8
    per_token = plan.time[400] - plan.time[399]
    assert 1 / per_token == pytest.approx(speedup(0.8, 8, 0.05), rel=1e-6)
    assert plan.saving[16] == pytest.approx(0.0112, abs=0.02)
    assert 0.0 < plan.saving[400] < plan.saving[16]


def test_plans_broadcast_over_posterior_samples_and_take_any_cost() -> None:
    alphas = np.array([0.3, 0.6, 0.9])
    law = DepthAcceptance(alphas, 0.97)
    cost = SequentialDraftCost(StaircasePass(LinearPass(0.6, 0.1), tile=4), LinearPass(0.02))
    together = horizon.plan_horizon(law, cost, length=30, gamma_max=12)
    assert together.gamma.shape == together.time.shape == (3, 31)
    assert together.constant.shape == (3,)
    for i, a in enumerate(alphas):
        one = horizon.plan_horizon(DepthAcceptance(a, 0.97), cost, length=30, gamma_max=12)
        np.testing.assert_allclose(together.time[i], one.time, rtol=1e-13)
        np.testing.assert_array_equal(together.gamma[i], one.gamma)
        np.testing.assert_allclose(together.constant_time[i], one.constant_time, rtol=1e-13)
    assert (together.time <= together.constant_time + 1e-12).all()
    assert (together.time <= together.plain_time + 1e-12).all()


@pytest.mark.parametrize(("rate", "prefill"), [(0.0, 0.4), (2.0, 0.0), (2.0, 0.05), (5.0, 0.02)])
def test_request_latency_is_that_of_an_engine_run_round_by_round(
    rate: float, prefill: float
) -> None:
    alpha, gamma, size, count = 0.8, 4, 24, 6000
    fixed, row = 0.01, 0.002
    times: dict[str, Any] = {
        "context": 0.0, "step_fixed": fixed, "step_per_token": row / (gamma + 1),
        "step_per_cached": 0.0,
    }  # fmt: skip
    rng = np.random.default_rng(8)
    gaps = rng.exponential(1.0 / rate, count) if rate else np.full(count, 1e3)
    arrival, clock, upcoming = np.cumsum(gaps), 0.0, 0
    left: list[list[float]] = []  # (tokens to go, arrival)
    latency = []
    while len(latency) < count:
        while upcoming < count and arrival[upcoming] <= clock:
            clock += prefill  # prompts one at a time, while rounds wait
            left.append([size, arrival[upcoming]])
            upcoming += 1
        if not left:
            clock = arrival[upcoming]
            continue
        clock += fixed + row * len(left)
        kept = rng.random((len(left), gamma)) < alpha
        for item, got in zip(left, 1 + np.cumprod(kept, axis=1).sum(axis=1), strict=True):
            item[0] -= got
        latency += [clock - item[1] for item in left if item[0] <= 0]
        left = [item for item in left if item[0] > 0]
    means = np.array(latency[500:5500]).reshape(20, -1).mean(axis=1)
    error = means.std(ddof=1) / 20**0.5
    exact = request_latency(
        alpha, gamma, rate, length=size, prefill_time=prefill, request_overhead=0.0, **times
    )
    assert abs(means.mean() - exact) < 4 * error + 0.02 * exact


def test_request_latency_adds_what_load_does_not_change_and_ends_at_the_capacity() -> None:
    times: dict[str, Any] = {
        "context": 500, "step_fixed": 7e-3, "step_per_token": 2e-5, "step_per_cached": 4e-8,
    }  # fmt: skip
    one, more = (
        request_latency(0.9, 6, 3.0, length=200, request_overhead=d, **times) for d in (0.0, 0.5)
    )
    assert more - one == pytest.approx(0.5)
    assert request_latency(0.9, 6, 1e6, length=200, **times) == np.inf
    assert request_latency(0.9, 6, 30.0, length=200, prefill_time=0.04, **times) == np.inf
    free = {**times, "context": 0, "step_per_token": 0.0}  # no cost of a further sequence
    tiny = {**times, "context": 0, "step_per_token": 1e-12}
    got = [request_latency(0.9, 6, 3.0, length=200, **t) for t in (free, tiny)]
    assert got[0] == pytest.approx(got[1], rel=1e-6)


@pytest.mark.parametrize(
    "law", [MarkovAcceptance(0.95, 0.1), BetaRequestAcceptance(2.0, 1.0), DepthAcceptance(0.8)]
)
def test_plan_never_loses_against_a_gamma_held_throughout(law: AcceptanceLaw) -> None:
    plan = horizon.plan_horizon(law, AffineCost(0.1), length=60, gamma_max=8)
    held = [horizon.request_time(law, AffineCost(0.1), gamma=g, length=60)[-1] for g in range(9)]
    assert plan.constant_time[-1] == pytest.approx(min(held), rel=1e-12)
    assert 0.0 <= plan.saving[-1] < 0.02
    long_run = choose_gamma(law, AffineCost(0.1), gamma_max=8)
    assert abs(int(plan.constant) - int(long_run.gamma)) <= 1
    # Renewal: the time per token far from the end is that of the best gamma.
    assert plan.time[-1] - plan.time[-11] == pytest.approx(10 / long_run.speedup, rel=0.01)


@given(st.floats(0, 1), decades(-3, 0), decades(-3, 0), st.floats(0, 0.5))
def test_last_two_tokens_are_worth_a_draft_where_acceptance_exceeds_its_cost(
    alpha: float, ratio: float, slope: float, extra: float
) -> None:
    with mpmath.workdps(50):
        a, c, b, o = map(mpmath.mpf, (alpha, ratio, slope, extra))
        point = {"alpha": alpha, "cost_ratio": ratio, "verify_slope": slope, "overhead": extra}
        drafted = (1 + c + b + o) + (1 - a) * 1
        both(horizon.time_of_two, min(mpmath.mpf(2), drafted), point)
    plan = horizon.plan_horizon(
        DepthAcceptance(alpha), AffineCost(ratio, slope, extra), length=2, gamma_max=3
    )
    assert plan.time[2] == pytest.approx(horizon.time_of_two(**point), rel=1e-13)
    if abs(alpha - ratio - slope - extra) > 1e-9:
        assert plan.gamma[2] == (alpha > ratio + slope + extra)


# --- completion -----------------------------------------------------------------------------


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


# --- requests that differ -------------------------------------------------------------------


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


# --- what a user sees -----------------------------------------------------------------------


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
