"""Growth of the best tree against counts of paths and trees of many nodes."""

from __future__ import annotations

import mpmath
import numpy as np
import pytest
from exact import probabilities, relative_error
from howspec.theory.trees.optimal import (
    equal_ranks_theta,
    growth_exponent,
    nodes_worth,
    rank_entropy,
    tokens_by_nodes,
    tree_deficit_exponent,
    tree_tokens_growth,
    tree_tokens_limit,
)
from howspec.theory.trees.value import regular_tree_tokens
from hypothesis import given
from hypothesis import strategies as st

ranks_below_one = st.tuples(
    st.lists(st.floats(1e-6, 1), min_size=2, max_size=8), st.floats(0.05, 1)
).map(lambda x: [w * x[1] * (1 - 1e-12) / sum(x[0]) for w in x[0]])


@given(ranks_below_one)
def test_theta_is_the_root_found_by_bisection(ranks: list[float]) -> None:
    with mpmath.workdps(50):
        low, high = mpmath.mpf(0), mpmath.mpf(1)
        for _ in range(150):
            mid = (low + high) / 2
            above = mpmath.fsum(mpmath.mpf(p) ** mid for p in ranks) > 1
            low, high = (mid, high) if above else (low, mid)
        assert abs(growth_exponent(ranks) - low) < 1e-13


@given(st.integers(2, 9), st.floats(0.01, 1))
def test_equal_ranks_have_a_closed_exponent(children: int, share: float) -> None:
    p = share * (1 - 1e-12) / children
    closed = equal_ranks_theta(children, p)
    assert growth_exponent([p] * children) == pytest.approx(closed, rel=1e-12)
    assert children * p**closed == pytest.approx(1, rel=1e-12)


def test_a_chain_and_sure_children_have_exponent_zero_and_full_ranks_one() -> None:
    assert growth_exponent([0.7]) == growth_exponent([0.7, 0.0]) == 0
    assert growth_exponent([1.0]) == growth_exponent([0.0]) == 0
    assert growth_exponent([0.5, 0.3, 0.2]) == pytest.approx(1, abs=1e-15)
    assert growth_exponent([0.5, 0.3]) < growth_exponent([0.5, 0.3, 0.1])


@given(probabilities())
def test_the_limit_is_the_sum_of_all_levels(mass: float) -> None:
    got = tree_tokens_limit(mass)
    if mass == 1:
        assert got == np.inf
        return
    with mpmath.workdps(50):
        # 2^200 levels by squaring: the sum of the first 2n levels is (1 + P^n) times that of n.
        total, power = mpmath.mpf(1), mpmath.mpf(mass)
        for _ in range(200):
            total, power = total * (1 + power), power * power
        assert relative_error(got, total) < 1e-14
    assert regular_tree_tokens(mass, 10) <= got * (1 + 1e-14)


@given(st.floats(1e-12, 1))
def test_the_deficit_exponent_inverts(theta: float) -> None:
    got = tree_deficit_exponent(theta)
    with mpmath.workdps(50):
        exact = mpmath.mpf(1) / mpmath.mpf(theta) - 1
        assert abs(got - exact) <= 1e-15 * (1 + exact)
    assert theta == pytest.approx(1 / (1 + got), rel=1e-14)
    assert tree_deficit_exponent(0) == np.inf
    assert tree_deficit_exponent(1) == 0


@pytest.mark.parametrize("ranks", [[0.5, 0.2, 0.1], [0.45, 0.25, 0.15, 0.05], [0.6, 0.3]])
def test_the_missing_tokens_of_the_best_tree_fall_with_the_predicted_exponent(
    ranks: list[float],
) -> None:
    nodes = 2 ** np.arange(9, 16)
    missing = tree_tokens_limit(sum(ranks)) - tokens_by_nodes(ranks, int(nodes[-1]))[nodes]
    slope = np.polyfit(np.log(nodes), np.log(missing), 1)[0]
    expected = tree_deficit_exponent(growth_exponent(ranks))
    assert -slope == pytest.approx(expected, rel=0.02)


@pytest.mark.parametrize("ranks", [[0.5, 0.3, 0.2], [0.7, 0.2, 0.07, 0.03]])
def test_with_every_token_ranked_the_tokens_grow_with_the_logarithm_over_the_entropy(
    ranks: list[float],
) -> None:
    nodes = 2 ** np.arange(8, 16)
    tokens = tokens_by_nodes(ranks, int(nodes[-1]))[nodes]
    entropy = rank_entropy(ranks)
    slope = np.polyfit(np.log(nodes), tokens, 1)[0]
    assert slope == pytest.approx(1 / entropy, rel=0.01)
    gap = tokens - tree_tokens_growth(nodes, entropy)
    assert np.ptp(gap) < 0.1, "only a bounded term is left out"


@given(st.floats(1, 1e12), st.floats(1e-6, 50))
def test_the_leading_term_is_the_depth_of_an_even_tree(nodes: float, entropy: float) -> None:
    with mpmath.workdps(50):
        exact = mpmath.log(mpmath.mpf(nodes)) / mpmath.mpf(entropy)
        assert relative_error(tree_tokens_growth(nodes, entropy), exact) < 1e-14 or nodes == 1
    # k equally likely children have entropy ln k, and a tree of n leaves has depth log_k n.
    assert tree_tokens_growth(4.0**7, rank_entropy([0.25] * 4)) == pytest.approx(7, rel=1e-14)


@given(ranks_below_one)
def test_entropy_equals_its_definition(ranks: list[float]) -> None:
    with mpmath.workdps(50):
        exact = -mpmath.fsum(mpmath.mpf(p) * mpmath.log(mpmath.mpf(p)) for p in ranks)
        assert relative_error(rank_entropy([*ranks, 0.0]), exact) < 1e-13
    assert rank_entropy([1.0]) == 0


@pytest.mark.parametrize("ranks", [[0.5, 0.2, 0.1], [0.6], [0.3, 0.3, 0.3]])
def test_nodes_worth_a_value_are_those_that_the_best_tree_takes_before_it(
    ranks: list[float],
) -> None:
    gains = np.diff(tokens_by_nodes(ranks, 3000))
    for least in (1.0, 0.31, 0.047, 0.0123, 0.0031):
        assert nodes_worth(ranks, least_value=least) == (gains >= least).sum()
    theta = growth_exponent(ranks)
    if theta > 0:
        growth = nodes_worth(ranks, least_value=1e-5) / nodes_worth(ranks, least_value=1e-3)
        assert np.log(growth) / np.log(100) == pytest.approx(theta, rel=0.05)
