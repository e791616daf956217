"""Acceptance by rule, correlated experts, and drafts in advance for a batch."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from exact import at_digits, relative_error
from howspec.theory.costs.moe import (
    CORRELATED_EXPERTS,
    MoEPass,
    correlated_experts,
    experts_touched,
)
from howspec.theory.limits.rejections import total_variation
from howspec.theory.limits.relaxed import entropy_set, relaxed_verification, top_set, typical_set
from howspec.theory.schedules.cached import (
    CACHED_BATCH_SPEEDUP,
    cached_batch_speedup,
    cached_speedup,
)


@pytest.mark.parametrize("seed", range(6))
def test_a_rule_emits_what_its_definition_draws(seed: int) -> None:
    rng = np.random.default_rng(seed)
    p, q = rng.dirichlet(np.ones(6) * 0.7), rng.dirichlet(np.ones(6) * 0.7)
    rules = (typical_set(p), top_set(p, 2), entropy_set(p, threshold=1.2), np.ones(6, bool))
    for stands in rules:
        found = relaxed_verification(p, q, stands)
        drafted = rng.choice(6, 40_000, p=q)
        kept = stands[drafted]
        emitted = np.where(kept, drafted, rng.choice(6, 40_000, p=p))
        share = np.bincount(emitted, minlength=6) / 40_000
        error = np.sqrt(found.output * (1 - found.output) / 40_000) + 1e-12
        assert (np.abs(share - found.output) < 5 * error).all()
        assert abs(kept.mean() - found.acceptance) < 5 * 0.5 / 200
        assert found.loss == pytest.approx(0.5 * np.abs(found.output - p).sum())
        assert found.acceptance <= 1 - total_variation(p, q) + found.loss + 1e-12
        assert found.output.sum() == pytest.approx(1.0)


def test_rules_are_their_definitions() -> None:
    p = np.array([0.5, 0.3, 0.15, 0.05])
    entropy = -(p * np.log(p)).sum()
    assert typical_set(p, epsilon=0.3, delta=0.5).tolist() == [True, True, False, False]
    assert 0.15 < 0.5 * np.exp(-entropy) < 0.3
    assert typical_set(p, epsilon=0.1, delta=1.0).tolist() == [True, True, True, False]
    assert top_set(p, 2).tolist() == [True, True, False, False]
    assert entropy_set(p, threshold=entropy - 1e-9).all()
    assert entropy_set(p, threshold=entropy + 1e-9).tolist() == [True, False, False, False]
    uniform = np.full(4, 0.25)
    assert typical_set(uniform, epsilon=1.0, delta=1.0).sum() == 1  # at its level, none is above


def test_experts_of_neighbouring_tokens_follow_a_chain() -> None:
    # The published observation: four tokens load 2.5 times the experts of one, not 3.64.
    one = experts_touched(1, 1, experts=128, active_experts=8)
    free = correlated_experts(4, 1, experts=128, active_experts=8, routing_correlation=0.0)
    assert free == pytest.approx(experts_touched(4, 1, experts=128, active_experts=8), rel=1e-13)
    assert free / one == pytest.approx(3.64, abs=0.01)
    some = correlated_experts(4, 1, experts=128, active_experts=8, routing_correlation=0.448)
    assert some / one == pytest.approx(2.5, abs=0.01)
    point = {"experts": 128, "active_experts": 8, "pass_tokens": 4, "batch": 3,
             "routing_correlation": 0.3}  # fmt: skip
    exact = at_digits(CORRELATED_EXPERTS, **point)
    assert relative_error(correlated_experts(**point), exact) < 1e-13
    rng = np.random.default_rng(2)
    picked = rng.random((4000, 3, 32)) < 0.25
    touched = picked.copy()
    for _ in range(3):
        fresh = rng.random(picked.shape) < 0.25
        picked = np.where(rng.random(picked.shape) < 0.3, picked, fresh)
        touched |= picked
    count = touched.any(axis=1).sum(axis=1)
    exact = correlated_experts(4, 3, experts=32, active_experts=8, routing_correlation=0.3)
    assert abs(count.mean() - exact) < 4 * count.std() / 4000**0.5
    law = MoEPass(128, 8, expert_time=1.0, fixed=1e-9, routing_correlation=0.448)
    assert law.step_time([4.0])[0] / law.step_time([1.0])[0] == pytest.approx(2.5, abs=0.01)
    same = correlated_experts(9, 1, experts=16, active_experts=4, routing_correlation=1.0)
    assert same == pytest.approx(4.0)


def test_a_batch_waits_unless_every_sequence_hits() -> None:
    point: dict[str, Any] = {
        "hit_rate": 0.8, "hit_tokens": 4.0, "miss_tokens": 2.5, "advance_time": 0.7,
        "backup_time": 0.2, "batch": 4,
    }  # fmt: skip
    got = cached_batch_speedup(**point)
    assert relative_error(got, at_digits(CACHED_BATCH_SPEEDUP, **point)) < 1e-14
    rng = np.random.default_rng(3)
    hit = rng.random((50_000, 4)) < 0.8
    tokens = np.where(hit, 4.0, 2.5).mean(axis=1)
    time = np.where(hit.all(axis=1), 1.0, 1.2)
    rate = tokens.sum() / time.sum()
    error = (tokens - rate * time).std() / time.mean() / 50_000**0.5
    assert abs(rate - got) < 4 * error
    one = {k: v for k, v in point.items() if k != "batch"}
    assert cached_batch_speedup(**{**point, "batch": 1}) == pytest.approx(cached_speedup(**one))
