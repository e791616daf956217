"""Other ways to arrange a round, against brute force, walked schedules and simulated events."""

from __future__ import annotations

import itertools
import math
from typing import Any

import mpmath
import numpy as np
import pytest
from exact import decades, probabilities, relative_error
from howspec.theory.optimum import best_gamma
from howspec.theory.schedules.together import (
    best_budget,
    budgeted_lengths,
    cached_speedup,
    fan_out,
    overlapped_speedup,
    stopped_overlap_speedup,
)
from howspec.theory.speedup import speedup
from hypothesis import example, given
from hypothesis import strategies as st

extras = st.one_of(st.just(0.0), decades(-4, 0))


def tokens_by_hand(alpha: Any, terms: int) -> Any:
    return mpmath.fsum(mpmath.mpf(alpha) ** i for i in range(terms))


# --- a budget of verified tokens ------------------------------------------------------------


def _random_survival(rng: np.random.Generator, requests: int, gamma: int) -> Any:
    rates = np.round(rng.random((requests, gamma)), 1)  # ties are common
    return np.cumprod(rates, axis=1)


@pytest.mark.parametrize("seed", range(15))
def test_budgeted_lengths_are_the_best_of_all_prefixes(seed: int) -> None:
    rng = np.random.default_rng(seed)
    requests, gamma = int(rng.integers(1, 4)), int(rng.integers(1, 5))
    s = _random_survival(rng, requests, gamma)
    worth = np.concatenate([np.zeros((requests, 1)), np.cumsum(s, axis=1)], axis=1)
    for budget in range(s.size + 2):
        lengths = budgeted_lengths(s, budget)
        assert lengths.sum() <= budget
        got = worth[np.arange(requests), lengths].sum()
        best = max(
            worth[np.arange(requests), list(choice)].sum()
            for choice in itertools.product(range(gamma + 1), repeat=requests)
            if sum(choice) <= budget
        )
        assert got == pytest.approx(best, abs=1e-12)


def test_equal_requests_share_a_budget_evenly() -> None:
    s = np.tile(0.8 ** np.arange(1, 7), (3, 1))
    np.testing.assert_array_equal(budgeted_lengths(s, 7), [3, 2, 2])
    np.testing.assert_array_equal(budgeted_lengths(s, 0), [0, 0, 0])
    np.testing.assert_array_equal(budgeted_lengths(s, 99), [6, 6, 6])
    np.testing.assert_array_equal(budgeted_lengths([[1.0, 0.0], [0.5, 0.0]], 4), [1, 1])
    np.testing.assert_array_equal(budgeted_lengths(np.ones((2, 3)), 3), [2, 1])


@pytest.mark.parametrize("seed", range(10))
def test_best_budget_is_the_best_of_all_totals_on_any_curve(seed: int) -> None:
    rng = np.random.default_rng(seed)
    s = _random_survival(rng, 3, 4)
    time = 1 + np.cumsum(rng.choice([0.0, 0.02, 0.4], 13))  # a staircase
    got = best_budget(s, time)
    worth = np.sort(s.ravel())[::-1]
    rates = [(3 + worth[:n].sum()) / time[n] for n in range(13)]
    assert got.rate == pytest.approx(max(rates), rel=1e-12)
    assert got.rate == pytest.approx(got.tokens / time[got.budget], rel=1e-12)
    short = best_budget(s, time[:6])  # room for five draft tokens only
    assert short.rate == pytest.approx(max(rates[:6]), rel=1e-12)
    chosen = sum(s[r, : got.lengths[r]].sum() for r in range(3))
    assert got.tokens == pytest.approx(3 + chosen, rel=1e-12)


def test_for_one_request_the_best_budget_is_the_best_gamma() -> None:
    for alpha, c in itertools.product((0.3, 0.6, 0.9), (0.02, 0.1, 0.5)):
        s = alpha ** np.arange(1, 21)[None, :]
        assert best_budget(s, 1 + c * np.arange(21)).budget == best_gamma(alpha, c, gamma_max=20)


# --- overlap --------------------------------------------------------------------------------


@given(probabilities(), st.integers(1, 40), st.one_of(extras, st.floats(0.02, 0.3)))
@example(0.8, 4, 0.1)
@example(0.8, 14, 0.1)
def test_overlapped_speedup_is_tokens_over_time_of_a_round(a: float, g: int, c: float) -> None:
    with mpmath.workdps(60):
        tokens = tokens_by_hand(a, g)  # the bonus token is lost
        hidden = max(mpmath.mpf(1), mpmath.mpf(c) * g)
        exact = tokens / (hidden + (1 - mpmath.mpf(a) ** g) * mpmath.mpf(c) * g)
    assert relative_error(overlapped_speedup(a, g, c), exact) < 1e-13


def test_overlapped_speedup_is_that_of_simulated_devices() -> None:
    rng = np.random.default_rng(30)
    a, g, c, rounds = 0.8, 6, 0.12, 200_000
    accepted = rng.random((rounds, g)) < a
    whole = accepted.all(axis=1)
    tokens = np.where(whole, g, (~accepted).argmax(axis=1) + 1.0)
    # The target verifies from 0 to 1. Meanwhile the draft writes the next g tokens, ready at g c.
    # After a rejection these are dropped, and g new ones are written before verifying again.
    ready = np.full(rounds, g * c)
    verified = np.ones(rounds)
    start_of_next = np.where(
        whole, np.maximum(ready, verified), np.maximum(ready, verified) + g * c
    )
    rate = tokens.sum() / start_of_next.sum()
    error = np.std(tokens - rate * start_of_next) / start_of_next.mean() / math.sqrt(rounds)
    assert abs(rate - overlapped_speedup(a, g, c)) < 4 * error


@pytest.mark.parametrize(("a", "g", "c"), [(0.8, 4, 0.5), (0.9, 6, 0.3), (0.6, 3, 0.2)])
def test_a_stopped_draft_is_dropped_when_the_rejection_is_known(a: float, g: int, c: float) -> None:
    rng = np.random.default_rng(31)
    rounds = 200_000
    accepted = rng.random((rounds, g)) < a
    whole = accepted.all(axis=1)
    tokens = np.where(whole, g, (~accepted).argmax(axis=1) + 1.0)
    # After a rejection the new draft starts at time 1, whatever the old one still had to write.
    start_of_next = np.where(whole, max(g * c, 1.0), 1.0 + g * c)
    rate = tokens.sum() / start_of_next.sum()
    error = np.std(tokens - rate * start_of_next) / start_of_next.mean() / math.sqrt(rounds)
    stopped, finished = stopped_overlap_speedup(a, g, c), overlapped_speedup(a, g, c)
    assert abs(rate - stopped) < 4 * error
    if g * c > 1:
        assert stopped > finished * 1.05
    else:
        assert stopped == pytest.approx(finished, rel=1e-14)


def test_overlap_is_not_always_the_faster_schedule() -> None:
    assert overlapped_speedup(0.8, 10, 0.1) == pytest.approx(2.36, abs=5e-3)
    sequential = max(speedup(0.8, g, 0.1) for g in range(20))
    assert overlapped_speedup(0.8, 10, 0.1) < sequential
    assert overlapped_speedup(1.0, 10, 0.1) == pytest.approx(10.0)
    overlapped = max(overlapped_speedup(0.95, g, 0.1) for g in range(1, 64))
    assert overlapped > max(speedup(0.95, g, 0.1) for g in range(64))


# --- drafts made in advance -----------------------------------------------------------------


@given(st.floats(0, 1), st.floats(1, 10), st.floats(1, 10), st.floats(0, 3), st.floats(0, 3))
@example(0.6, 4.0, 2.5, 1.3, 0.2)
@example(0.6, 4.0, 2.5, 0.7, 0.2)
def test_cached_speedup_weighs_hits_and_misses(
    h: float, hit: float, miss: float, advance: float, backup: float
) -> None:
    p = {"hit_tokens": hit, "miss_tokens": miss, "advance_time": advance, "backup_time": backup}
    with mpmath.workdps(50):
        x = mpmath.mpf(h)
        tokens = x * hit + (1 - x) * miss
        time = x * max(mpmath.mpf(1), mpmath.mpf(advance)) + (1 - x) * (1 + mpmath.mpf(backup))
        exact = tokens / time
    assert relative_error(cached_speedup(h, **p), exact) < 1e-13


def test_ends_of_the_hit_rate() -> None:
    p = {"hit_tokens": 4.0, "miss_tokens": 3.0, "advance_time": 1.25, "backup_time": 0.2}
    assert cached_speedup(1.0, **p) == pytest.approx(4.0 / 1.25)
    # Never hitting is plain speculation with the back-up draft.
    assert cached_speedup(0.0, **p) == pytest.approx(3.0 / 1.2)


@given(st.floats(0.05, 0.95), st.integers(0, 8), st.floats(1, 100), decades(-1, 0.5))
def test_fan_out_has_the_fewest_misses_for_its_budget(
    a: float, gamma: int, budget: float, r: float
) -> None:
    share = fan_out(a, gamma, budget=budget, miss_exponent=r)
    outcome = np.array([(1 - a) * a**k for k in range(gamma)] + [a**gamma])
    assert outcome.sum() == pytest.approx(1.0)
    assert share.sum() == pytest.approx(budget)
    least = (outcome * share**-r).sum()
    rng = np.random.default_rng(gamma)
    for _ in range(20):
        other = share * np.exp(rng.normal(0, 0.2, share.size))
        other *= budget / other.sum()
        assert (outcome * other**-r).sum() >= least * (1 - 1e-12)
    if gamma >= 3:
        np.testing.assert_allclose(share[1:gamma] / share[: gamma - 1], a ** (1 / (1 + r)))
