"""Batch, context, load and memory: where speculation pays, what a loaded server does."""

from __future__ import annotations

import functools
import heapq
from typing import Any

import mpmath
import numpy as np
import pytest
from exact import at_digits, decades, relative_error, tokens_of_round
from exact import both as agree
from howspec.theory import DepthAcceptance
from howspec.theory.costs import batch, load
from howspec.theory.costs.passes import LinearStepCost
from hypothesis import assume, given, settings
from hypothesis import strategies as st
from linear_rounds import ALPHAS, H100, SYSTEMS, round_time, saved

both = functools.partial(agree, tolerance=1e-11)
# --- load -----------------------------------------------------------------------------------

OVERHEAD = st.one_of(st.just(0.0), decades(-5, -3))


def terms(gamma: int, context: int, times: dict[str, float]) -> tuple[Any, Any]:
    one, two = (round_time(gamma, b, context, times, mpmath.mpf) for b in (1, 2))
    return 2 * one - two, two - one


def birth_death(tokens: Any, fixed: Any, row: Any, x: Any) -> list[Any]:
    """P(n in service): one request more at rate x, one fewer at rate n E / (F + n H)."""
    masses = [mpmath.mpf(1)]
    most, least = masses[0], mpmath.mpf(10) ** -40
    while masses[-1] > least * most or len(masses) < 6:
        n = len(masses)
        masses.append(masses[-1] * x * (fixed + n * row) / (n * tokens))
        most = max(most, masses[-1])
    total = sum(masses)
    return [m / total for m in masses]


@given(ALPHAS, st.integers(1, 12), st.integers(0, 4000), SYSTEMS, OVERHEAD, st.floats(0.01, 0.8))
@settings(max_examples=25)
def test_latency_and_occupation_are_those_of_the_birth_death_chain(
    alpha: float, gamma: int, context: int, times: dict[str, float], extra: float, share: float
) -> None:
    times = {**times, "round_overhead": extra}
    with mpmath.workdps(60):
        tokens = tokens_of_round(alpha, gamma)
        fixed, row = terms(gamma, context, times)
        assume(fixed / row < 300)
        x = float(share * tokens / row)
        point = {"alpha": alpha, "gamma": gamma, "token_load": x, "context": context, **times}
        masses = birth_death(tokens, fixed, row, mpmath.mpf(x))
        mean = sum(n * p for n, p in enumerate(masses))
        both(load.requests_in_service, mean, point)
        both(load.latency_under_load, mean / mpmath.mpf(x), point)
        some = [n for n in (0, 1, 2, 7, len(masses) // 4) if n < len(masses)]
        got = load.in_service_probability(np.array(some), **point)
        for n, p in zip(some, got, strict=True):
            assert relative_error(p, masses[n]) < 1e-10
        both(load.in_service_ratio, masses[3] / masses[2], {**point, "in_service": 2})
        rows = mpmath.mpf(0)  # mean field: the batch that its own latency sustains
        for _ in range(800):
            rows = x * (fixed + rows * row) / tokens
        both(load.mean_field_latency, (fixed + rows * row) / tokens, point)


@given(ALPHAS, st.integers(0, 12), st.integers(0, 4000), SYSTEMS)
@settings(max_examples=40)
def test_capacity_is_the_rate_of_ever_larger_batches(
    alpha: float, gamma: int, context: int, times: dict[str, float]
) -> None:
    point = {k: v for k, v in times.items() if not k.endswith("fixed")}
    point |= {"alpha": alpha, "gamma": gamma, "context": context}
    with mpmath.workdps(60):
        rows = mpmath.mpf(10) ** 40
        tokens = tokens_of_round(alpha, gamma)
        rate = rows * tokens / round_time(gamma, rows, context, times, mpmath.mpf)
        plain = rows / round_time(0, rows, context, times, mpmath.mpf)
        both(load.token_capacity, rate, point)
        both(load.capacity_gain, rate / plain, point)


def test_capacity_limits_are_written_out() -> None:
    free = {"context": 0, "step_per_token": 0.0, "step_per_cached": 0.0}
    assert load.token_capacity(0.8, 3, **free) == np.inf
    assert load.capacity_gain(0.8, 3, **free) == 1.0
    assert load.capacity_gain(0.8, 0, context=10, step_per_token=1e-5, step_per_cached=0.0) == 1.0
    # A free target with a draft that is not: no capacity is gained.
    assert load.capacity_gain(0.8, 3, **free, draft_per_token=1e-6) == 0.0
    quiet = {**free, "step_fixed": 1e-3, "draft_fixed": 0.0}
    assert load.latency_under_load(0.0, 0, 500.0, **quiet) == 1e-3
    pmf = load.in_service_probability(np.arange(40), 0.0, 0, 2000.0, **quiet)
    poisson = [float(mpmath.exp(-2) * mpmath.mpf(2) ** n / mpmath.factorial(n)) for n in range(40)]
    np.testing.assert_allclose(pmf, poisson, rtol=1e-12)


def test_server_beyond_its_capacity_has_no_latency() -> None:
    times = {**H100, "context": 500}
    top = load.token_capacity(0.7, 3, **{k: v for k, v in times.items() if not k.endswith("fixed")})
    loads = np.array([0.0, 0.5, 0.999, 1.0 + 1e-12, 2.0]) * top
    latency = load.latency_under_load(0.7, 3, loads, **times)
    assert np.isfinite(latency[:3]).all()
    assert (latency[3:] == np.inf).all()
    assert (np.diff(latency[:3]) > 0).all()
    assert (load.in_service_probability(4, 0.7, 3, loads, **times)[3:] == 0.0).all()
    assert load.in_service_probability(400, 0.7, 3, 1e300, **times) == 0.0
    np.testing.assert_array_equal(load.in_service_probability([0, 1], 0.7, 3, 0.0, **times), [1, 0])
    assert load.requests_in_service(0.7, 3, 0.0, **times) == 0.0


@given(ALPHAS, st.integers(1, 12), st.integers(0, 4000), SYSTEMS, OVERHEAD)
def test_speculation_is_faster_exactly_inside_the_helpful_loads(
    alpha: float, gamma: int, context: int, times: dict[str, float], extra: float
) -> None:
    system = {**times, "round_overhead": extra, "context": context}
    low, high = load.helpful_loads(alpha, gamma, **system)
    assert 0.0 <= low <= high
    rates = {k: v for k, v in system.items() if not k.endswith(("fixed", "overhead"))}
    top = max(load.token_capacity(alpha, g, **rates) for g in (0, gamma))
    x = np.linspace(0.0, 0.999 * top, 41)
    fast = load.latency_under_load(alpha, gamma, x, **system)
    plain = load.latency_under_load(alpha, 0, x, **system)
    clear = np.isinf(fast) != np.isinf(plain)
    finite = np.isfinite(fast) & np.isfinite(plain)
    clear[finite] = np.abs(fast[finite] / plain[finite] - 1.0) > 1e-9
    inside = ((x > low) | (low == 0.0)) & (x < high)
    np.testing.assert_array_equal(inside[clear], (fast < plain)[clear])


@given(ALPHAS, st.integers(1, 12), st.integers(0, 4000), SYSTEMS, OVERHEAD)
def test_crossover_load_is_where_the_two_speeds_meet(
    alpha: float, gamma: int, context: int, times: dict[str, float], extra: float
) -> None:
    times = {**times, "round_overhead": extra}
    with mpmath.workdps(60):
        tokens = tokens_of_round(alpha, gamma)
        (fixed, row), (fixed0, row0) = terms(gamma, context, times), terms(0, context, times)
        gain = [tokens / (fixed + row) - 1 / (fixed0 + row0)]  # difference of 1/w at load 0, 1
        gain.append((tokens - row) / (fixed + row) - (1 - row0) / (fixed0 + row0))
        slope = gain[1] - gain[0]
        assume(gain[0] > 0.02 / (fixed0 + row0) and tokens * row0 < 0.98 * row)
        assume(-slope > 0.02 * row / (fixed + row))
        point = {"alpha": alpha, "gamma": gamma, "context": context, **times}
        both(load.crossover_load, -gain[0] / slope, point)


def test_a_crossing_from_below_is_a_crossing() -> None:
    # A draft call too slow for light loads, with more capacity: speculation is faster above.
    times: dict[str, Any] = {
        "context": 1500, "step_fixed": 0.0021, "step_per_token": 2e-5, "step_per_cached": 4e-8,
        "draft_fixed": 0.003, "draft_per_token": 6e-7, "draft_per_cached": 2e-9,
        "round_overhead": 3e-4,
    }  # fmt: skip
    crossing = load.crossover_load(0.999, 1, **times)
    assert crossing == pytest.approx(5343, abs=1)
    assert load.helpful_loads(0.999, 1, **times) == (crossing, np.inf)
    fast, plain = (load.latency_under_load(0.999, g, crossing, **times) for g in (1, 0))
    assert fast == pytest.approx(plain, rel=1e-9)
    point = {"alpha": 0.999, "gamma": 1, **times}
    assert relative_error(crossing, at_digits(load.crossover_load, **point)) < 1e-11
    # The same for batches, past the critical context.
    cost = {k: times[k] for k in times if k not in ("context", "round_overhead")}
    edge = batch.crossover_batch(0.9, 20_000, **cost)
    assert batch.helpful_batches(0.9, 20_000, **cost) == (edge, np.inf)
    assert 0 < edge < np.inf
    assert saved(1, 0.9, edge * 1.01, 20_000, cost, float) > 0
    assert saved(1, 0.9, edge * 0.99, 20_000, cost, float) < 0


def test_best_gamma_at_a_load_is_that_of_a_scan() -> None:
    cost = LinearStepCost(**H100, round_overhead=1e-4)
    alphas = np.array([0.4, 0.6, 0.8, 0.9])
    rates = {k: v for k, v in H100.items() if not k.endswith("fixed")}
    for x in (0.0, 3e3, 2e4, 5e4):
        got, latency = load.gamma_at_load(
            DepthAcceptance(alphas), cost, x, gamma_max=12, context=300
        )
        assert got.shape == latency.shape == (4,)
        for i, a in enumerate(alphas):
            scan = load.latency_under_load(
                a, np.arange(13), x, **H100, round_overhead=1e-4, context=300
            )
            if np.isfinite(scan).any():
                assert got[i] == scan.argmin()
                assert latency[i] == pytest.approx(scan.min(), rel=1e-12)
            else:
                most = load.token_capacity(a, np.arange(13), **rates, context=300)
                assert got[i] == most.argmax()
                assert latency[i] == np.inf


def test_best_gamma_falls_with_load_for_a_cheap_draft_and_rises_for_a_slow_one() -> None:
    def walk(times: dict[str, float], context: int) -> np.ndarray[Any, Any]:
        cost, law = LinearStepCost(**times), DepthAcceptance(0.8)
        picks = (load.gamma_at_load(law, cost, x, context=context) for x in np.linspace(0, 3e4, 60))
        return np.array([g for g, w in picks if np.isfinite(w)])

    falling = walk({**H100, "draft_fixed": 2e-4}, 0)
    assert (np.diff(falling) <= 0).all()
    assert falling[0] > falling[-1]
    rising = walk({**H100, "draft_fixed": 4e-3, "draft_per_cached": 0.0}, 8000)
    assert (np.diff(rising) >= 0).all()
    assert rising[-1] > rising[0]


def shared_server(
    rng: np.random.Generator, work: np.ndarray[Any, Any], *, load_x: float, speed: Any
) -> np.ndarray[Any, Any]:
    """Latencies of requests that share a server; each of n in service advances at speed(n).

    work: tokens of each request; arrivals Poisson with load_x tokens in a second. Event by event:
    the time to come, and the common progress at which each request in service will be done.
    """
    arrivals = np.cumsum(rng.exponential(work.mean() / load_x, work.size))
    done, waiting, clock, progress, upcoming = np.empty(work.size), [], 0.0, 0.0, 0
    while upcoming < work.size or waiting:
        rate = speed(len(waiting)) if waiting else 0.0
        finish = clock + (waiting[0][0] - progress) / rate if waiting else np.inf
        if upcoming < work.size and arrivals[upcoming] <= finish:
            progress += (arrivals[upcoming] - clock) * rate
            clock = arrivals[upcoming]
            heapq.heappush(waiting, (progress + work[upcoming], upcoming))
            upcoming += 1
        else:
            clock, (progress, who) = finish, heapq.heappop(waiting)
            done[who] = clock - arrivals[who]
    return done


@pytest.mark.parametrize("shape", ["same", "exponential", "two kinds"])
def test_event_simulation_gives_the_latency_whatever_the_lengths(shape: str) -> None:
    rng = np.random.default_rng(17)
    tokens, fixed, row = 2.5, 3.0, 1.0
    count, mean, x = 40_000, 100.0, 1.75  # 70 % of the capacity 2.5
    work = {
        "same": lambda: np.full(count, mean),
        "exponential": lambda: rng.exponential(mean, count),
        "two kinds": lambda: np.where(rng.random(count) < 0.9, 50.0, 550.0),
    }[shape]()
    got = shared_server(rng, work, load_x=x, speed=lambda n: tokens / (fixed + n * row))
    exact = mean * (fixed + row) / (tokens - x * row)
    means = got[2000:].reshape(40, -1).mean(axis=1)  # batches, since neighbours are alike
    error = means.std(ddof=1) / np.sqrt(means.size)
    assert abs(means.mean() - exact) < 4 * error
    mean_field = mean * fixed / (tokens - x * row)
    assert abs(means.mean() - mean_field) > 4 * error
