"""The best stopping rule, against exhaustive policies and simulated rounds."""

from __future__ import annotations

import math
from functools import cache
from typing import Any

import mpmath
import numpy as np
import pytest
from exact import decades
from howspec.theory.limits.adaptive import stopping_threshold, threshold_policy
from howspec.theory.limits.headroom import (
    oracle_speedup,
)
from howspec.theory.optimum import best_gamma
from howspec.theory.speedup import speedup
from hypothesis import example, given, settings
from hypothesis import strategies as st

extras = st.one_of(st.just(0.0), decades(-4, 0.7))


def best_rate_by_recursion(v: Any, w: Any, per_token: float, fixed: float, gamma_max: int) -> float:
    """The best rate of any stopping rule: bisection on the rate, all decisions by recursion."""
    mean = float(np.dot(v, w))

    def surplus(rate: float) -> float:
        @cache
        def go_on(standing: float, drafted: int) -> float:
            """Value of drafting one more token, then deciding again."""
            later = 0.0
            if drafted + 1 < gamma_max:
                later = sum(
                    float(x) * max(0.0, go_on(standing * float(y), drafted + 1))
                    for y, x in zip(v, w, strict=True)
                )
            return standing * mean - per_token * rate + later

        speculate = 1 - rate * fixed + go_on(1.0, 0)
        return max(1 - rate, speculate)

    low, high = 0.5, 100.0
    for _ in range(50):
        mid = 0.5 * (low + high)
        low, high = (mid, high) if surplus(mid) > 0 else (low, mid)
    return low


@given(
    st.lists(st.floats(0.05, 1.0), min_size=2, max_size=2),
    st.floats(0.05, 0.95),
    decades(-2.5, -0.3),
    st.one_of(st.just(0.0), st.floats(0, 0.6)),
    st.integers(1, 6),
)
@settings(max_examples=40)
def test_threshold_policy_is_the_best_of_all_stopping_rules(
    values: list[float], weight: float, per_token: float, overhead: float, gamma_max: int
) -> None:
    w = [weight, 1 - weight]
    exact = best_rate_by_recursion(values, w, per_token, 1 + overhead, gamma_max)
    policy = threshold_policy(
        values, w, cost_ratio=0.75 * per_token, verify_slope=0.25 * per_token, overhead=overhead,
        gamma_max=gamma_max,
    )  # fmt: skip
    assert policy.rate == pytest.approx(exact, rel=1e-10)
    if policy.drafted > 0:
        time = 1 + overhead + per_token * policy.drafted
        assert policy.tokens / time == pytest.approx(policy.rate, rel=1e-12)
        # Self-consistency: the threshold is the one that the rate itself implies.
        mean = float(np.dot(values, w))
        assert policy.threshold == pytest.approx(per_token * policy.rate / mean, rel=1e-9)


@given(st.floats(0.05, 0.98), decades(-2.5, -0.1), extras, st.integers(1, 40))
def test_a_drafter_that_learns_nothing_stops_at_the_best_fixed_gamma(
    alpha: float, c: float, o: float, gamma_max: int
) -> None:
    policy = threshold_policy([alpha], [1.0], cost_ratio=c, overhead=o, gamma_max=gamma_max)
    gamma = best_gamma(alpha, c, overhead=o, gamma_max=gamma_max)
    assert policy.rate == pytest.approx(speedup(alpha, gamma, c, overhead=o), rel=1e-12)


def test_threshold_policy_is_the_rate_of_simulated_rounds() -> None:
    rng = np.random.default_rng(4)
    values, weights, c, o = np.array([0.97, 0.5]), np.array([0.7, 0.3]), 0.06, 0.1
    policy = threshold_policy(values, weights, cost_ratio=c, overhead=o, gamma_max=20)
    rounds = 200_000
    confidence = rng.choice(values, p=weights, size=(rounds, 20))
    standing = np.cumprod(confidence, axis=1)
    before = np.concatenate([np.ones((rounds, 1)), standing[:, :-1]], axis=1)
    drafted = np.where(
        (before <= policy.threshold).any(1), (before <= policy.threshold).argmax(1), 20
    )
    accepted = rng.random((rounds, 20)) < confidence
    run = np.where(accepted.all(1), 20, (~accepted).argmax(1))
    tokens = np.minimum(run, drafted) + 1.0
    time = 1 + o + c * drafted
    error = np.std(tokens - policy.rate * time) / time.mean() / math.sqrt(rounds)
    assert abs(tokens.sum() / time.sum() - policy.rate) < 4 * error
    assert abs(drafted.mean() - policy.drafted) < 4 * drafted.std() / math.sqrt(rounds)


@given(
    st.lists(st.floats(0.0, 1.0), min_size=3, max_size=3),
    st.floats(0.01, 0.9),
    st.floats(0.01, 0.9),
    decades(-2, 0),
    extras,
)
def test_knowing_more_never_slows_down(
    values: list[float], first: float, second: float, c: float, o: float
) -> None:
    w = [first, (1 - first) * second, (1 - first) * (1 - second)]
    mean = min(1.0, float(np.dot(values, w)))
    gamma = best_gamma(mean, c, overhead=o, gamma_max=10)
    adaptive = threshold_policy(values, w, cost_ratio=c, overhead=o, gamma_max=10).rate
    assert 1.0 <= speedup(mean, gamma, c, overhead=o) <= adaptive * (1 + 1e-12)
    assert adaptive <= oracle_speedup(mean, c, overhead=o) * (1 + 1e-12)


def test_confidence_is_worth_something_and_nothing_at_the_ends() -> None:
    mixed = threshold_policy([0.95, 0.4], [0.75, 0.25], cost_ratio=0.05).rate
    mean = 0.95 * 0.75 + 0.4 * 0.25
    fixed = speedup(mean, best_gamma(mean, 0.05), 0.05)
    assert fixed * 1.05 < mixed < oracle_speedup(mean, 0.05) * 0.95
    sure = threshold_policy([0.0, 1.0], [0.2, 0.8], cost_ratio=0.05, gamma_max=200).rate
    # Confidence of 0 or 1 is knowledge, but of a token that is drafted and paid for already.
    assert sure < oracle_speedup(0.8, 0.05)
    none = threshold_policy([0.0], [1.0], cost_ratio=0.1)
    assert (none.rate, none.drafted) == (1.0, 0.0)
    dear = threshold_policy([0.9], [1.0], cost_ratio=1.5)
    assert (dear.rate, dear.drafted) == (1.0, 0.0)


@given(st.floats(0.01, 1), extras, extras, st.floats(0.5, 20))
@example(0.7, 0.1, 0.3, 2.5)
def test_stopping_threshold_is_the_cost_in_tokens_over_the_gain(
    alpha: float, c: float, b: float, rate: float
) -> None:
    exact = (mpmath.mpf(c) + mpmath.mpf(b)) * rate / mpmath.mpf(alpha)
    assert abs(stopping_threshold(alpha, c, rate, verify_slope=b) - exact) <= 1e-14 * exact
