"""Speed-up, reduced cost and break-even against their definitions."""

from __future__ import annotations

from itertools import accumulate

import mpmath
import numpy as np
import pytest
from exact import EDGES, at_digits, counts, decades, probabilities, relative_error, tokens_of_round
from howspec.theory.speedup import break_even_alpha, reduced_cost, round_cost, speedup
from hypothesis import assume, example, given
from hypothesis import strategies as st

costs = decades(-6, 0)
extras = st.one_of(st.just(0.0), decades(-6, 1))


def round_of(gamma: int, c: float, b: float, o: float) -> mpmath.mpf:
    """Time of a round, added up pass by pass."""
    if gamma == 0:
        return mpmath.mpf(1)
    drafts = mpmath.fsum(mpmath.mpf(c) for _ in range(gamma))
    verify = 1 + mpmath.fsum(mpmath.mpf(b) for _ in range(gamma))
    return drafts + verify + mpmath.mpf(o)


@given(probabilities(), counts(1_000), costs, extras, extras)
@example(1 - 1e-15, 10_000, 1e-6, 0.0, 0.0)
@example(0.9, 10_000, 0.3, 1e-6, 10.0)
def test_speedup_equals_tokens_over_the_time_of_the_passes(
    alpha: float, gamma: int, c: float, b: float, o: float
) -> None:
    with mpmath.workdps(50):
        cost = round_of(gamma, c, b, o)
        assert relative_error(round_cost(gamma, c, verify_slope=b, overhead=o), cost) < 1e-14
        got = speedup(alpha, gamma, c, verify_slope=b, overhead=o)
        assert relative_error(got, tokens_of_round(alpha, gamma) / cost) < 1e-14


@given(probabilities().filter(lambda a: 1e-30 < a < 1), st.integers(1, 300), costs, extras, extras)
def test_printed_speedup_and_reduced_cost_equal_the_passes(
    alpha: float, gamma: int, c: float, b: float, o: float
) -> None:
    with mpmath.workdps(90):
        exact = tokens_of_round(alpha, gamma) / round_of(gamma, c, b, o)
        point = {"cost_ratio": c, "verify_slope": b, "overhead": o}
        got = at_digits(speedup, 90, alpha=alpha, gamma=gamma, **point)
        assert relative_error(got, exact) < 1e-15
        per_token = (round_of(2, c, b, o) - round_of(1, c, b, o)) / (1 + mpmath.mpf(o))
        assert relative_error(at_digits(reduced_cost, 90, **point), per_token) < 1e-15
        assert relative_error(reduced_cost(c, b, o), per_token) < 1e-15


@given(probabilities(), st.integers(1, 500), costs, extras, extras)
def test_every_affine_cost_reduces_to_the_ideal_law(
    alpha: float, gamma: int, c: float, b: float, o: float
) -> None:
    plain = speedup(alpha, gamma, reduced_cost(c, b, o)) / (1 + o)
    assert speedup(alpha, gamma, c, verify_slope=b, overhead=o) == pytest.approx(plain, rel=1e-14)
    swapped = speedup(alpha, gamma, b, verify_slope=c, overhead=o)
    assert swapped == pytest.approx(plain, rel=1e-14), "draft and verify cost are interchangeable"


@given(probabilities(), extras, extras, extras)
def test_no_draft_is_exactly_plain_decoding(alpha: float, c: float, b: float, o: float) -> None:
    assert speedup(alpha, 0, c, verify_slope=b, overhead=o) == 1
    assert round_cost(0, c, verify_slope=b, overhead=o) == 1


@given(probabilities(), probabilities(), st.integers(1, 200), costs, costs, extras)
def test_speedup_rises_with_alpha_falls_with_cost_and_stays_below_its_ceilings(
    alpha: float, other: float, gamma: int, c: float, d: float, o: float
) -> None:
    low, high = sorted((alpha, other))
    cheap, dear = sorted((c, d))
    slack = 1 + 1e-14
    value = speedup(low, gamma, dear, overhead=o)
    assert value <= speedup(high, gamma, dear, overhead=o) * slack
    assert value <= speedup(low, gamma, cheap, overhead=o) * slack
    assert speedup(low, gamma, dear, overhead=2 * o + 0.1) < value
    # An oracle that drafts exactly as many tokens as will be accepted is the ceiling.
    assert speedup(low, gamma, dear) <= slack / (1 - low * (1 - dear))


@given(probabilities(), costs)
def test_drafting_can_pay_exactly_when_alpha_exceeds_the_cost_ratio(alpha: float, c: float) -> None:
    assume(abs(alpha - c) >= 1e-12)
    gammas = np.arange(1, 65)
    assert (speedup(alpha, gammas, c).max() > 1) == (alpha > c)
    if alpha > c:
        assert speedup(alpha, gammas, c).max() >= (1 + alpha) / (1 + c) * (1 - 1e-15)


@given(extras, extras)
def test_break_even_without_overhead_is_the_cost_of_one_more_token(c: float, b: float) -> None:
    got = break_even_alpha(c, verify_slope=b)
    if c + b >= 1:
        assert got is None
    else:
        assert got == pytest.approx(c + b, rel=1e-14, abs=0)


@given(costs, extras, decades(-8, 1.5), st.integers(1, 64))
@example(1e-6, 0.0, 1e-12, 32)
def test_break_even_with_overhead_is_the_least_root_over_all_gammas(
    c: float, b: float, o: float, gamma_max: int
) -> None:
    got = break_even_alpha(c, verify_slope=b, overhead=o, gamma_max=gamma_max)
    with mpmath.workdps(50):
        each = mpmath.mpf(c) + mpmath.mpf(b)
        excess = {g: mpmath.mpf(o) + g * each for g in range(1, gamma_max + 1)}
        excess = {g: e for g, e in excess.items() if e < g * (1 - mpmath.mpf(10) ** -14)}
        low, high = mpmath.mpf(0), mpmath.mpf(1)
        for _ in range(120 if excess else 0):
            mid = (low + high) / 2
            powers = list(accumulate(mid**k for k in range(1, gamma_max + 1)))
            pays = any(powers[g - 1] > e for g, e in excess.items())
            low, high = (low, mid) if pays else (mid, high)
    if excess:
        assert got == pytest.approx(float(high), rel=1e-12, abs=1e-20)
        assert 0 <= got < 1
    elif got is not None:
        assert got > 1 - 1e-9  # the cost meets gamma itself to within rounding


def test_break_even_is_where_the_best_speedup_passes_one() -> None:
    threshold = break_even_alpha(0.05, verify_slope=0.01, overhead=0.4)
    assert threshold is not None
    gammas = np.arange(1, 33)
    for side, pays in ((1 - 1e-9, False), (1 + 1e-9, True)):
        best = speedup(threshold * side, gammas, 0.05, verify_slope=0.01, overhead=0.4).max()
        assert (best > 1) is np.bool_(pays)


def test_break_even_needs_longer_drafts_when_there_is_overhead() -> None:
    assert break_even_alpha(0.5, overhead=0.6, gamma_max=1) is None
    assert break_even_alpha(0.5, overhead=0.6, gamma_max=8) == pytest.approx(0.83, abs=0.03)
    assert break_even_alpha(0.0) == 0
    assert break_even_alpha(1.0) is None


def test_nothing_is_nan_or_warns_over_the_whole_domain() -> None:
    alpha = np.array(EDGES)[:, None, None, None]
    gamma = np.array([0, 1e-300, 0.5, 1, 33, 1e4, 1e160, 1e308])[:, None, None]
    cost = np.array([0, 5e-324, 1e-300, 1e-6, 0.5, 1, 10, 1e308])
    for o in (0.0, 0.1, 1e308):
        value = speedup(alpha, gamma, cost[:, None], verify_slope=cost, overhead=o)
        assert value.shape == (10, 8, 8, 8)
        assert (value >= 0).all()
        assert not np.isnan(reduced_cost(cost[:, None], cost, o)).any()
    assert type(speedup(0.8, 5, 0.05)) is float
