"""Cascades and two-layer speculation against walked rounds, simulation and the plain case."""

from __future__ import annotations

import math
from typing import Any

import mpmath
import numpy as np
import pytest
from exact import at_digits, counts, decades, pmf_of_round, probabilities, relative_error
from howspec.theory.rounds import tokens_per_round
from howspec.theory.schedules.cascade import (
    horizontal_speedup,
    horizontal_tokens,
    two_layer_bound,
    two_layer_speedup,
    vertical_speedup,
    vertical_tokens,
)
from howspec.theory.speedup import speedup
from hypothesis import example, given
from hypothesis import strategies as st

extras = st.one_of(st.just(0.0), decades(-4, 0))


def vertical_by_hand(alpha: float, inner_alpha: float, k: int, m: int) -> Any:
    """E[N] by the distribution of the draft's length: m inner rounds added up one by one."""
    round_pmf = pmf_of_round(inner_alpha, k)
    lengths = {0: mpmath.mpf(1)}
    for _ in range(m):
        longer: dict[int, Any] = {}
        for length, mass in lengths.items():
            for n, p in enumerate(round_pmf, start=1):
                longer[length + n] = longer.get(length + n, mpmath.mpf(0)) + mass * p
        lengths = longer
    a = mpmath.mpf(alpha)
    tokens = [mpmath.mpf(1)]  # sum of a^i for i = 0..length
    for _ in range(max(lengths)):
        tokens.append(1 + a * tokens[-1])
    return mpmath.fsum(mass * tokens[length] for length, mass in lengths.items())


@given(probabilities(), probabilities(), counts(6), counts(5))
@example(0.8, 0.6, 3, 2)
@example(1.0, 0.6, 3, 2)
@example(0.0, 0.6, 3, 2)
def test_vertical_tokens_are_the_mean_over_all_draft_lengths(
    alpha: float, inner_alpha: float, k: int, m: int
) -> None:
    with mpmath.workdps(60):
        exact = vertical_by_hand(alpha, inner_alpha, k, m)
        if 0 < alpha < 1 and alpha * inner_alpha < 1:
            point = {
                "alpha": alpha,
                "inner_alpha": inner_alpha,
                "inner_gamma": k,
                "inner_rounds": m,
            }
            assert abs(at_digits(vertical_tokens, 400, **point) / exact - 1) < 1e-30
    got = vertical_tokens(alpha, inner_alpha=inner_alpha, inner_gamma=k, inner_rounds=m)
    assert relative_error(got, exact) < 1e-12
    assert got <= tokens_per_round(alpha, m * (k + 1)) * (1 + 1e-13)


@given(st.floats(0, 0.999), st.floats(0, 1), counts(6), counts(6), extras, extras)
@example(0.8, 0.6, 3, 2, 0.1, 0.02)
def test_vertical_speedup_pays_for_every_level(
    alpha: float, inner_alpha: float, k: int, m: int, c: float, ci: float
) -> None:
    with mpmath.workdps(50):
        time = mpmath.mpf(1)
        for _ in range(m):
            time += c
            for _ in range(k):
                time += ci
        exact = vertical_by_hand(alpha, inner_alpha, k, m) / time
    inner = {"inner_alpha": inner_alpha, "inner_gamma": k, "inner_rounds": m, "inner_cost": ci}
    got = vertical_speedup(alpha, c, **inner)
    assert relative_error(got, exact) < 1e-12


@given(probabilities(), counts(20), extras)
def test_a_cascade_without_inner_tokens_is_plain_speculation(a: float, m: int, c: float) -> None:
    inner = {"inner_alpha": 0.5, "inner_gamma": 0, "inner_rounds": m}
    assert vertical_tokens(a, **inner) == pytest.approx(tokens_per_round(a, m), rel=1e-12)
    got = vertical_speedup(a, c, inner_cost=0.3, **inner)
    assert got == pytest.approx(speedup(a, m, c), rel=1e-12)


def test_vertical_tokens_are_those_of_a_simulated_cascade() -> None:
    rng = np.random.default_rng(12)
    a, ai, k, m, rounds = 0.8, 0.6, 3, 3, 150_000
    length = np.zeros(rounds, dtype=np.int64)
    for _ in range(m):
        accepted = rng.random((rounds, k)) < ai
        length += np.where(accepted.all(1), k, (~accepted).argmax(1)) + 1
    kept = rng.random((rounds, m * (k + 1))) < a
    run = np.where(kept.all(1), m * (k + 1), (~kept).argmax(1))
    tokens = np.minimum(run, length) + 1
    expected = vertical_tokens(a, inner_alpha=ai, inner_gamma=k, inner_rounds=m)
    assert abs(tokens.mean() - expected) < 4 * tokens.std() / math.sqrt(rounds)


@given(probabilities(), counts(12), probabilities(), counts(12), extras, extras)
@example(0.8, 3, 0.6, 2, 0.1, 0.02)
def test_horizontal_cascade_adds_the_second_draft_where_the_first_is_accepted(
    alpha: float, g: int, second: float, j: int, c: float, c2: float
) -> None:
    with mpmath.workdps(60):
        a, a2 = mpmath.mpf(alpha), mpmath.mpf(second)
        survival = [a**i for i in range(g + 1)]
        survival += [a**g * a2**i for i in range(1, j + 1)]
        tokens = mpmath.fsum(survival)
        exact = tokens / (1 + mpmath.fsum([mpmath.mpf(c)] * g + [mpmath.mpf(c2)] * j))
    p = {"second_alpha": second, "second_gamma": j}
    assert relative_error(horizontal_tokens(alpha, g, **p), tokens) < 1e-13
    got = horizontal_speedup(alpha, g, c, second_cost=c2, **p)
    assert relative_error(got, exact) < 1e-13


@given(st.floats(0, 1), counts(12), extras, st.floats(0, 1))
def test_a_horizontal_cascade_without_a_second_draft_is_plain(
    a: float, g: int, c: float, second: float
) -> None:
    got = horizontal_speedup(a, g, c, second_alpha=second, second_gamma=0, second_cost=0.2)
    assert got == pytest.approx(speedup(a, g, c), rel=1e-13)
    same = horizontal_speedup(a, g, c, second_alpha=a, second_gamma=4, second_cost=c)
    assert same == pytest.approx(speedup(a, g + 4, c), rel=1e-12)


def test_dividing_the_drafters_cost_by_its_own_speedup_overstates_the_cascade() -> None:
    inner = max(speedup(0.7, k, 0.05) for k in range(1, 12))
    rough = max(speedup(0.8, g, 0.1 / inner) for g in range(1, 24))
    m, k = np.arange(1, 17)[:, None], np.arange(1, 17)
    cascade = vertical_speedup(
        0.8, 0.1, inner_alpha=0.7, inner_cost=0.005, inner_gamma=k, inner_rounds=m
    ).max()
    assert max(speedup(0.8, g, 0.1) for g in range(17)) < cascade < rough


# --- steps and tokens -----------------------------------------------------------------------


@given(probabilities(), counts(10), extras, extras, st.floats(1, 10))
@example(0.7, 3, 0.1, 0.05, 2.5)
def test_two_layers_speed_up_the_target_but_not_the_drafting_of_steps(
    a: float, g: int, c: float, judge: float, inner: float
) -> None:
    p = {"step_cost": c, "judge_cost": judge, "token_speedup": inner}
    with mpmath.workdps(60):
        steps = mpmath.fsum(mpmath.mpf(a) ** i for i in range(g + 1))
        extra = mpmath.fsum([mpmath.mpf(c)] * g) + (mpmath.mpf(judge) if g else 0)
        both = steps / (1 / mpmath.mpf(inner) + extra)
        product = steps / (1 + extra) * inner
    assert relative_error(two_layer_speedup(a, g, **p), both) < 1e-13
    assert relative_error(two_layer_bound(a, g, **p), product) < 1e-13
    assert both <= product * (1 + 1e-14)


def test_the_product_of_the_layers_is_reached_where_drafting_and_judging_are_free() -> None:
    free = two_layer_speedup(0.7, 4, step_cost=0.0, token_speedup=2.5)
    assert free == pytest.approx(two_layer_bound(0.7, 4, step_cost=0.0, token_speedup=2.5))
    assert two_layer_speedup(0.7, 0, step_cost=0.5, judge_cost=0.5, token_speedup=2.5) == 2.5
    alone = two_layer_speedup(0.7, 4, step_cost=0.1, judge_cost=0.0)
    assert alone == pytest.approx(speedup(0.7, 4, 0.1))
