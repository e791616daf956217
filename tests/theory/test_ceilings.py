"""Ceilings, certificates and rejections against enumerated trees, texts and distributions."""

from __future__ import annotations

import itertools
import math
from typing import Any

import mpmath
import numpy as np
import pytest
from exact import at_digits, decades, relative_error
from howspec.theory.limits import ceilings
from howspec.theory.limits.rejections import (
    expected_rejections,
)
from hypothesis import given
from hypothesis import strategies as st


def softmax(x: Any) -> Any:
    e = np.exp(x - x.max(axis=-1, keepdims=True))
    return e / e.sum(axis=-1, keepdims=True)


# --- ceilings -------------------------------------------------------------------------------


@given(st.integers(0, 4096), st.integers(2, 300_000), decades(-3, 1))
def test_entropy_ceiling_counts_the_ways_a_pass_ends(nodes: int, size: int, h: float) -> None:
    # Every node (and the root) can be left by any token that is not one of its children.
    ways = (nodes + 1) * size - nodes
    with mpmath.workdps(50):
        exact = mpmath.log(ways) / mpmath.mpf(h)
    assert relative_error(ceilings.entropy_ceiling(nodes, size, h), exact) < 1e-14


def _random_tree(rng: np.random.Generator, size: int, nodes: int) -> list[tuple[int, ...]]:
    tree: list[tuple[int, ...]] = [()]
    while len(tree) < nodes + 1:
        child = (*tree[rng.integers(len(tree))], int(rng.integers(size)))
        if child not in tree:
            tree.append(child)
    return tree


@pytest.mark.parametrize("seed", range(12))
def test_no_enumerated_tree_passes_the_entropy_ceiling(seed: int) -> None:
    rng = np.random.default_rng(seed)
    size, nodes = int(rng.integers(2, 6)), int(rng.integers(0, 14))
    p = rng.dirichlet(np.ones(size) * rng.choice([0.3, 1.0, 20.0]))
    tree = _random_tree(rng, size, nodes)
    entropy = float(-(p * np.log(p)).sum())
    reached = {node: float(np.prod([p[t] for t in node])) for node in tree}
    tokens = sum(reached.values())  # a token is emitted at every node that is reached
    exits = [
        reached[node] * p[t] for node in tree for t in range(size) if (*node, t) not in reached
    ]
    assert len(exits) == (nodes + 1) * (size - 1) + 1
    assert sum(exits) == pytest.approx(1.0)
    # The entropy of the way out is exactly H E[N], hence at most the log of the number of ways.
    assert -sum(x * math.log(x) for x in exits if x > 0) == pytest.approx(entropy * tokens)
    assert tokens <= ceilings.entropy_ceiling(nodes, size, entropy) * (1 + 1e-12)


def test_a_sampled_draft_passes_the_ceiling_of_drafts_by_rule() -> None:
    p, q = np.full(4, 0.25), np.array([0.35, 0.15, 0.25, 0.25])
    alpha = float(np.minimum(p, q).sum())
    tokens = sum(alpha**k for k in range(17))
    assert tokens > 2.9 * ceilings.entropy_ceiling(16, 4, math.log(4.0))
    left = ceilings.left_entropy_of(p, q)
    assert tokens <= ceilings.left_entropy_ceiling(16, 4, left)
    assert ceilings.left_entropy_of(p, p) == 0.0


@pytest.mark.parametrize("seed", range(8))
def test_the_left_entropy_ceiling_holds_for_enumerated_chains(seed: int) -> None:
    rng = np.random.default_rng(seed)
    size, gamma = int(rng.integers(2, 5)), int(rng.integers(1, 4))
    p, q = (rng.dirichlet(np.ones(size) * rng.choice([0.5, 5.0])) for _ in range(2))
    kept = np.minimum(1.0, p / q)
    rest = np.maximum(p - q, 0.0) / max(np.maximum(p - q, 0.0).sum(), 1e-300)
    entropy, tokens, left = 0.0, 0.0, 0.0
    for x in range(size):  # H(Y | X): the joint law of the drafted and the emitted token
        law = (1.0 - kept[x]) * rest
        law[x] += kept[x]
        left += q[x] * -sum(v * math.log(v) for v in law if v > 0)
    for draft in itertools.product(range(size), repeat=gamma):
        weight = float(np.prod(q[list(draft)]))
        exits, reach = [], 1.0
        for x in draft:
            exits += [reach * (1.0 - kept[x]) * r for r in rest]
            tokens += weight * reach
            reach *= kept[x]
        exits += [reach * v for v in p]
        tokens += weight * reach
        entropy += weight * -sum(v * math.log(v) for v in exits if v > 0)
    assert ceilings.left_entropy_of(p, q) == pytest.approx(left, rel=1e-12)
    assert tokens * left <= entropy * (1 + 1e-12)
    assert entropy <= math.log(size) + math.log(gamma + 1)
    assert tokens <= ceilings.left_entropy_ceiling(gamma, size, left) * (1 + 1e-12)


def test_the_left_entropy_and_branching_ceilings_are_their_definitions() -> None:
    point = {"verified_nodes": 64, "vocabulary": 32000, "left_entropy": 0.8}
    with mpmath.workdps(50):
        exact = mpmath.log(65 * 32000) / mpmath.mpf(0.8)
        assert relative_error(ceilings.left_entropy_ceiling(**point), exact) < 1e-14
        exact = (1.5 + mpmath.mpf(4)) * mpmath.log(64) / mpmath.mpf(1.5) ** 2
    point = {"verified_nodes": 64, "entropy": 1.5, "log_moment": 4.0}
    assert relative_error(at_digits(ceilings.branching_ceiling, **point), exact) < 1e-15
    assert relative_error(ceilings.branching_ceiling(**point), exact) < 1e-14
    assert ceilings.branching_ceiling(1, 1.5, 4.0) == 0.0
    # With one distribution everywhere mu_2 >= mu^2, and the exact constant is 1 / mu.
    assert ceilings.branching_ceiling(64, 1.5, 1.5**2) >= math.log(64) / 1.5


def test_the_entropy_ceiling_is_reached_by_a_full_tree_over_equal_tokens() -> None:
    # All pairs over two equally likely tokens: three nodes are reached for sure.
    assert ceilings.entropy_ceiling(6, 2, math.log(2)) == pytest.approx(3.0)


@given(
    st.floats(0, 1), st.integers(0, 20), decades(8, 12), decades(3, 6), decades(11, 13),
    st.integers(1, 256), st.integers(0, 100_000),
)  # fmt: skip
def test_hardware_ceiling_is_tokens_per_reading(
    alpha: float, gamma: int, weights: float, kv: float, bandwidth: float, batch: int, context: int
) -> None:
    with mpmath.workdps(50):
        tokens = mpmath.fsum(mpmath.mpf(alpha) ** i for i in range(gamma + 1))
        cache = mpmath.fsum([mpmath.mpf(kv) * context] * batch)
        exact = tokens * bandwidth / (weights + cache)
    costs = {"weight_bytes": weights, "kv_bytes": kv, "bandwidth": bandwidth}
    load = {"batch": batch, "context": context}
    got = ceilings.hardware_ceiling(alpha, gamma, **costs, **load)
    assert relative_error(got, exact) < 1e-13


# --- certificates ---------------------------------------------------------------------------


@given(st.floats(0, 1), st.floats(0.0, 1.0), st.sampled_from([1.0, 1e-6, 1e-12]))
def test_greedy_certificate_is_the_divergence_of_the_tie(
    top: float, part: float, gap: float
) -> None:
    p1 = max(top, 1e-6)
    p2 = min(p1, 1 - p1) * (1 - gap * (1 - part)) if gap < 1 else min(p1, 1 - p1) * part
    with mpmath.workdps(60):
        a, b = mpmath.mpf(p1), mpmath.mpf(p2)
        tie = (a + b) / 2  # q gives both tokens the same, everything else as p does
        exact = a * mpmath.log(a / tie) + (b * mpmath.log(b / tie) if p2 > 0 else 0)
        if p2 > 0:
            stated = at_digits(ceilings.greedy_certificate, top_mass=p1, second_mass=p2)
            assert abs(stated - exact) < mpmath.mpf(10) ** -50
    got = ceilings.greedy_certificate(p1, p2)
    assert relative_error(got, exact) < 1e-12 or (exact == 0 and got == 0)


def test_a_draft_within_the_certificate_has_the_same_greedy_token() -> None:
    rng = np.random.default_rng(2)
    p = rng.dirichlet(np.ones(4) * 0.8, 60_000)
    noise = rng.normal(0, 1, p.shape) * rng.uniform(0, 1.5, (60_000, 1))
    q = softmax(np.log(p) + noise)
    kl = (p * np.log(p / q)).sum(1)
    top = -np.sort(-p, axis=1)
    sure = kl < ceilings.greedy_certificate(top[:, 0], top[:, 1])
    same = p.argmax(1) == q.argmax(1)
    assert same[sure].all()
    assert 1000 < sure.sum() < 59_000  # the certificate speaks, and not always
    assert not same[~sure].all()


def test_the_certificate_is_tight_at_the_tie() -> None:
    p = np.array([0.5, 0.3, 0.2])
    for push in (1e-6, -1e-6):
        q = np.array([0.4 - push, 0.4 + push, 0.2])
        kl = (p * np.log(p / q)).sum()
        assert (kl > ceilings.greedy_certificate(0.5, 0.3)) == (q.argmax() == 1)


@given(st.one_of(st.just(0.0), decades(-6, 2.5)), decades(-1, 3))
def test_least_acceptance_at_a_temperature_is_its_definition(osc: float, t: float) -> None:
    with mpmath.workdps(400):
        x = mpmath.mpf(osc) / (4 * mpmath.mpf(t))
        exact = 1 - mpmath.sinh(x) / mpmath.cosh(x)
        stated = at_digits(ceilings.acceptance_at_temperature, 400, oscillation=osc, temperature=t)
        assert abs(stated - exact) < mpmath.mpf(10) ** -300
    assert relative_error(ceilings.acceptance_at_temperature(osc, t), exact) < 1e-11


def test_acceptance_never_falls_below_its_bound_at_any_temperature() -> None:
    rng = np.random.default_rng(6)
    target = rng.normal(0, 3, (4000, 1, 6))
    draft = target + rng.normal(0, 1, (4000, 1, 6)) * rng.uniform(0.05, 4, (4000, 1, 1))
    t = np.geomspace(0.1, 10, 12)[:, None]
    alpha = np.minimum(softmax(target / t), softmax(draft / t)).sum(-1)
    bound = ceilings.acceptance_at_temperature(ceilings.logit_oscillation(target, draft), t[:, 0])
    assert (alpha >= bound - 1e-12).all()
    assert (np.diff(alpha, axis=1) < -1e-6).any()  # not monotone in temperature


@given(st.floats(0.01, 20), st.floats(0.2, 5))
def test_the_temperature_bound_is_attained_on_two_mirrored_tokens(osc: float, t: float) -> None:
    p = softmax(np.array([osc / 4, -osc / 4]) / t)
    alpha = np.minimum(p, p[::-1]).sum()
    assert alpha == pytest.approx(ceilings.acceptance_at_temperature(osc, t), rel=1e-9)
    assert ceilings.logit_oscillation([osc / 4, -osc / 4], [-osc / 4, osc / 4]) == pytest.approx(
        osc
    )


def test_oscillation_ignores_constants_and_refuses_infinite_logits() -> None:
    assert ceilings.logit_oscillation([1.0, 2.0, 5.0], [0.0, 0.0, 1.0]) == 3.0
    assert ceilings.logit_oscillation([8.0, 9.0, 12.0], [0.0, 0.0, 1.0]) == 3.0


# --- rejections and bias --------------------------------------------------------------------


def rejections_by_enumeration(
    start: Any, target: Any, draft: Any, draft_start: Any, length: int
) -> float:
    """Expected rejections over every sequence of drafts, verdicts and replacements."""

    def walk(p: Any, q: Any, left: int) -> float:
        if left == 0:
            return 0.0
        total, size = 0.0, len(p)
        residual = np.maximum(p - q, 0)
        for x in range(size):
            keep = min(1.0, p[x] / q[x])
            total += q[x] * keep * walk(target[x], draft[x], left - 1)
            if keep < 1.0:
                for y in range(size):
                    share = residual[y] / residual.sum()
                    later = walk(target[y], draft[y], left - 1)
                    total += q[x] * (1 - keep) * share * (1 + later)
        return total

    return walk(start, draft_start, length)


@pytest.mark.parametrize(("seed", "length"), list(itertools.product(range(4), (1, 2, 4))))
def test_expected_rejections_are_those_of_all_texts(seed: int, length: int) -> None:
    rng = np.random.default_rng(seed)
    start, draft_start = rng.dirichlet(np.ones(3), 2)
    target, draft = rng.dirichlet(np.ones(3), (2, 3))
    got = expected_rejections(start, target, draft, length=length, draft_start=draft_start)
    exact = rejections_by_enumeration(start, target, draft, draft_start, length)
    assert got == pytest.approx(exact, rel=1e-12)
    assert got <= length
