"""Pairs of distributions: transforms, overlap, residual, makers, and what is refused."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from howspec.sim.verify.distributions import (
    Pair,
    acceptance,
    dirichlet_pair,
    distribution,
    greedy,
    pair_from_logits,
    perturbed_logits,
    residual,
    sampling_distribution,
    softmax,
    total_variation,
    zipf,
)
from hypothesis import given, settings
from hypothesis import strategies as st

LOGITS = np.array([2.0, 1.0, 1.0, 0.0, -1.0, -np.inf])
SEEDS = st.integers(0, 2**32)


@given(SEEDS, st.integers(2, 300), st.sampled_from([0.02, 0.3, 3.0]))
def test_acceptance_is_one_minus_the_total_variation(
    seed: int, vocabulary: int, concentration: float
) -> None:
    rng = np.random.default_rng(seed)
    pair = dirichlet_pair(rng, vocabulary=vocabulary, concentration=concentration)
    alpha = acceptance(pair.target, pair.draft)
    assert alpha == pytest.approx(sum(map(min, pair.target, pair.draft)), abs=1e-13)
    assert alpha == pytest.approx(1.0 - total_variation(pair.target, pair.draft), abs=1e-13)
    assert alpha == acceptance(pair.draft, pair.target)
    shuffled = rng.permutation(vocabulary)
    assert alpha == pytest.approx(
        acceptance(pair.target[shuffled], pair.draft[shuffled]), abs=1e-13
    )
    merged = [np.append(x[2:], x[:2].sum()) for x in (pair.target, pair.draft)]
    if vocabulary > 2:
        assert acceptance(*merged) >= alpha - 1e-13


@given(SEEDS)
@settings(max_examples=40)
def test_accepted_mass_and_residual_add_up_to_the_target(seed: int) -> None:
    pair = dirichlet_pair(np.random.default_rng(seed), vocabulary=7, markov=True)
    alpha = acceptance(pair.target, pair.draft)
    rest = residual(pair.target, pair.draft)
    assert rest.sum(axis=1) == pytest.approx(np.ones(7), abs=1e-13)
    assert (rest[pair.target <= pair.draft] == 0.0).all()
    emitted = np.minimum(pair.target, pair.draft) + (1.0 - alpha)[:, None] * rest
    assert abs(emitted - pair.target).max() < 1e-14


def test_the_residual_of_equal_distributions_is_the_target() -> None:
    p = np.array([0.25, 0.75])
    assert residual(p, p).tolist() == p.tolist()
    assert acceptance(p, p) == 1.0
    assert acceptance([1.0, 0.0], [0.0, 1.0]) == 0.0


def test_temperature_divides_the_logits() -> None:
    expected = np.exp(LOGITS / 0.7)
    found = sampling_distribution(LOGITS, temperature=0.7)
    assert found == pytest.approx(expected / expected.sum(), abs=1e-15)
    assert found[-1] == 0.0


def test_temperature_zero_and_its_limit_are_the_argmax() -> None:
    for temperature in (0.0, 1e-3, 1e-310):
        assert sampling_distribution(LOGITS, temperature=temperature)[0] == 1.0
    assert sampling_distribution([1.0, 3.0, 3.0], temperature=0.0).tolist() == [0.0, 1.0, 0.0]
    assert greedy([[0.2, 0.8], [0.5, 0.5]]).tolist() == [[0.0, 1.0], [1.0, 0.0]]


def test_top_k_keeps_the_largest_and_ties_with_the_last_of_them() -> None:
    kept = {k: int((sampling_distribution(LOGITS, top_k=k) > 0.0).sum()) for k in (1, 2, 3, 4, 9)}
    assert kept == {1: 1, 2: 3, 3: 3, 4: 4, 9: 5}
    weights = np.exp([2.0, 1.0, 1.0])
    found = sampling_distribution(LOGITS, top_k=2)
    assert found[:3] == pytest.approx(weights / weights.sum(), abs=1e-15)


def test_top_p_keeps_the_smallest_set_that_holds_the_mass() -> None:
    p = np.array([0.0625, 0.5, 0.25, 0.125, 0.0625])
    expected = {0.01: [1], 0.5: [1], 0.51: [1, 2], 0.75: [1, 2], 0.9: [0, 1, 2, 3], 1.0: range(5)}
    for top_p, kept in expected.items():
        found = sampling_distribution(np.log(p), top_p=top_p)
        assert np.flatnonzero(found).tolist() == list(kept)
        assert found[list(kept)] == pytest.approx(p[list(kept)] / p[list(kept)].sum(), abs=1e-15)


@given(SEEDS, st.floats(0.2, 3.0), st.integers(1, 12), st.floats(0.05, 1.0))
def test_transforms_come_in_the_order_temperature_top_k_top_p(
    seed: int, temperature: float, top_k: int, top_p: float
) -> None:
    logits = np.random.default_rng(seed).normal(size=10) * 2.0
    found = sampling_distribution(logits, temperature=temperature, top_k=top_k, top_p=top_p)
    weights = dict(enumerate(np.exp(logits / temperature)))
    ranked = sorted(weights, key=weights.__getitem__, reverse=True)[:top_k]
    total, mass, kept = sum(weights[i] for i in ranked), 0.0, []
    for i in ranked:
        if kept and mass >= top_p * total * (1.0 - 1e-12):
            break
        kept.append(i)
        mass += weights[i]
    wanted = np.zeros(10)
    wanted[kept] = [weights[i] / mass for i in kept]
    assert found == pytest.approx(wanted, abs=1e-12)


def test_both_models_get_the_same_transforms() -> None:
    draft = LOGITS[::-1]
    pair = pair_from_logits(LOGITS, draft, temperature=0.5, top_k=3, top_p=0.8)
    for values, logits in ((pair.target, LOGITS), (pair.draft, draft)):
        wanted = sampling_distribution(logits, temperature=0.5, top_k=3, top_p=0.8)
        assert values == pytest.approx(wanted, abs=1e-15)


@given(SEEDS, st.floats(0.0, 0.8))
@settings(max_examples=40)
def test_perturbed_logits_reach_the_wanted_total_variation(seed: int, wanted: float) -> None:
    rng = np.random.default_rng(seed)
    logits = rng.normal(size=(12, 12))
    draft = perturbed_logits(rng, logits, total_variation=wanted)
    assert total_variation(softmax(logits), softmax(draft)) == pytest.approx(wanted, abs=1e-10)


def test_a_total_variation_beyond_the_noise_is_refused() -> None:
    with pytest.raises(ValueError, match=r"total_variation 0.6 is out of the reach of noise"):
        perturbed_logits(np.random.default_rng(0), np.zeros(2), total_variation=0.6)


def test_zipf_falls_with_the_rank() -> None:
    assert zipf(3) == pytest.approx(np.array([6, 3, 2]) / 11, abs=1e-15)
    assert zipf(4, exponent=0.0).tolist() == [0.25] * 4


def test_a_pair_is_normalised_to_rounding_and_knows_its_shape() -> None:
    assert distribution("target", [0.5, 0.5000005]).sum() == pytest.approx(1.0, abs=1e-15)
    single = np.array([0.1, 0.2, 0.7], np.float32)
    pair = Pair(single, single)
    assert pair.target.sum() == pytest.approx(1.0, abs=1e-15)
    assert (pair.vocabulary, pair.markov, pair.rows()[0].shape) == (3, False, (1, 3))
    assert Pair(np.eye(4), np.eye(4)).markov


@pytest.mark.parametrize(
    ("values", "message"),
    [
        ([0.5, 0.4], r"target must sum to 1 within 1e-06, got 0.9"),
        ([[0.5, 0.5], [0.5, 0.6]], r"target must sum to 1 within 1e-06, got 1.1"),
        ([0.5, 0.500002], r"target must sum to 1 within 1e-06, got 1.000002"),
        ([1.5, -0.5], r"target must hold probabilities in \[0, 1\], got 1.5"),
        ([1.0, -1e-9], r"target must hold probabilities in \[0, 1\], got -1e-09"),
        ([0.5, float("nan")], r"target must hold probabilities in \[0, 1\], got nan"),
        ([float("inf"), 0.5], r"target must hold probabilities in \[0, 1\], got inf"),
        ([1.0], r"vocabulary of at least 2 tokens, got shape \(1,\)"),
        (1.0, r"vocabulary of at least 2 tokens, got shape \(\)"),
        ("p", "target must be an array of probabilities"),
        ([[0.5, 0.5], [1.0]], "target must be an array of probabilities"),
        (np.zeros((0, 3)), r"got shape \(0, 3\)"),
    ],
)
def test_what_is_no_distribution_is_refused_in_one_line(values: Any, message: str) -> None:
    with pytest.raises(ValueError, match=message) as caught:
        distribution("target", values)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda: Pair(zipf(3), zipf(4)), "share one vocabulary"),
        (lambda: Pair(zipf(3), np.eye(3)), "share one vocabulary"),
        (lambda: Pair(np.eye(3)[:2], np.eye(3)[:2]), r"shape \(V,\) or \(V, V\), got \(2, 3\)"),
        (lambda: acceptance(zipf(3), zipf(4)), "share one vocabulary, got 3 and 4 tokens"),
        (lambda: sampling_distribution([0.0, np.nan]), "logits must be finite or -inf, got nan"),
        (lambda: sampling_distribution([0.0, np.inf]), "logits must be finite or -inf, got inf"),
        (lambda: sampling_distribution([-np.inf] * 2), "at least one token possible"),
        (lambda: sampling_distribution([0.0]), "at least 2 tokens"),
        (lambda: sampling_distribution("x"), "logits must be an array of numbers"),
        (lambda: sampling_distribution(LOGITS, temperature=-1.0), r"temperature .* got -1.0"),
        (lambda: sampling_distribution(LOGITS, temperature=np.nan), r"temperature .* got nan"),
        (lambda: sampling_distribution(LOGITS, top_p=0.0), r"top_p must be in \(0, 1\], got 0.0"),
        (lambda: sampling_distribution(LOGITS, top_p=np.nan), r"top_p .* got nan"),
        (lambda: sampling_distribution(LOGITS, top_k=0), r"top_k must be an integer .* got 0"),
        (lambda: zipf(1), "vocabulary must be an integer"),
        (lambda: zipf(3, exponent=-1.0), "exponent must be in"),
        (lambda: dirichlet_pair(np.random.default_rng(0), vocabulary=1), "vocabulary must be"),
        (
            lambda: dirichlet_pair(np.random.default_rng(0), vocabulary=3, concentration=0.0),
            "concentration must be in",
        ),
        (
            lambda: perturbed_logits(np.random.default_rng(0), LOGITS, total_variation=1.0),
            r"total_variation must be in \[0, 1\), got 1.0",
        ),
    ],
)
def test_bad_arguments_are_refused_in_one_line(call: Any, message: str) -> None:
    with pytest.raises(ValueError, match=message) as caught:
        call()
    assert "\n" not in str(caught.value)
