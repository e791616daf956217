"""The affine cost law against passes added up one by one."""

from __future__ import annotations

import mpmath
import numpy as np
from exact import decades, relative_error
from howspec.theory.costs.law import AffineCost, CostLaw
from howspec.theory.speedup import round_cost
from hypothesis import given
from hypothesis import strategies as st

extras = st.one_of(st.just(0.0), decades(-6, 1))


@given(extras, extras, extras, decades(-6, 3), st.integers(0, 60))
def test_round_time_adds_drafts_verification_and_overhead(
    c: float, b: float, o: float, step: float, gamma: int
) -> None:
    times = AffineCost(c, b, o, step).round_time(gamma)
    assert times.shape == (gamma + 1,)
    with mpmath.workdps(50):
        unit = mpmath.mpf(step)
        assert relative_error(times[0], unit) < 1e-15
        for k in range(1, gamma + 1):
            passes = [unit, *[unit * c] * k, *[unit * b] * k, unit * o]
            assert relative_error(times[k], mpmath.fsum(passes)) < 1e-14


@given(extras, extras, extras, st.integers(0, 60))
def test_in_plain_steps_the_law_is_the_cost_of_the_speedup_formula(
    c: float, b: float, o: float, gamma: int
) -> None:
    law = AffineCost(c, b, o)
    expected = round_cost(np.arange(gamma + 1), c, verify_slope=b, overhead=o)
    np.testing.assert_allclose(law.round_time(gamma), expected, rtol=1e-15)


@given(extras, extras, extras, decades(-3, 3))
def test_a_plain_step_pays_no_overhead_and_time_scales_with_the_step(
    c: float, b: float, o: float, step: float
) -> None:
    times = AffineCost(c, b, o, step).round_time(8)
    assert times[0] == step
    assert (np.diff(times) >= 0).all()
    np.testing.assert_allclose(times, step * AffineCost(c, b, o).round_time(8), rtol=1e-15)


def test_batch_and_context_do_not_enter() -> None:
    law = AffineCost(0.05, 0.01, 0.1)
    np.testing.assert_array_equal(law.round_time(4), law.round_time(4, batch=64, context=9000))


def test_arrays_of_parameters_are_laws_side_by_side() -> None:
    c, o = np.array([[0.01], [0.2]]), np.array([0.0, 0.1, 1.0])
    law = AffineCost(c, 0.02, o)
    assert law.shape == (2, 3)
    assert isinstance(law, CostLaw)
    many = law.round_time(5)
    assert many.shape == (2, 3, 6)
    for i in range(2):
        for j in range(3):
            one = AffineCost(float(c[i, 0]), 0.02, float(o[j]))
            np.testing.assert_array_equal(many[i, j], one.round_time(5))


def test_a_round_beyond_the_largest_float_takes_forever() -> None:
    times = AffineCost(1e308).round_time(3)
    assert times[0] == 1.0
    assert np.isinf(times[3])
