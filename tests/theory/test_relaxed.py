"""Acceptance by rule, correlated experts, batches with drafts in advance, hubs and chains."""

from __future__ import annotations

import itertools
from typing import Any

import mpmath
import numpy as np
import pytest
from exact import at_digits, probabilities, relative_error
from howspec.theory.costs.uneven import MoEPass, correlated_experts, experts_touched
from howspec.theory.limits.ceilings import (
    covered_certificate,
    greedy_certificate,
    rule_certificate,
)
from howspec.theory.limits.rejections import (
    biased_acceptance_ceiling,
    entropy_set,
    lenient_verification,
    relaxed_loss,
    relaxed_loss_floor,
    relaxed_verification,
    top_set,
    total_variation,
    typical_set,
)
from howspec.theory.scale.other_laws import log_linear_length_scale
from howspec.theory.schedules import (
    chain_time,
    even_chain_time,
    insertion_gain,
    insertion_saving,
    vertical_speedup,
    vertical_tokens,
)
from howspec.theory.schedules.together import cached_batch_speedup, cached_speedup
from howspec.theory.trees import hub_acceptance, overlap
from hypothesis import given
from hypothesis import strategies as st
from scipy import optimize


@pytest.mark.parametrize("seed", range(6))
def test_a_rule_emits_what_its_definition_draws(seed: int) -> None:
    rng = np.random.default_rng(seed)
    p, q = rng.dirichlet(np.ones(6) * 0.7), rng.dirichlet(np.ones(6) * 0.7)
    rules = (typical_set(p), top_set(p, 2), entropy_set(p, threshold=1.2), np.ones(6, bool))
    for stands in rules:
        found = relaxed_verification(p, q, stands)
        drafted = rng.choice(6, 40_000, p=q)
        stood = stands[drafted]
        emitted = np.where(stood, drafted, rng.choice(6, 40_000, p=p))
        share = np.bincount(emitted, minlength=6) / 40_000
        error = np.sqrt(found.output * (1 - found.output) / 40_000) + 1e-12
        assert (np.abs(share - found.output) < 5 * error).all()
        assert abs(stood.mean() - found.acceptance) < 5 * 0.5 / 200
        assert found.loss == pytest.approx(0.5 * np.abs(found.output - p).sum())
        cut = np.where(stands, q, 0.0) / q[stands].sum()
        kept, held = min(q[stands].sum(), 1.0), min(p[stands].sum(), 1.0)
        assert relaxed_loss(kept, total_variation(cut, p)) == pytest.approx(found.loss)
        floor = relaxed_loss_floor(kept, held)
        assert floor <= found.loss + 1e-12
        if stands.sum() == 1:
            assert floor == pytest.approx(found.loss)
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


def nearest(p: np.ndarray, lower: list[tuple[int, int]]) -> float:
    """The least KL(p || q) over q with q[a] >= q[b] for the pairs (a, b), by a minimiser."""
    rules = [{"type": "eq", "fun": lambda q: q.sum() - 1.0}]
    rules += [{"type": "ineq", "fun": lambda q, a=a, b=b: q[a] - q[b]} for a, b in lower]
    found = optimize.minimize(
        lambda q: float((p * np.log(p / q)).sum()), np.full(p.size, 1.0 / p.size),
        bounds=[(1e-9, 1.0)] * p.size, constraints=rules, method="SLSQP",
        options={"ftol": 1e-13, "maxiter": 500},
    )  # fmt: skip
    return float(found.fun)


@pytest.mark.parametrize("seed", range(6))
def test_certificates_are_the_distance_to_the_nearest_draft_that_breaks_them(seed: int) -> None:
    rng = np.random.default_rng(seed)
    p = np.sort(rng.dirichlet(np.full(5, 0.9)) + 0.01)[::-1] / 1.05
    for m in (1, 2, 3):
        stands = np.arange(5) < m
        # The likeliest token of the draft is one of the refused ones.
        refused = min(nearest(p, [(j, i) for i in range(5) if i != j]) for j in range(m, 5))
        assert rule_certificate(p, stands) == pytest.approx(refused, abs=2e-6)
        # At least m tokens are as likely as the target's first.
        missed = min(
            nearest(p, [(j, 0) for j in chosen])
            for chosen in itertools.combinations(range(1, 5), m)
        )
        assert covered_certificate(p, m) == pytest.approx(missed, abs=2e-6)
    first = greedy_certificate(p[0], p[1])
    assert rule_certificate(p, top_set(p, 1)) == pytest.approx(first)
    assert covered_certificate(p, 1) == pytest.approx(first)
    assert rule_certificate(p, np.ones(5, bool)) == covered_certificate(p, 5) == np.inf


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
    exact = at_digits(correlated_experts, **point)
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
    rng = np.random.default_rng(3)
    hit = rng.random((50_000, 4)) < 0.8
    tokens = np.where(hit, 4.0, 2.5).mean(axis=1)
    time = np.where(hit.all(axis=1), 1.0, 1.2)
    rate = tokens.sum() / time.sum()
    error = (tokens - rate * time).std() / time.mean() / 50_000**0.5
    assert abs(rate - got) < 4 * error
    one = {k: v for k, v in point.items() if k != "batch"}
    assert cached_batch_speedup(**{**point, "batch": 1}) == pytest.approx(cached_speedup(**one))


@pytest.mark.parametrize("seed", range(8))
def test_hub_pairs_accept_what_the_best_transport_of_them_accepts(seed: int) -> None:
    rng = np.random.default_rng(seed)
    size = int(rng.integers(2, 6))
    p, q = rng.dirichlet(np.ones(size) * 0.6), rng.dirichlet(np.ones(size) * 0.6)
    hub = int(q.argmax())
    others = [x for x in range(size) if x != hub]
    # Pairs {x, hub} and their mass; a plan gives the mass of a pair to its tokens, or drops it.
    mass = np.array([q[x] + q[hub] * q[x] / (1 - q[hub]) for x in others])
    assert mass.sum() == pytest.approx(1.0)
    n = len(others)
    most = optimize.linprog(
        -np.ones(2 * n),
        A_ub=np.vstack(
            [np.hstack([np.eye(n), np.eye(n)]), np.hstack([np.eye(n), np.zeros((n, n))]),
             np.hstack([np.zeros(n), np.ones(n)])[None]]
        ),
        b_ub=np.concatenate([mass, p[others], [p[hub]]]),
    )  # fmt: skip
    assert hub_acceptance(p, q) == pytest.approx(-most.fun, abs=1e-9)
    assert hub_acceptance(p, q) <= 1.0
    assert overlap(p, q) <= hub_acceptance(p, q) + 1e-12
    assert hub_acceptance([0.3, 0.7], [1.0, 0.0]) == 0.3


def test_a_chain_of_three_models_takes_the_time_of_its_passes() -> None:
    options: dict[str, Any] = {"inner_alpha": 0.7, "inner_gamma": 3, "inner_rounds": 2}
    tokens = vertical_tokens(0.8, **options)
    times = [1.0, 0.2, 0.03]
    lengths = [tokens, tokens / 2, tokens / 6]
    speed = vertical_speedup(0.8, 0.2, inner_cost=0.03, **options)
    assert 1.0 / chain_time(times, lengths) == pytest.approx(speed, rel=1e-12)
    two = [1.0, 0.03]
    without = [2.0, 2.0 / 6]
    gain = insertion_gain(two, without, [lengths[0], lengths[2]], time=0.2, length=lengths[1])
    assert gain == pytest.approx(chain_time(two, without) - chain_time(times, lengths), rel=1e-12)
    only = insertion_saving(1.0, 2.0, 4.0, inserted_time=0.2, inserted_length=2.5)
    assert only == pytest.approx(insertion_gain([1.0], [2.0], [4.0], time=0.2, length=2.5))
    for c, m, n in ((0.1, 4.0, 3), (0.25, 4.0, 5), (0.5, 3.0, 4), (0.0, 2.0, 1)):
        listed = chain_time([c**i for i in range(n)], [6.0 / m**i for i in range(n)])
        assert even_chain_time(n, c, step_passes=m, pass_length=6.0) == pytest.approx(listed)


@pytest.mark.parametrize(
    ("gamma", "tau", "per"), [(4, 4.2, 0.5), (7, 5.0, 0.4), (2, 2.8, 0.3), (4, 2.0, 0.5)]
)
def test_the_best_size_of_a_log_linear_length_is_that_of_a_scan(
    gamma: int, tau: float, per: float
) -> None:
    point = {"gamma": gamma, "length_intercept": tau, "length_per_log": per,
             "cost_floor": 0.02, "cost_slope": 1.2}  # fmt: skip
    best = log_linear_length_scale(**point)
    s = np.geomspace(1e-4, 1.0, 200_001)
    speed = (tau + per * np.log(s)) / (1 + gamma * (0.02 + 1.2 * s))
    assert best == pytest.approx(s[speed.argmax()], rel=1e-3)
    assert relative_error(best, at_digits(log_linear_length_scale, **point)) < 1e-12
    assert log_linear_length_scale(**{**point, "length_intercept": tau + 0.3}) < best


@given(probabilities(), probabilities())
def test_biased_ceiling_adds_the_bias_up_to_one(alpha: float, bias: float) -> None:
    exact = min(mpmath.mpf(1), mpmath.mpf(alpha) + mpmath.mpf(bias))
    assert biased_acceptance_ceiling(alpha, bias) == pytest.approx(float(exact), rel=1e-15)


@given(st.integers(0, 10_000), st.floats(0.05, 1.0))
def test_leniency_pays_for_acceptance_with_exactly_as_much_bias(seed: int, leniency: float) -> None:
    rng = np.random.default_rng(seed)
    p, q = rng.dirichlet(np.ones(5)), rng.dirichlet(np.ones(5) * 0.5)
    accepted, output = lenient_verification(p, q, leniency=leniency)
    rule = np.minimum(1.0, np.divide(p, leniency * q))
    assert accepted == pytest.approx((q * rule).sum(), rel=1e-12)
    assert output.sum() == pytest.approx(1.0)
    assert (output >= 0).all()
    alpha = 1 - total_variation(p, q)
    assert alpha == pytest.approx(np.minimum(p, q).sum())
    bias = total_variation(output, p)
    assert accepted == pytest.approx(alpha + bias, abs=1e-12)
    assert accepted <= biased_acceptance_ceiling(alpha, bias) + 1e-12


def test_leniency_one_is_exact() -> None:
    rng = np.random.default_rng(1)
    p, q = rng.dirichlet(np.ones(6), 50), rng.dirichlet(np.ones(6), 50)
    accepted, output = lenient_verification(p, q, leniency=1.0)
    np.testing.assert_allclose(output, p, atol=1e-15)
    np.testing.assert_allclose(accepted, 1 - total_variation(p, q), rtol=1e-13)
    same, kept = lenient_verification(p, p, leniency=0.5)
    np.testing.assert_allclose(same, 1.0)
    np.testing.assert_allclose(kept, p)


def test_no_residual_beats_the_bias_bound() -> None:
    rng = np.random.default_rng(9)
    for _ in range(200):
        p, q, other = rng.dirichlet(np.ones(4), 3)
        accept = rng.random(4)  # any acceptance rule and any replacement distribution
        output = q * accept + (1 - (q * accept).sum()) * other
        bound = 1 - total_variation(p, q) + total_variation(output, p)
        assert (q * accept).sum() <= bound + 1e-12
