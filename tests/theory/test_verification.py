"""Acceptance from probabilities and logits, and verification by token, by enumeration."""

from __future__ import annotations

import mpmath
import numpy as np
import pytest
from exact import at_digits, probabilities, relative_error
from howspec.theory.trees.verification import (
    block_accept_probability,
    block_weight_step,
    greedy_draft_acceptance,
    overlap,
    overlap_from_logits,
    residual,
    sampled_from,
    temperature_sweep,
    two_token_overlap,
)
from hypothesis import given
from hypothesis import strategies as st


def laws(size: int, *, zeros: bool = True) -> st.SearchStrategy[np.ndarray]:
    """Distributions over ``size`` tokens, with holes unless told otherwise."""
    weight = st.floats(0.01, 1)
    if zeros:
        weight = st.one_of(weight, st.just(0.0))
    return (
        st.lists(weight, min_size=size, max_size=size)
        .filter(lambda w: sum(w) > 0)
        .map(lambda w: np.array(w) / sum(w))
    )


pairs = st.integers(1, 6).flatmap(lambda v: st.tuples(laws(v), laws(v)))


@given(pairs)
def test_overlap_is_one_minus_the_total_variation_and_symmetric(pair: tuple) -> None:
    p, q = pair
    with mpmath.workdps(50):
        a = [mpmath.mpf(x) for x in p]
        b = [mpmath.mpf(x) for x in q]
        a = [x / mpmath.fsum(a) for x in a]
        b = [x / mpmath.fsum(b) for x in b]
        variation = mpmath.fsum(abs(x - y) for x, y in zip(a, b, strict=True)) / 2
        assert abs(overlap(p, q) - (1 - variation)) < 1e-14
    assert overlap(p, q) == overlap(q, p)
    assert overlap(p, p) == pytest.approx(1, abs=1e-15)
    assert 0 <= overlap(p, q) <= 1


@given(pairs)
def test_accepting_and_redrawing_gives_the_target_exactly(pair: tuple) -> None:
    p, q = pair
    output, rejected = np.zeros(p.size), 0.0
    for x in range(p.size):
        if q[x] > 0:
            accept = min(1.0, p[x] / q[x])
            output[x] += q[x] * accept
            rejected += q[x] * (1 - accept)
    assert 1 - rejected == pytest.approx(overlap(p, q), abs=1e-14)
    output += rejected * residual(p, q)
    np.testing.assert_allclose(output, p, atol=1e-14)
    assert residual(p, q).sum() == pytest.approx(1)


@given(st.integers(3, 6).flatmap(lambda v: st.tuples(laws(v), laws(v))))
def test_merging_two_tokens_never_lowers_the_overlap(pair: tuple) -> None:
    p, q = pair
    merged = [np.append(x[2:], x[0] + x[1]) for x in (p, q)]
    assert overlap(*merged) >= overlap(p, q) - 1e-15
    order = np.arange(p.size)[::-1]
    assert overlap(p[order], q[order]) == pytest.approx(overlap(p, q), rel=1e-14)


@given(probabilities(), probabilities())
def test_two_tokens_are_the_general_overlap(p: float, q: float) -> None:
    with mpmath.workdps(400):
        exact = 1 - abs(mpmath.mpf(p) - mpmath.mpf(q))
        assert relative_error(two_token_overlap(p, q), exact) < 1e-15
    assert overlap([p, 1 - p], [q, 1 - q]) == pytest.approx(float(exact), rel=1e-14)


@given(pairs)
def test_a_greedy_draft_is_accepted_with_the_targets_mass_of_its_argmax(pair: tuple) -> None:
    p, q = pair
    best = int(q.argmax())
    certain = np.eye(q.size)[best]
    assert greedy_draft_acceptance(p, q) == pytest.approx(overlap(p, certain), rel=1e-14)
    assert greedy_draft_acceptance([p, p], [q, q]).shape == (2,)


def test_positions_are_rows() -> None:
    p, q = np.array([[0.5, 0.5], [1.0, 0.0]]), np.array([[0.2, 0.8], [0.3, 0.7]])
    np.testing.assert_allclose(overlap(p, q), [0.7, 0.3])
    np.testing.assert_allclose(residual(p, q), [[1, 0], [1, 0]])
    np.testing.assert_allclose(residual(p, p), p)
    assert greedy_draft_acceptance(p, q).tolist() == [0.5, 0.0]
    assert type(overlap([1.0], [1.0])) is float


@given(
    st.lists(st.floats(-30, 30), min_size=1, max_size=7),
    st.floats(0.05, 20),
    st.one_of(st.none(), st.integers(1, 8)),
    st.one_of(st.just(1.0), st.floats(0.01, 1)),
)
def test_transforms_equal_the_slow_ones_written_out(
    logits: list[float], temperature: float, top_k: int | None, top_p: float
) -> None:
    got = sampled_from(logits, temperature=temperature, top_k=top_k, top_p=top_p)
    with mpmath.workdps(40):
        weights = [mpmath.e ** (mpmath.mpf(z) / mpmath.mpf(temperature)) for z in logits]
        order = sorted(range(len(logits)), key=lambda i: (-logits[i], i))
        if top_k is not None and top_k < len(order):
            edge = logits[order[top_k - 1]]
            order = [i for i in order if logits[i] >= edge]
        total = mpmath.fsum(weights[i] for i in order)
        kept, reached = [], mpmath.mpf(0)
        for i in order:
            if abs(reached - top_p) < 1e-12:
                return  # the edge falls on a rounding
            if reached >= top_p:
                break
            kept.append(i)
            reached += weights[i] / total
        total = mpmath.fsum(weights[i] for i in kept)
        expected = [float(weights[i] / total) if i in kept else 0.0 for i in range(len(logits))]
    np.testing.assert_allclose(got, expected, rtol=1e-11, atol=1e-300)


def test_transforms_work_row_by_row_and_keep_ruled_out_tokens_out() -> None:
    rows = np.array([[0.0, -np.inf, 1.0], [3.0, 2.0, 1.0]])
    got = sampled_from(rows, top_k=2)
    assert got[0, 1] == got[1, 2] == 0
    np.testing.assert_allclose(got.sum(axis=-1), 1)
    np.testing.assert_array_equal(sampled_from(rows, top_k=2)[0], sampled_from(rows[0], top_k=2))
    assert sampled_from([0.0, 0.0, -1.0], top_k=1).tolist() == [0.5, 0.5, 0]
    assert sampled_from([0.0, 0.0], top_p=0.3).tolist() == [1, 0]
    assert sampled_from([1.0, 3.0, 3.0], temperature=0).tolist() == [0, 1, 0]
    assert sampled_from([0.0, 1e300], temperature=1e-300).tolist() == [0, 1]


def test_acceptance_from_logits_transforms_both_models() -> None:
    rng = np.random.default_rng(5)
    target, draft = rng.normal(size=(2, 4, 9))
    got = overlap_from_logits(target, draft, temperature=0.7, top_k=5, top_p=0.8)
    for i in range(4):
        p = sampled_from(target[i], temperature=0.7, top_k=5, top_p=0.8)
        q = sampled_from(draft[i], temperature=0.7, top_k=5, top_p=0.8)
        assert got[i] == pytest.approx(np.minimum(p, q).sum(), rel=1e-14)
    assert (overlap_from_logits(target, target) == pytest.approx(1)) is True


def test_temperature_sweeps_from_agreement_of_argmaxes_to_one() -> None:
    rng = np.random.default_rng(6)
    target, draft = 3 * rng.normal(size=(2, 40, 6))
    sweep = temperature_sweep(target, draft, temperatures=[1e-4, 0.5, 1.0, 1e6])
    assert sweep.shape == (4,)
    assert sweep[0] == pytest.approx((target.argmax(-1) == draft.argmax(-1)).mean(), abs=1e-9)
    assert sweep[2] == pytest.approx(np.mean(overlap_from_logits(target, draft)), rel=1e-14)
    assert sweep[3] == pytest.approx(1, abs=1e-4)
    # The spread of the logits' difference bounds how far the laws can differ at any temperature.
    spread = np.ptp(target - draft, axis=-1)
    for t in (0.3, 1.0, 4.0, 20.0):
        floor = 1 - np.tanh(spread / (4 * t))
        assert (overlap_from_logits(target, draft, temperature=t) >= floor - 1e-12).all()
    only = temperature_sweep(target, draft, temperatures=1.0, top_k=1)
    assert only[0] == pytest.approx(sweep[0], abs=1e-9)


def test_acceptance_need_not_rise_with_temperature() -> None:
    target, draft = np.array([4.0, 3.0, 3.0]), np.array([4.0, 0.0, 0.0])
    sweep = temperature_sweep(target, draft, temperatures=[0.05, 1.0, 100.0])
    assert sweep[1] < sweep[0]
    assert sweep[1] < sweep[2]


@given(probabilities(), probabilities(), probabilities())
def test_a_step_of_the_block_weight_is_the_capped_ratio(h: float, p: float, q: float) -> None:
    got = block_weight_step(h, p, q)
    assert 0 <= got <= 1
    if q == 0:
        assert got == (1.0 if h * p > 0 else 0.0)
        return
    with mpmath.workdps(50):
        exact = min(mpmath.mpf(1), mpmath.mpf(h) * mpmath.mpf(p) / mpmath.mpf(q))
        if h * p > 1e-290 or exact == 0:
            assert relative_error(got, exact) < 1e-15
        printed = at_digits(block_weight_step, block_weight=h, target_mass=p, draft_mass=q)
        assert relative_error(printed, exact) < 1e-14


@given(probabilities(), probabilities())
def test_a_test_of_the_block_passes_with_the_surplus_over_what_is_missing(
    h: float, s: float
) -> None:
    got = block_accept_probability(h, s)
    assert 0 <= got <= 1
    if h < 1:
        with mpmath.workdps(400):
            exact = mpmath.mpf(s) / (mpmath.mpf(s) + 1 - mpmath.mpf(h))
            assert relative_error(got, exact) < 1e-14
    else:
        assert got == 1
