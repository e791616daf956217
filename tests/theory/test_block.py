"""Block verification against exact enumeration on small Markov models."""

from __future__ import annotations

import itertools

import numpy as np
import pytest
from howspec.theory.trees.block import (
    block_gain,
    block_next_token,
    block_passes,
    block_stop_law,
    block_weights,
    verify_block,
)
from howspec.theory.trees.verification import overlap
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import stats

few = settings(max_examples=40)


class Model:
    """A Markov model over a small vocabulary, and the laws along a prefix."""

    def __init__(self, rng: np.random.Generator, size: int, holes: float = 0.0) -> None:
        weights = rng.random((size + 1, size)) ** 2 + 1e-3
        weights *= rng.random(weights.shape) >= holes
        weights[:, 0] += (weights.sum(axis=1) == 0) * 1.0
        self.rows = weights / weights.sum(axis=1, keepdims=True)

    @property
    def start(self) -> np.ndarray:
        return self.rows[-1]

    @property
    def step(self) -> np.ndarray:
        return self.rows[:-1]

    def along(self, tokens: tuple[int, ...]) -> np.ndarray:
        """Laws after 0, 1, ... of the tokens."""
        return np.array([self.start, *(self.step[x] for x in tokens)])

    def chance(self, tokens: tuple[int, ...]) -> float:
        laws = self.along(tokens)
        return float(np.prod([laws[i, x] for i, x in enumerate(tokens)]))


def models(seed: int, size: int, holes: float) -> tuple[Model, Model]:
    rng = np.random.default_rng(seed)
    return Model(rng, size, holes), Model(rng, size, holes)


@pytest.mark.parametrize("seed", range(6))
def test_a_prefix_is_accepted_with_its_weight_whatever_its_own_test_says(seed: int) -> None:
    p, q = models(seed, 3, 0.0)
    gamma, depth = 3, 2
    for prefix in itertools.product(range(3), repeat=depth):
        reached = 0.0  # P(tau >= depth | prefix), over the rest of the draft
        for rest in itertools.product(range(3), repeat=gamma - depth):
            tokens = (*prefix, *rest)
            law = block_stop_law(p.along(tokens), q.along(tokens)[:-1], tokens)
            reached += law[depth:].sum() * q.chance(tokens) / q.chance(prefix)
        tokens = (*prefix, 0)
        weight = block_weights(p.along(tokens), q.along(tokens)[:-1], tokens)[depth]
        assert reached == pytest.approx(weight, rel=1e-12)


cases = st.tuples(st.integers(0, 10_000), st.integers(2, 3), st.sampled_from([0.0, 0.3]))


@given(cases, st.integers(0, 3))
@few
def test_the_output_of_a_round_continued_by_the_target_has_the_targets_law(
    case: tuple[int, int, float], gamma: int
) -> None:
    target, draft = models(*case)
    size = case[1]
    output = dict.fromkeys(itertools.product(range(size), repeat=gamma + 1), 0.0)
    for block in itertools.product(range(size), repeat=gamma):
        drafted = draft.chance(block)
        if drafted == 0:
            continue
        p, q = target.along(block), draft.along(block)[:gamma]
        stops = block_stop_law(p, q.reshape(gamma, size), block)
        assert stops.sum() == pytest.approx(1, abs=1e-14)
        for tau in np.flatnonzero(stops):
            law = block_next_token(p, q.reshape(gamma, size), block, accepted=int(tau))
            for text in output:
                if text[:tau] == block[:tau]:
                    rest = target.chance(text) / max(target.chance(text[: tau + 1]), 1e-300)
                    output[text] += drafted * stops[tau] * law[text[tau]] * rest
    for text, chance in output.items():
        assert chance == pytest.approx(target.chance(text), abs=1e-14)


@given(cases, st.integers(0, 4))
@few
def test_mean_tokens_equal_the_mean_of_the_stopping_laws(
    case: tuple[int, int, float], gamma: int
) -> None:
    target, draft = models(*case)
    size = case[1]
    block, token = 1.0, 1.0
    for path in itertools.product(range(size), repeat=gamma):
        drafted = draft.chance(path)
        if drafted == 0:
            continue
        p, q = target.along(path), draft.along(path)[:gamma].reshape(gamma, size)
        block += drafted * block_stop_law(p, q, path) @ np.arange(gamma + 1)
        survived = 1.0
        for i, x in enumerate(path):
            survived *= min(1.0, p[i, x] / q[i, x])
            token += drafted * survived
    got = block_gain(
        target.step, draft.step, gamma, target_start=target.start, draft_start=draft.start
    )
    assert got.block == pytest.approx(block, rel=1e-12)
    assert got.token == pytest.approx(token, rel=1e-12)
    assert got.block >= got.token * (1 - 1e-14)
    assert got.ratio == pytest.approx(block / token, rel=1e-12)
    if gamma <= 1:
        assert got.ratio == pytest.approx(1, rel=1e-14)
    if gamma >= 1:
        first = overlap(target.start, draft.start)
        one = block_gain(
            target.step, draft.step, 1, target_start=target.start, draft_start=draft.start
        )
        assert one.block == pytest.approx(1 + first, rel=1e-14)


def test_the_example_of_two_tokens_gains_a_tenth() -> None:
    p, q = np.array([1 / 3, 2 / 3]), np.array([2 / 3, 1 / 3])
    got = block_gain([p, p], [q, q], 2, target_start=p, draft_start=q)
    assert got.token == pytest.approx(1 + 10 / 9, rel=1e-14)
    assert got.block == pytest.approx(1 + 11 / 9, rel=1e-14)
    same = block_gain([p, p], [p, p], 5, target_start=p, draft_start=p)
    assert same.token == same.block == pytest.approx(6)


def test_weights_and_passes_of_a_written_out_block() -> None:
    target = [[0.2, 0.8], [0.9, 0.1], [0.5, 0.5]]
    draft = [[0.5, 0.5], [0.6, 0.4]]
    weights = block_weights(target, draft, [0, 0])
    np.testing.assert_allclose(weights, [1, 0.4, 0.6])
    # Surplus after the first token: (0.4 * 0.9 - 0.6)_+ + (0.4 * 0.1 - 0.4)_+ = 0.
    np.testing.assert_allclose(block_passes(target, draft, [0, 0]), [1, 0, 0.6])
    np.testing.assert_allclose(block_stop_law(target, draft, [0, 0]), [0.4, 0, 0.6])
    # After token 1 the weight is capped at 1, so that the first test always passes.
    np.testing.assert_allclose(block_passes(target, draft, [1, 1]), [1, 1, 0.25])
    weights = block_weights(target, [[0.25, 0.75], [0.1, 0.9]], [0, 0])
    np.testing.assert_allclose(weights, [1, 0.8, 1])
    surplus = 0.8 * 0.9 - 0.1
    passes = block_passes(target, [[0.25, 0.75], [0.1, 0.9]], [0, 0])
    np.testing.assert_allclose(passes, [1, surplus / (surplus + 0.2), 1])
    law = block_next_token(target, draft, [0, 0], accepted=0)
    np.testing.assert_allclose(law, [0, 1])
    np.testing.assert_allclose(block_next_token(target, draft, [0, 0], accepted=2), [0.5, 0.5])


def test_drawn_rounds_follow_the_stopping_law_and_the_next_tokens_law() -> None:
    target, draft = models(3, 3, 0.0)
    path, gamma, draws = (0, 2, 1), 3, 1500
    p, q = target.along(path), draft.along(path)[:gamma]
    rng = np.random.default_rng(11)
    outcomes = np.array([verify_block(rng, p, q, tokens=path) for _ in range(draws)])
    expected = np.array(
        [
            chance * block_next_token(p, q, path, accepted=tau)
            for tau, chance in enumerate(block_stop_law(p, q, path))
        ]
    )
    counts = np.zeros_like(expected)
    np.add.at(counts, (outcomes[:, 0], outcomes[:, 1]), 1)
    seen = expected > 1e-12
    assert counts[~seen].sum() == 0
    assert stats.chisquare(counts[seen], draws * expected[seen]).pvalue > 1e-4


def test_a_round_without_drafts_is_a_draw_from_the_target() -> None:
    assert block_weights([[0.3, 0.7]], np.zeros((0, 2)), []).tolist() == [1]
    assert block_stop_law([[0.3, 0.7]], np.zeros((0, 2)), []).tolist() == [1]
