"""Padded passes and mixtures of experts, whose time does not rise evenly."""

from __future__ import annotations

import itertools
from fractions import Fraction

import mpmath
import numpy as np
import pytest
from exact import both, relative_error
from howspec.theory.costs import uneven
from howspec.theory.costs.passes import LinearPass
from howspec.theory.costs.uneven import StaircasePass
from hypothesis import given, settings
from hypothesis import strategies as st

ROWS = st.integers(1, 512)
TOKENS = st.integers(1, 64)

CONTEXT = st.integers(0, 100_000)


@given(TOKENS, ROWS, st.integers(1, 256))
@settings(max_examples=40)
def test_padding_fills_tiles_one_after_the_other(tokens: int, rows: int, tile: int) -> None:
    filled = 0
    while filled < tokens * rows:
        filled += tile
    point = {"pass_tokens": tokens, "batch": rows, "tile": tile}
    both(uneven.padded_tokens, mpmath.mpf(filled), point)


def test_a_padded_pass_takes_the_time_of_the_padded_tokens() -> None:
    law = StaircasePass(LinearPass(1.0, 0.1), tile=8, sizes=(1, 2, 4, 16))
    tokens = np.array([1.0, 2.0, 3.0, 5.0, 16.0, 17.0, 30.0])
    np.testing.assert_array_equal(law.padded(tokens), [1, 2, 4, 16, 16, 24, 32])
    np.testing.assert_array_equal(law.padded(tokens[:4], batch=3), [4, 16, 16, 16])
    np.testing.assert_allclose(law.step_time(tokens[:4], batch=3), [1.4, 2.6, 2.6, 2.6], rtol=1e-14)
    same = StaircasePass(LinearPass(1.0, 0.1), tile=1).step_time(tokens, batch=3)
    np.testing.assert_allclose(same, LinearPass(1.0, 0.1).step_time(tokens, batch=3), rtol=1e-14)


@pytest.mark.parametrize(("experts", "active", "tokens"), [(4, 1, 3), (4, 2, 3), (5, 3, 2)])
def test_experts_touched_is_the_mean_over_all_routings(
    experts: int, active: int, tokens: int
) -> None:
    choices = [set(c) for c in itertools.combinations(range(experts), active)]
    total = Fraction(0)
    for routing in itertools.product(choices, repeat=tokens):
        total += len(set().union(*routing))
    exact = total / len(choices) ** tokens
    point = {"experts": experts, "active_experts": active, "pass_tokens": tokens, "batch": 1}
    both(uneven.experts_touched, mpmath.mpf(exact.numerator) / exact.denominator, point)
    swapped = {**point, "pass_tokens": 1, "batch": tokens}
    assert uneven.experts_touched(**swapped) == uneven.experts_touched(**point)


@given(st.integers(1, 256), st.data(), TOKENS, ROWS, CONTEXT)
@settings(max_examples=40)
def test_experts_and_their_time_follow_the_missed_ones(
    experts: int, data: st.DataObject, tokens: int, rows: int, context: int
) -> None:
    active = data.draw(st.integers(1, experts))
    with mpmath.workdps(400):
        missed = mpmath.mpf(1)
        for _ in range(min(tokens * rows, 3000)):
            missed *= 1 - mpmath.mpf(active) / experts
        touched = experts * (1 - missed)  # past 3000 tokens the rest is below every digit
        if tokens * rows <= 3000:
            point = {"experts": experts, "active_experts": active, "pass_tokens": tokens}
            got = uneven.experts_touched(**point, batch=rows)
            assert relative_error(got, touched) < 1e-12
            fixed = mpmath.mpf(2) ** -8 + rows * (
                mpmath.mpf(2) ** -24 * context + mpmath.mpf(2) ** -16 * tokens
            )
            exact = fixed + mpmath.mpf(2) ** -13 * touched
            point |= {"batch": rows, "context": context, "expert_time": 2.0**-13}
            point |= {"step_fixed": 2.0**-8, "step_per_token": 2.0**-16}
            both(uneven.moe_step_time, exact, {**point, "step_per_cached": 2.0**-24})
    assert active * (1 - 1e-12) <= got <= experts if tokens * rows <= 3000 else True


def test_experts_are_all_touched_in_the_limit_and_at_once_when_all_are_active() -> None:
    assert uneven.experts_touched(1000, 100, experts=64, active_experts=2) == pytest.approx(64)
    assert uneven.experts_touched(1, 1, experts=8, active_experts=8) == 8.0


def test_moe_speculation_loses_at_one_token_and_wins_at_more() -> None:
    times = uneven.experts_touched(np.arange(1.0, 9.0), 1, experts=8, active_experts=2) / 2.0
    cost = times + 0.1 * np.arange(8.0)
    tokens = np.cumsum(0.82 ** np.arange(8.0))
    expected = [0.984, 0.992, 1.003, 1.028]
    np.testing.assert_allclose((tokens / cost)[[1, 2, 3, 7]], expected, atol=5e-4)
