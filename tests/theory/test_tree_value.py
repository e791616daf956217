"""Tokens of draft trees against walks through every outcome."""

from __future__ import annotations

import itertools

import mpmath
import numpy as np
import pytest
from exact import EDGES, exactly, probabilities, relative_error, tokens_of_round
from howspec.theory.rounds import tokens_per_round
from howspec.theory.trees.value import (
    geometric_ranks,
    parallel_chains_tokens,
    path_products,
    ranked_children_mass,
    regular_tree_tokens,
    tree_tokens,
)
from hypothesis import given
from hypothesis import strategies as st


def regular_tree(ranks: list[float], depth: int) -> tuple[list[int], list[float]]:
    """Parents and probabilities of a complete tree, level by level."""
    parents, chances, level = [], [], [-1]
    for _ in range(depth):
        grown = []
        for node in level:
            for p in ranks:
                parents.append(node)
                chances.append(p)
                grown.append(len(parents) - 1)
        level = grown
    return parents, chances


def walk(parents: list[int], chances: list[float], node: int = -1) -> float:
    """E[N] by following the accepted child from a node: 1 token here, then the same below."""
    below = sum(
        p * walk(parents, chances, child)
        for child, (up, p) in enumerate(zip(parents, chances, strict=True))
        if up == node
    )
    return 1 + below


@given(
    st.lists(st.floats(0, 0.3), min_size=1, max_size=3),
    st.integers(0, 3),
)
def test_a_complete_tree_is_a_geometric_sum_in_the_mass_of_its_children(
    ranks: list[float], depth: int
) -> None:
    parents, chances = regular_tree(ranks, depth)
    expected = walk(parents, chances)
    assert tree_tokens(parents, chances) == pytest.approx(expected, rel=1e-13)
    assert regular_tree_tokens(sum(ranks), depth) == pytest.approx(expected, rel=1e-13)


@given(probabilities(), st.integers(0, 300))
def test_a_tree_of_width_one_is_the_chain(alpha: float, depth: int) -> None:
    with mpmath.workdps(50):
        exact = tokens_of_round(alpha, depth)
        assert relative_error(regular_tree_tokens(alpha, depth), exact) < 1e-14
    chain = tree_tokens(np.arange(depth) - 1, [alpha] * depth)
    assert chain == pytest.approx(tokens_per_round(alpha, depth), rel=1e-13)
    assert regular_tree_tokens(1, depth) == depth + 1


@given(st.integers(0, 25), st.randoms(use_true_random=False))
def test_path_products_of_a_random_tree_equal_the_walk(size: int, random: object) -> None:
    rng = np.random.default_rng(random.randrange(2**32))  # type: ignore[attr-defined]
    parents = [int(rng.integers(-1, i)) if i else -1 for i in range(size)]
    share = np.bincount(np.array(parents, int) + 1, minlength=size + 1)
    chances = [float(rng.random() / share[up + 1]) for up in parents]
    assert tree_tokens(parents, chances) == pytest.approx(walk(parents, chances), rel=1e-13)
    values = path_products(parents, chances)
    assert values.shape == (size,)
    for node, up in enumerate(parents):
        above = values[up] if up >= 0 else 1.0
        assert values[node] == pytest.approx(above * chances[node], rel=1e-14)


@given(
    probabilities().filter(lambda a: a == 0 or a > 1e-200), st.integers(0, 40), st.integers(1, 300)
)
def test_parallel_chains_equal_the_sum_over_positions(
    alpha: float, gamma: int, chains: int
) -> None:
    with mpmath.workdps(50 if alpha > 1e-3 else 250):
        a = mpmath.mpf(alpha)
        exact = 1 + mpmath.fsum(1 - (1 - a**i) ** chains for i in range(1, gamma + 1))
        assert relative_error(parallel_chains_tokens(alpha, gamma, chains), exact) < 1e-13
        excess = parallel_chains_tokens(alpha, gamma, chains) - 1
        assert abs(excess - (exact - 1)) <= 1e-15 * exact


@pytest.mark.parametrize(("gamma", "chains"), [(0, 2), (1, 3), (2, 2), (3, 2), (2, 3)])
def test_parallel_chains_equal_the_enumeration_of_every_outcome(gamma: int, chains: int) -> None:
    alpha, total = 0.7, 0.0
    for lengths in itertools.product(range(gamma + 1), repeat=chains):
        chance = np.prod([alpha**n * (1 - alpha if n < gamma else 1) for n in lengths])
        total += chance * (1 + max(lengths))
    assert parallel_chains_tokens(alpha, gamma, chains) == pytest.approx(total, rel=1e-14)
    got = exactly(parallel_chains_tokens, alpha=alpha, gamma=gamma, chains=chains)
    assert float(got) == pytest.approx(total, rel=1e-14)


@given(probabilities(), st.integers(0, 40), st.integers(1, 50))
def test_more_chains_and_longer_chains_never_lose(alpha: float, gamma: int, chains: int) -> None:
    value = parallel_chains_tokens(alpha, gamma, chains)
    slack = 1 + 1e-14
    assert tokens_per_round(alpha, gamma) <= value * slack
    assert parallel_chains_tokens(alpha, gamma, 1) == pytest.approx(
        tokens_per_round(alpha, gamma), rel=1e-13
    )
    assert value <= parallel_chains_tokens(alpha, gamma, chains + 1) * slack
    assert value <= parallel_chains_tokens(alpha, gamma + 1, chains) * slack
    assert value <= (gamma + 1) * slack


@given(st.floats(0, 1), st.floats(0, 1), st.integers(0, 60))
def test_ranked_children_are_a_geometric_sum(share: float, ratio: float, children: int) -> None:
    ratio = min(ratio, 1 - 1e-9)
    first = share * (1 - ratio) * (1 - 1e-12)
    ranks = geometric_ranks(first, ratio, count=children)
    with mpmath.workdps(60):
        p, r = mpmath.mpf(first), mpmath.mpf(ratio)
        exact = mpmath.fsum(p * r**j for j in range(children))
        assert relative_error(ranked_children_mass(first, ratio, children), exact) < 1e-13
        assert relative_error(ranks.sum(), exact) < 1e-13
    assert ranks.shape == (children,)
    assert (np.diff(ranks) <= 0).all()


def test_arrays_broadcast_and_nothing_warns_at_the_edges() -> None:
    alpha = np.array(EDGES)[:, None]
    got = parallel_chains_tokens(alpha, 7, [1, 2, 10**9])
    assert got.shape == (10, 3)
    assert np.isfinite(got).all()
    assert (got[0] == 1).all()
    np.testing.assert_allclose(got[-1], 8)
    assert parallel_chains_tokens(0.5, [0, 1, 2], 1).tolist() == [1, 1.5, 1.75]
    assert type(parallel_chains_tokens(0.5, 2, 2)) is float
    assert np.isfinite(regular_tree_tokens(alpha, [0, 3, 1e6])).all()
    assert tree_tokens([], []) == 1
    assert geometric_ranks(0.5, 0.5, count=2).tolist() == [0.5, 0.25], "a sum of 1 is allowed"
