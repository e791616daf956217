"""Other laws of draft size: log-linear, published, and from loss to acceptance."""

from __future__ import annotations

import math
from typing import Any

import mpmath
import numpy as np
import pytest
from exact import at_digits, decades, relative_error
from howspec.theory.scale.other_laws import (
    acceptance_from_divergence,
    exponential_acceptance,
    half_exponential_acceptance,
    log_linear_scale,
    log_linear_speedup,
    pinsker_acceptance,
    sdsl_acceptance,
    sdsl_line,
    sdsl_size,
    training_loss,
)
from hypothesis import example, given, settings
from hypothesis import strategies as st

few = settings(max_examples=40)
extras = st.one_of(st.just(0.0), decades(-4, 0))


@given(
    a=st.floats(0.3, 1.2),
    b=decades(-4, 0),
    costs=st.tuples(extras, decades(-2, 2), extras, extras),
)
@example(a=0.95, b=0.08, costs=(0.02, 1.3, 0.03, 0.2))
def test_log_linear_optimum_solves_its_equation_and_beats_its_neighbours(
    a: float, b: float, costs: tuple[float, float, float, float]
) -> None:
    names = ("cost_floor", "cost_slope", "verify_slope", "overhead")
    p = dict(zip(names, costs, strict=True))
    with mpmath.workdps(60):
        fixed = 1 + mpmath.mpf(costs[0]) + costs[2] + costs[3]
        top, per = 1 + mpmath.mpf(a), mpmath.mpf(b)

        def speedup(s: Any) -> Any:
            return (top + per * mpmath.log(s)) / (fixed + costs[1] * s)

        # dS/ds = 0: b (fixed + c_1 s) = c_1 s (1 + a + b ln s), solved by bisection in ln s.
        def excess(x: Any) -> Any:
            s = mpmath.exp(x)
            return per * (fixed + costs[1] * s) - costs[1] * s * (top + per * x)

        low, high = max(mpmath.mpf(-60), -top / per), mpmath.mpf(30)
        for _ in range(110):
            mid = (low + high) / 2
            low, high = (mid, high) if excess(mid) > 0 else (low, mid)
        exact = mpmath.exp(low)
        alpha = top - 1 + per * low
        point = {"acceptance_intercept": a, "acceptance_per_log_scale": b, **p}
        if 0 <= alpha <= 1:
            stated = at_digits(log_linear_scale, 60, **point)
            assert abs(stated / exact - 1) < mpmath.mpf(10) ** -25
            peak = at_digits(log_linear_speedup, 60, **point)
            assert abs(peak / speedup(exact) - 1) < mpmath.mpf(10) ** -25
    got = log_linear_scale(a, b, **p)
    if 1e-9 < alpha < 1 - 1e-9:
        assert relative_error(got, exact) < 1e-12
        assert relative_error(log_linear_speedup(a, b, **p), speedup(exact)) < 1e-12
        assert speedup(mpmath.mpf(got)) >= speedup(mpmath.mpf(got) * 1.001)
        assert speedup(mpmath.mpf(got)) >= speedup(mpmath.mpf(got) / 1.001)
    elif not -1e-9 < alpha < 1 + 1e-9:
        assert math.isnan(got)


def test_log_linear_optimum_survives_where_the_exponential_overflows() -> None:
    m = (1 + 0.9 - 1e-4) / 1e-4
    assert m > 1000  # e^m is beyond the largest float
    s = log_linear_scale(0.9, 1e-4, cost_floor=0.0, cost_slope=1.0)
    w = 1.0 / s
    assert w + math.log(w) == pytest.approx(m, rel=1e-14)


@given(decades(6, 12), decades(8, 14))
@few
def test_training_loss_and_line_are_the_published_ones(n: float, d: float) -> None:
    with mpmath.workdps(50):
        loss = mpmath.mpf("1.69") + mpmath.mpf("406.4") / mpmath.mpf(n) ** mpmath.mpf("0.34")
        loss += mpmath.mpf("410.7") / mpmath.mpf(d) ** mpmath.mpf("0.28")
        stated = at_digits(training_loss, parameters=n, training_tokens=d)
        assert abs(stated / loss - 1) < mpmath.mpf(10) ** -30
        line = mpmath.mpf("2.71e-3") * n + mpmath.mpf("8.7e7")
        assert abs(at_digits(sdsl_line, target_parameters=n) / line - 1) < mpmath.mpf(10) ** -30
    assert relative_error(training_loss(n, d), loss) < 1e-14
    assert relative_error(sdsl_line(n), line) < 1e-14


@given(st.floats(1, 120), st.floats(1, 60))
@few
def test_baseline_acceptance_is_affine_in_the_perplexities(draft: float, target: float) -> None:
    with mpmath.workdps(40):
        exact = mpmath.mpf("0.6421") + mpmath.mpf("0.0130") * target
        exact -= mpmath.mpf("0.0067") * draft
        point = {"draft_perplexity": draft, "target_perplexity": target}
        assert abs(at_digits(sdsl_acceptance, **point) - exact) < mpmath.mpf(10) ** -30
    got = sdsl_acceptance(draft, target)
    if 1e-9 < exact < 1 - 1e-9:
        assert abs(got - exact) < 1e-15
    elif not -1e-9 < exact < 1 + 1e-9:
        assert math.isnan(got)


@pytest.mark.parametrize(
    ("billions", "millions"), [(13, 104), (30, 167), (66, 266), (70, 275.5), (110, 362)]
)
def test_baseline_sizes_are_reproduced(billions: float, millions: float) -> None:
    best = sdsl_size(billions * 1e9)
    assert best.parameters / 1e6 == pytest.approx(millions, abs=0.6)
    near = abs(best.parameters / sdsl_line(billions * 1e9) - 1)
    assert near < (0.01 if 30 <= billions <= 70 else 0.16)


@pytest.mark.parametrize(
    ("billions", "floor", "ratio", "gamma"),
    [(13, 0.05, 86, 4.4), (13, 0.1, 74, 3.3), (70, 0.05, 157, 4.7), (70, 0.1, 133, 3.5)],
)
def test_a_latency_floor_makes_the_best_draft_larger_and_its_draft_shorter(
    billions: float, floor: float, ratio: float, gamma: float
) -> None:
    base, floored = sdsl_size(billions * 1e9), sdsl_size(billions * 1e9, cost_floor=floor)
    assert billions * 1e9 / floored.parameters == pytest.approx(ratio, abs=0.6)
    assert floored.gamma == pytest.approx(gamma, abs=0.06)
    assert floored.parameters > 1.3 * base.parameters
    assert 8 < base.gamma < 11
    assert floored.speedup < base.speedup


def test_baseline_size_beats_its_neighbours_and_follows_the_target_sublinearly() -> None:
    from howspec.theory.optimum import optimal_speedup

    best = sdsl_size(20e9, training_tokens=2e12, draft_tokens=5e11)

    def value(n: float) -> float:
        draft = math.exp(training_loss(n, 5e11))
        alpha = sdsl_acceptance(draft, math.exp(training_loss(20e9, 2e12)))
        return float(optimal_speedup(alpha, n / 20e9))

    assert best.speedup == pytest.approx(value(best.parameters), rel=1e-12)
    assert best.speedup >= max(value(best.parameters * f) for f in (0.9, 0.99, 1.01, 1.1))
    slope = math.log(sdsl_size(100e9).parameters / sdsl_size(10e9).parameters) / math.log(10)
    assert 0.55 < slope < 0.62


@given(st.one_of(st.just(0.0), decades(-12, 2.8)))
def test_loss_bounds_are_their_definitions_at_many_digits(kl: float) -> None:
    with mpmath.workdps(700):
        k = mpmath.mpf(kl)
        first = max(mpmath.mpf(0), 1 - mpmath.sqrt(k / 2))
        second = 1 - mpmath.sqrt(1 - mpmath.exp(-k))
        third = mpmath.exp(-k) / 2
    for function, exact in (
        (pinsker_acceptance, first),
        (exponential_acceptance, second),
        (half_exponential_acceptance, third),
        (acceptance_from_divergence, max(first, second)),
    ):
        stated = at_digits(function, 700, divergence=kl)
        assert abs(stated - exact) < mpmath.mpf(10) ** -400
        assert abs(function(kl) - exact) <= 1e-12 * exact + mpmath.mpf(10) ** -16 * (exact > 1e-5)


def test_no_pair_of_distributions_is_accepted_less_than_the_bounds_say() -> None:
    rng = np.random.default_rng(11)
    sharpness = rng.uniform(0.02, 3.0, (20_000, 1))
    p = rng.dirichlet(np.ones(5), 20_000) ** sharpness
    q = rng.dirichlet(np.ones(5), 20_000) ** sharpness[::-1]
    p, q = p / p.sum(1, keepdims=True), q / q.sum(1, keepdims=True)
    kl = np.maximum((p * np.log(p / q)).sum(1), 0.0)
    alpha = np.minimum(p, q).sum(1)
    assert (alpha >= acceptance_from_divergence(kl) - 1e-12).all()
    assert (exponential_acceptance(kl) >= half_exponential_acceptance(kl)).all()
    # Averages obey the bound too, and it is not idle: some pairs come close to it.
    assert alpha.mean() >= acceptance_from_divergence(kl.mean())
    assert (alpha - acceptance_from_divergence(kl)).min() < 0.02


def test_the_two_bounds_change_over_where_the_docstring_says() -> None:
    assert pinsker_acceptance(1.59) > exponential_acceptance(1.59)
    assert pinsker_acceptance(1.60) < exponential_acceptance(1.60)


def test_log_linear_scale_survives_a_root_below_the_smallest_float() -> None:
    a, b, slope = -1035.0, 1.5, 1e30
    m = (1 + a) / b - 1
    assert np.log(1.1 / slope) + m < -745  # W0 of it is no float, and its logarithm is the argument
    scale = log_linear_scale(a, b, cost_floor=0.1, cost_slope=slope)
    assert scale == pytest.approx(np.exp(-m), rel=1e-10)
