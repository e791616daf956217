"""The turning point in draft size against scans, and its formulas against their definitions."""

from __future__ import annotations

import math
from typing import Any

import mpmath
import numpy as np
import pytest
from exact import at_digits, counts, decades, probabilities, relative_error
from howspec.theory.regret import neighbour_loss
from howspec.theory.scale.law import (
    DraftScaleLaw,
    acceptance_at_scale,
    cost_at_scale,
    drafting_share,
    rejection_sensitivity,
)
from hypothesis import assume, example, given, settings
from hypothesis import strategies as st

floors = st.one_of(st.just(0.0), st.floats(0.0, 0.6))
extras = st.one_of(st.just(0.0), decades(-4, 0))
# Sizes, laws and costs as they occur and well beyond.
LAW = {
    "rejection_floor": floors,
    "rejection_coefficient": decades(-4, -0.1),
    "rejection_exponent": st.floats(0.05, 1.5),
}
COSTS = {
    "cost_floor": extras,
    "cost_slope": decades(-2, 1),
    "verify_slope": extras,
    "overhead": extras,
}
laws = st.builds(DraftScaleLaw, **LAW, **COSTS)
FULL = DraftScaleLaw(0.07, 0.11, 0.3, 0.02, 1.3, verify_slope=0.03, overhead=0.2)


def speedup_by_hand(law: DraftScaleLaw, scale: float, gamma: int) -> Any:
    """The speed-up of one size, token by token at 50 digits; NaN outside the law."""
    with mpmath.workdps(50):
        s = mpmath.mpf(scale)
        rejected = law.rejection_floor + law.rejection_coefficient / s ** mpmath.mpf(
            law.rejection_exponent
        )
        if not 0 <= rejected <= 1:
            return mpmath.nan
        tokens = mpmath.fsum((1 - rejected) ** i for i in range(gamma + 1))
        time = mpmath.mpf(1)
        for _ in range(gamma):
            time += law.cost_floor + law.cost_slope * s
            time += law.verify_slope
        return tokens / (time + (law.overhead if gamma else 0))


def sensitivity_by_hand(alpha: float, gamma: int) -> Any:
    """-d ln E[N] / d ln(1 - alpha) from the derivative of every power."""
    a = mpmath.mpf(alpha)
    tokens = mpmath.fsum(a**i for i in range(gamma + 1))
    slope = mpmath.fsum(i * a ** (i - 1) for i in range(1, gamma + 1))
    return (1 - a) * slope / tokens


# --- the formulas ---------------------------------------------------------------------------


@given(scale=decades(-6, 1), **LAW)
def test_acceptance_law_is_one_less_floor_and_power(scale: float, **law: float) -> None:
    d, a, b = law.values()
    with mpmath.workdps(50):
        power = mpmath.exp(-mpmath.mpf(b) * mpmath.log(mpmath.mpf(scale)))
        exact = 1 - mpmath.mpf(d) - mpmath.mpf(a) * power
    got = acceptance_at_scale(scale, d, a, b)
    if 1e-12 < exact < 1 - 1e-12:
        assert abs(got - exact) < 1e-14
    elif not -1e-12 < exact < 1 + 1e-12:
        assert math.isnan(got)


@given(decades(-6, 1), extras, decades(-3, 2))
@example(0.05, 0.02, 1.3)
def test_cost_law_is_a_floor_and_a_part_in_size(scale: float, floor: float, slope: float) -> None:
    exact = mpmath.mpf(floor) + mpmath.mpf(slope) * mpmath.mpf(scale)
    assert relative_error(cost_at_scale(scale, floor, slope), exact) < 1e-14


@given(probabilities(), counts(200))
def test_sensitivity_is_the_log_derivative_of_the_tokens(alpha: float, gamma: int) -> None:
    with mpmath.workdps(700 if alpha < 1e-200 else 80):
        exact = sensitivity_by_hand(alpha, gamma)
        if 0 < alpha < 1:
            stated = at_digits(rejection_sensitivity, 700, alpha=alpha, gamma=gamma)
            assert abs(stated - exact) < mpmath.mpf(10) ** -30
    got = rejection_sensitivity(alpha, gamma)
    assert 0.0 <= got <= 1.0
    assert relative_error(got, exact) < 1e-11 or (exact == 0 and got == 0)


@given(st.floats(0, 1), st.integers(1, 40))
def test_sensitivity_falls_in_alpha_and_rises_in_gamma(alpha: float, gamma: int) -> None:
    here = rejection_sensitivity(alpha, gamma)
    assert rejection_sensitivity(alpha + 0.01 * (1 - alpha), gamma) <= here + 1e-14
    assert rejection_sensitivity(alpha, gamma + 1) >= here - 1e-14


def test_sensitivity_ends_at_one_and_at_zero() -> None:
    np.testing.assert_array_equal(rejection_sensitivity(0.0, [1, 5, 50]), 1.0)
    np.testing.assert_array_equal(rejection_sensitivity(1.0, [0, 1, 5, 1e30]), 0.0)
    np.testing.assert_array_equal(rejection_sensitivity([0.0, 0.3, 1.0], 0), 0.0)


@given(st.floats(0.01, 0.99), counts(60), st.floats(0.05, 1.5), st.floats(0.0, 0.95))
def test_drafting_share_is_the_gain_of_size_in_the_tokens(
    alpha: float, gamma: int, exponent: float, part: float
) -> None:
    floor = part * (1 - alpha)
    with mpmath.workdps(50):
        above = (1 - mpmath.mpf(alpha) - floor) / (1 - mpmath.mpf(alpha))
        exact = mpmath.mpf(exponent) * above * sensitivity_by_hand(alpha, gamma)
    got = drafting_share(alpha, gamma, exponent, floor)
    assert relative_error(got, exact) < 1e-12 or gamma == 0
    assert 0.0 <= got <= exponent


# --- the turning point ----------------------------------------------------------------------


@given(laws, decades(-5, 0), st.integers(0, 12))
@example(FULL, 0.05, 4)
def test_speedup_of_a_size_is_tokens_over_time(law: DraftScaleLaw, scale: float, g: int) -> None:
    exact = speedup_by_hand(law, scale, g)
    got = law.speedup(scale, g)
    alpha = law.acceptance(scale)
    assert math.isnan(got) == math.isnan(alpha)
    if alpha > 1e-12:  # at the very edge of the law rounding decides
        assert relative_error(got, exact) < 1e-12
    elif not mpmath.isnan(exact):
        assert exact < 1 + 1e-9


def _grid(law: DraftScaleLaw, points: int) -> Any:
    """Log sizes from where the law gives alpha = 0 up to the target's size; None if empty."""
    low = math.log(float(law.smallest_scale()))
    return np.linspace(low + 1e-9, 0.0, points) if low < -1e-3 else None


@given(laws, st.integers(1, 12))
@example(FULL, 4)
@example(DraftScaleLaw(0.5625, 10**-0.4375, 0.5, 0.0, 1.0), 1)  # best at the lower end
def test_turning_point_in_size_is_the_top_of_a_scan(law: DraftScaleLaw, gamma: int) -> None:
    x = _grid(law, 2001)
    best = law.optimal_scale(gamma)
    assume(x is not None)
    values = np.asarray(law.speedup(np.exp(x), gamma))
    top = int(np.nanargmax(values))
    assert float(law.speedup(best, gamma)) >= values[top] * (1 - 1e-12)
    step = x[1] - x[0]
    assert abs(math.log(best) - x[top]) <= 1.01 * step + 1e-8


def test_two_best_sizes_are_no_further_apart_than_a_neighbouring_gamma_may_lose() -> None:
    law = DraftScaleLaw(0.1606, 0.1394, 0.1445, 0.0, 0.4788)
    own = {g: float(law.optimal_scale(g)) for g in range(1, 13)}
    local = [g for g, s in own.items() if g == 1 + int(np.argmax(law.speedup(s, np.arange(1, 14))))]
    assert local == [6, 7]
    values = {g: float(law.speedup(own[g], g)) for g in local}
    top = max(values, key=values.__getitem__)
    gap = 1.0 - min(values.values()) / values[top]
    assert 1e-4 < gap < neighbour_loss(law.acceptance(own[top]), top)


@given(laws, st.integers(1, 24))
def test_log_speedup_is_concave_in_log_size_so_the_turning_point_is_unique(
    law: DraftScaleLaw, gamma: int
) -> None:
    x = _grid(law, 201)
    assume(x is not None)
    log_speedup = np.log(np.asarray(law.speedup(np.exp(x), gamma))[1:])
    assert (np.diff(log_speedup, 2) <= 1e-13).all()


@given(laws, st.integers(1, 12))
@example(FULL, 4)
def test_at_the_turning_point_the_round_spends_the_drafting_share_on_size(
    law: DraftScaleLaw, gamma: int
) -> None:
    x = _grid(law, 3)
    best = law.optimal_scale(gamma)
    if x is None or not math.exp(x[0]) * 1.01 < best < 0.99:
        return  # the best size is one of the ends
    grows = gamma * law.cost_slope * best
    time = 1 + gamma * (law.cost(best) + law.verify_slope) + law.overhead
    rule = drafting_share(law.acceptance(best), gamma, law.rejection_exponent, law.rejection_floor)
    assert grows / time == pytest.approx(rule, rel=1e-6)
    assert rule <= law.rejection_exponent


@given(laws)
@example(FULL)
@settings(max_examples=15)
def test_best_size_and_gamma_together_are_the_top_of_a_scan(law: DraftScaleLaw) -> None:
    scale, gamma, value = law.turning_point(4)
    x = _grid(law, 400)
    scanned = 1.0
    if x is not None:
        sizes = np.exp(x)[:, None]
        scanned = max(1.0, float(np.nanmax(law.speedup(sizes, np.arange(1, 5)))))
    assert value >= scanned * (1 - 1e-12)
    if gamma == 0:
        assert value == 1.0
        assert np.isnan(scale)
    else:
        assert value == law.speedup(float(scale), int(gamma)) > 1.0


@given(laws, st.integers(1, 8), st.floats(1.1, 4.0))
@settings(max_examples=30)
def test_a_higher_cost_floor_never_makes_the_best_draft_smaller(
    law: DraftScaleLaw, gamma: int, factor: float
) -> None:
    dearer = DraftScaleLaw(**{**vars(law), "cost_floor": float(law.cost_floor) * factor + 0.01})
    before, after = law.optimal_scale(gamma), dearer.optimal_scale(gamma)
    assert math.isnan(before) or after >= before * (1 - 1e-9)


def test_a_best_size_beyond_the_largest_is_the_largest() -> None:
    law = DraftScaleLaw(0.0, 0.3, 1.0, 0.0, 0.01)
    assert law.optimal_scale(8, largest=0.5) == pytest.approx(0.5, rel=1e-12)
    assert law.optimal_scale(8, largest=1e9) > 1.0


def test_no_accepted_size_gives_nan_and_plain_decoding() -> None:
    law = DraftScaleLaw(0.5, 0.6, 0.3, 0.1, 1.0)  # 1 - alpha = 1.1 for a draft like the target
    assert math.isnan(law.optimal_scale(4))
    assert math.isnan(law.acceptance(0.9))
    scale, gamma, value = law.turning_point()
    assert np.isnan(scale)
    assert gamma == 0
    assert value == 1.0


def test_sizes_beyond_double_precision_do_not_break_the_search() -> None:
    flat = DraftScaleLaw(0.0, [0.5, 2.0, 0.5, 0.5], [1e-3, 1e-3, 1e-300, 40.0], 0.01, 1.0)
    low = flat.smallest_scale()
    assert low[0] < 1e-300
    assert low[1] > 1e300
    assert low[2] == 0.0
    best = flat.optimal_scale(5)
    assert np.isnan(best[1])
    assert np.isfinite(best[[0, 2, 3]]).all()
    assert (best[[0, 3]] > 0).all()


def test_a_sample_of_laws_is_as_many_laws() -> None:
    rng = np.random.default_rng(5)
    d, a, b = rng.uniform(0, 0.2, 7), rng.uniform(0.02, 0.3, 7), rng.uniform(0.1, 0.6, 7)
    many = DraftScaleLaw(d, a, b, 0.02, 1.0, verify_slope=0.01, overhead=0.05)
    scale, gamma, value = many.turning_point(9)
    assert scale.shape == gamma.shape == value.shape == (7,)
    for i in range(7):
        one = DraftScaleLaw(d[i], a[i], b[i], 0.02, 1.0, verify_slope=0.01, overhead=0.05)
        np.testing.assert_allclose(
            [scale[i], gamma[i], value[i]], [float(x) for x in one.turning_point(9)], rtol=1e-12
        )


@pytest.mark.parametrize(
    ("name", "bad"),
    [
        ("rejection_floor", 1.0),
        ("rejection_floor", -0.1),
        ("rejection_coefficient", 0.0),
        ("rejection_exponent", math.nan),
        ("cost_floor", -0.01),
        ("cost_slope", 0.0),
        ("verify_slope", math.inf),
        ("overhead", -1.0),
    ],
)
def test_a_parameter_outside_its_range_is_refused_by_name(name: str, bad: float) -> None:
    good = dict(
        zip(
            ["rejection_floor", "rejection_coefficient", "rejection_exponent", "cost_floor"],
            [0.05, 0.1, 0.3, 0.02],
            strict=True,
        ),
        cost_slope=1.0,
    )
    with pytest.raises(ValueError, match=name):
        DraftScaleLaw(**{**good, name: bad})
