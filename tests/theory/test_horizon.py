"""The plan for the tokens that remain, and the latency of requests under load."""

from __future__ import annotations

from fractions import Fraction
from typing import Any

import mpmath
import numpy as np
import pytest
from exact import both, decades, masses
from howspec.theory import AffineCost, DepthAcceptance, speedup
from howspec.theory.acceptance import AcceptanceLaw, BetaRequestAcceptance, MarkovAcceptance
from howspec.theory.costs.choose import choose_gamma
from howspec.theory.costs.law import SequentialDraftCost
from howspec.theory.costs.passes import LinearPass
from howspec.theory.costs.uneven import StaircasePass
from howspec.theory.requests import distribution, horizon
from howspec.theory.requests.latency import request_latency
from hypothesis import given, settings
from hypothesis import strategies as st


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
