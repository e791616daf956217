"""The best tree against the dynamic program over subtrees and against enumeration."""

from __future__ import annotations

from functools import cache

import numpy as np
import pytest
from howspec.theory.rounds import tokens_per_round
from howspec.theory.speedup import speedup
from howspec.theory.trees.optimal import best_tree, best_tree_size, tokens_by_nodes
from howspec.theory.trees.value import regular_tree_tokens, tree_tokens
from hypothesis import given
from hypothesis import strategies as st


def falling(size: int) -> st.SearchStrategy[list[float]]:
    """Non-increasing probabilities that sum to at most 1."""
    weights = st.lists(st.floats(0.01, 1), min_size=1, max_size=size)
    return st.tuples(weights, st.floats(0.2, 1)).map(
        lambda x: sorted((w * x[1] * (1 - 1e-12) / sum(x[0]) for w in x[0]), reverse=True)
    )


def by_program(rows: list[list[float]], nodes: int, depth: int) -> float:
    """Most tokens with ``nodes`` drafted tokens, by the dynamic program over first subtrees."""

    @cache
    def subtree(size: int, level: int) -> float:
        """Value of a node at this level with ``size`` nodes below it."""
        return 1 + children(size, level + 1, 0)

    @cache
    def children(size: int, level: int, rank: int) -> float:
        """Value of the children from this rank on, sharing ``size`` nodes."""
        if size == 0 or level > depth or rank == len(rows[min(level - 1, len(rows) - 1)]):
            return 0.0
        p = rows[min(level - 1, len(rows) - 1)][rank]
        return max(
            [children(size, level, rank + 1)]
            + [
                p * subtree(mine - 1, level) + children(size - mine, level, rank + 1)
                for mine in range(1, size + 1)
            ]
        )

    return subtree(nodes, 0)


@given(falling(4), st.integers(0, 9), st.integers(0, 9))
def test_best_first_equals_the_dynamic_program_with_and_without_a_depth_cap(
    ranks: list[float], nodes: int, depth: int
) -> None:
    free = best_tree(ranks, nodes)
    assert free.tokens == pytest.approx(by_program([ranks], nodes, nodes), rel=1e-13)
    capped = best_tree(ranks, nodes, depth=depth)
    assert capped.tokens == pytest.approx(by_program([ranks], nodes, depth), rel=1e-13)
    assert capped.depths.max(initial=0) <= depth


@given(st.lists(st.tuples(falling(3)), min_size=1, max_size=4), st.integers(0, 8))
def test_rows_of_ranks_by_level_equal_the_dynamic_program(
    levels: list[tuple[list[float]]], nodes: int
) -> None:
    width = max(len(row) for (row,) in levels)
    rows = [row + [0.0] * (width - len(row)) for (row,) in levels]
    got = best_tree(rows, nodes)
    assert got.tokens == pytest.approx(by_program(rows, nodes, len(rows)), rel=1e-13)


@given(falling(5), st.integers(0, 60))
def test_the_tree_is_a_tree_and_its_value_is_that_of_its_paths(
    ranks: list[float], nodes: int
) -> None:
    tree = best_tree(ranks, nodes)
    assert tree.values.shape == tree.parents.shape == tree.ranks.shape == tree.depths.shape
    assert tree.values.size <= nodes
    chances = np.array(ranks)[tree.ranks]
    assert tree.tokens == pytest.approx(tree_tokens(tree.parents, chances), rel=1e-13)
    taken = set(zip(tree.parents.tolist(), tree.ranks.tolist(), strict=True))
    assert len(taken) == tree.values.size, "no child is taken twice"
    assert all(rank == 0 or (up, rank - 1) in taken for up, rank in taken), "elders come first"
    above = np.where(tree.parents >= 0, tree.depths[tree.parents], 0) if tree.values.size else 0
    assert (tree.depths == above + 1).all()
    assert (np.diff(tree.values) <= 0).all()


@given(falling(5), st.integers(0, 80))
def test_tokens_by_nodes_are_nested_and_concave(ranks: list[float], nodes: int) -> None:
    curve = tokens_by_nodes(ranks, nodes)
    assert curve.shape == (nodes + 1,)
    assert curve[0] == 1
    steps = np.diff(curve)
    assert (steps >= -1e-15).all()
    assert (np.diff(steps) <= 1e-13).all()
    half = nodes // 2
    assert curve[half] == pytest.approx(best_tree(ranks, half).tokens, rel=1e-13)
    assert curve[-1] <= 1 / max(1 - sum(ranks), 1e-300) * (1 + 1e-12)


def test_one_rank_is_the_chain_and_equal_ranks_fill_the_complete_tree() -> None:
    assert tokens_by_nodes([0.8], 9)[-1] == pytest.approx(tokens_per_round(0.8, 9), rel=1e-14)
    complete = best_tree([0.3, 0.3], 2 + 4 + 8)
    assert complete.depths.max() == 3
    assert complete.tokens == pytest.approx(regular_tree_tokens(0.6, 3), rel=1e-14)


def test_nodes_that_are_never_accepted_are_left_out() -> None:
    assert best_tree([0.5, 0.0], 40, depth=3).values.tolist() == [0.5, 0.25, 0.125]
    assert best_tree([0.0], 5).tokens == 1
    assert best_tree([1.0, 0.0], 5).tokens == 6
    assert tokens_by_nodes([[0.5], [0.5]], 5).tolist() == [1, 1.5, 1.75, 1.75, 1.75, 1.75]


@given(falling(3), st.integers(0, 12), st.floats(0, 0.3), st.floats(0, 0.1), st.floats(0, 0.5))
def test_the_best_size_equals_the_scan_over_every_budget_and_depth(
    ranks: list[float], nodes: int, step: float, slope: float, overhead: float
) -> None:
    got = best_tree_size(ranks, nodes, draft_step=step, verify_slope=slope, overhead=overhead)
    best = 1.0
    for depth in range(1, nodes + 1):
        for n in range(1, nodes + 1):
            cost = 1 + slope * n + step * depth + overhead
            best = max(best, best_tree(ranks, n, depth=depth).tokens / cost)
    assert got.speedup == pytest.approx(best, rel=1e-13)
    if got.nodes:
        cost = 1 + slope * got.nodes + step * got.depth + overhead
        assert got.tokens / cost == pytest.approx(got.speedup, rel=1e-13)
        tree = best_tree(ranks, got.nodes, depth=got.depth)
        assert tree.tokens == pytest.approx(got.tokens, rel=1e-13)
        assert tree.depths.max() == got.depth
    else:
        assert (got.depth, got.tokens, got.speedup) == (0, 1, 1)


def test_the_best_size_of_a_chain_is_the_best_gamma() -> None:
    choice = best_tree_size([0.8], 40, draft_step=0.05, verify_slope=0.01, overhead=0.1)
    gammas = np.arange(41)
    scan = speedup(0.8, gammas, 0.05, verify_slope=0.01, overhead=0.1)
    assert choice.nodes == choice.depth == scan.argmax()
    assert choice.speedup == pytest.approx(scan.max(), rel=1e-14)


def test_a_table_of_verifying_times_replaces_the_slope() -> None:
    stairs = 1 + 0.5 * (np.arange(33) >= 8)
    got = best_tree_size([0.6, 0.2], 32, draft_step=0.02, verify_time=stairs)
    assert got.nodes == 7
    linear = best_tree_size([0.6, 0.2], 32, draft_step=0.02, verify_slope=0.03)
    table = best_tree_size([0.6, 0.2], 32, draft_step=0.02, verify_time=1 + 0.03 * np.arange(33))
    assert linear == table
    # All times scaled alike, plain decoding included, change no choice: v(0) is the unit.
    capped = best_tree_size([0.6, 0.2], 32, draft_step=0.02, verify_slope=0.03, depth=2)
    assert capped.depth <= 2
