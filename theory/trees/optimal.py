"""The draft tree that yields most tokens under a budget of nodes, and the best budget.

A node is worth the product of acceptance probabilities on its path. Where a rank is never worth
more than the one before it, a node is worth no more than its parent and its elder sibling, so the
n most valuable nodes already form a tree: taking them best first, from a heap, is optimal. That
costs O(n log n), as in arXiv:2504.15475, where the tree is that of Tunstall's code, against
O(n^2 k) for the dynamic program over subtrees (arXiv:2402.12374).

How the tokens of the best tree grow with its number of nodes, and when more stop paying.

With acceptance probabilities p_1 >= p_2 >= ... of the children of a node:

    sum p < 1:  E[N] -> 1 / (1 - sum p), the deficit falling like n^{-(1 - theta)/theta},
                where theta solves sum p^theta = 1
    sum p = 1:  E[N] ~ ln n / H,  H = -sum p ln p
"""

from __future__ import annotations

import heapq
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from ..domain import Floats, as_floats, check
from ..either import demand, log
from ..formula import Number, equation


@dataclass(frozen=True)
class Tree:
    """A draft tree, its nodes in the order in which they pay.

    parents: index of each node's parent, -1 for the root, shape (n,).
    ranks: which child of its parent a node is, from 0, shape (n,).
    depths: level of each node, from 1, shape (n,).
    values: chance that each node is accepted, non-increasing, shape (n,).
    """

    parents: NDArray[np.int64]
    ranks: NDArray[np.int64]
    depths: NDArray[np.int64]
    values: Floats

    @property
    def tokens(self) -> float:
        """Mean tokens per round, the bonus token included."""
        return 1.0 + float(self.values.sum())


@dataclass(frozen=True)
class TreeChoice:
    """The best budget: nodes and depth of the tree (0 is plain decoding), its tokens, speed-up."""

    nodes: int
    depth: int
    tokens: float
    speedup: float


def _rank_table(ranks: ArrayLike) -> tuple[Floats, bool]:
    """The ranks as rows of levels, and whether one row serves every level."""
    p = check("alpha", ranks, label="ranks")
    if p.ndim not in (1, 2):
        raise ValueError(f"ranks must have one or two dimensions, got {p.ndim}")
    table = np.atleast_2d(p)
    if (np.diff(table, axis=1) > 0).any():
        raise ValueError("ranks must be in non-increasing order along the last axis")
    total = table.sum(axis=1).max(initial=0.0)
    if total > 1.0 + 1e-9:
        raise ValueError(f"ranks of one level must sum to a value in [0, 1], got {total:.12g}")
    return table, p.ndim == 1


def best_tree(ranks: ArrayLike, nodes: int, *, depth: int | None = None) -> Tree:
    """The tree with at most ``nodes`` drafted tokens that yields most tokens per round.

    ranks: acceptance probability of the j-th child of an accepted node, non-increasing, shape
    (k,); or (levels, k), a row for each level, then no deeper than the rows.
    nodes: whole number >= 0; depth: the deepest level allowed, none by default.
    Nodes that are never accepted are left out, so the tree may be smaller than the budget.
    Raises ValueError when the ranks rise, leave [0, 1] or sum to more than 1.
    Source: arXiv:2504.15475; best-first growth is also used in arXiv:2406.17276 and 2406.16858.
    That it is optimal, also with a bound on the depth, is rederived in this module.
    """
    table, shared = _rank_table(ranks)
    budget = int(check("gamma", nodes, label="nodes", whole=True))
    deepest = budget if shared else table.shape[0]
    if depth is not None:
        deepest = min(deepest, int(check("tree_depth", depth)))
    grown = _grow(table, shared, budget, deepest)
    shape = [np.array([node[i] for node in grown], dtype=np.int64) for i in range(3)]
    return Tree(shape[0], shape[1], shape[2], np.array([node[3] for node in grown], dtype=float))


def _grow(
    table: Floats, shared: bool, budget: int, deepest: int
) -> list[tuple[int, int, int, float]]:
    """(parent, rank, depth, value) of the nodes, taken from a heap of candidates by value."""
    rows = table.tolist()
    width = table.shape[1]
    grown: list[tuple[int, int, int, float]] = []
    # A candidate: minus its value, its depth and number (ties go to the shallow and the early),
    # its parent, its rank, and the value of its parent.
    heap: list[tuple[float, int, int, int, int, float]] = []
    count = 0

    def offer(parent: int, rank: int, level: int, above: float) -> None:
        nonlocal count
        if rank < width and level <= deepest:
            value = above * rows[0 if shared else level - 1][rank]
            if value > 0.0:
                heapq.heappush(heap, (-value, level, count, parent, rank, above))
                count += 1

    offer(-1, 0, 1, 1.0)
    while heap and len(grown) < budget:
        value, level, _, parent, rank, above = heapq.heappop(heap)
        grown.append((parent, rank, level, -value))
        offer(len(grown) - 1, 0, level + 1, -value)
        offer(parent, rank + 1, level, above)
    return grown


def tokens_by_nodes(ranks: ArrayLike, nodes: int, *, depth: int | None = None) -> Floats:
    """E[N] of the best tree with n = 0..nodes drafted tokens, shape (nodes + 1,) [token].

    Arguments and errors as in :func:`best_tree`. Concave in n: the nodes are taken by value.
    """
    values = best_tree(ranks, nodes, depth=depth).values
    padded = np.zeros(int(nodes) + 1)
    padded[0] = 1.0
    padded[1 : values.size + 1] = values
    return np.asarray(np.cumsum(padded))


def best_tree_size(
    ranks: ArrayLike,
    nodes: int,
    *,
    draft_step: float,
    verify_slope: float = 0.0,
    overhead: float = 0.0,
    verify_time: ArrayLike | None = None,
    depth: int = 64,
) -> TreeChoice:
    """The number of nodes and the depth of the tree with the largest speed-up.

    A round costs draft_step for each level, one verifying pass over n + 1 tokens, and overhead,
    all >= 0 [target step]; plain decoding costs 1 and pays no overhead. The pass takes
    1 + verify_slope n, or verify_time[n] where given, for n = 0..nodes (nodes + 1 values, > 0).
    Each depth up to ``depth`` is tried with its own best trees, so the choice is exact.
    ranks as in :func:`best_tree`. Raises ValueError outside these ranges.
    """
    size = int(check("gamma", nodes, label="nodes", whole=True))
    step, extra = float(check("cost_ratio", draft_step)), float(check("overhead", overhead))
    verify = _verify_times(size, verify_slope, verify_time)
    choice = TreeChoice(0, 0, 1.0, 1.0)
    previous = 0.0
    for level in range(1, int(check("tree_depth", depth)) + 1):
        tokens = tokens_by_nodes(ranks, size, depth=level)
        speedups = tokens / (verify + step * level + extra)
        n = int(speedups[1:].argmax()) + 1 if size else 0
        if n and speedups[n] > choice.speedup:
            tree = best_tree(ranks, n, depth=level)
            reached = int(tree.depths.max(initial=0))
            choice = TreeChoice(tree.values.size, reached, float(tokens[n]), float(speedups[n]))
        if tokens[-1] == previous:  # no deeper node fits or helps
            break
        previous = tokens[-1]
    return choice


def _verify_times(size: int, slope: float, table: ArrayLike | None) -> Any:
    if table is None:
        return 1.0 + float(check("verify_slope", slope)) * np.arange(size + 1.0)
    times = as_floats("verify_time", table)
    if times.shape != (size + 1,) or not (np.isfinite(times) & (times > 0)).all():
        raise ValueError(f"verify_time must hold {size + 1} values in (0, inf), got {times.shape}")
    return times


@equation(r"\mathrm{E}[N]_\infty", group="trees", children_mass=0.85)
def tree_tokens_limit(children_mass: Number) -> Number:
    """Mean tokens per round that no number of nodes exceeds.

    Assumes: the ranks' probabilities sum to P < 1 at every node, whatever its depth.
    Wrong when: every next token is among the ranks (P = 1); then growth is logarithmic.
    Source: derived here as the sum of all path products, a geometric series in P.
    Returns: inf at P = 1.
    """
    return 1 / (1 - children_mass)


@equation(r"(1 - \theta)/\theta", group="trees", growth_theta=0.8)
def tree_deficit_exponent(growth_theta: Number) -> Number:
    """The tokens still missing from the limit fall like the number of nodes to minus this power.

    Assumes: ranks independent of depth, many nodes; theta from :func:`growth_exponent`.
    Wrong when: few nodes, or ranks on a common geometric grid, which make the deficit wave.
    Source: derived here from the count n ~ x^-theta of paths worth at least x.
    Returns: inf at theta = 0, a chain: the deficit falls exponentially.
    """
    return (1 - growth_theta) / growth_theta


@equation(r"\theta", group="trees", equal_children=3, equal_rank=0.25)
def equal_ranks_theta(equal_children: Number, equal_rank: Number) -> Number:
    """The growth exponent when all k children are accepted with the same probability p.

    Assumes: k p <= 1, so that theta <= 1.
    Wrong when: ranks differ, as they do for any real draft; a solver gives theta then.
    Source: derived here from k p^theta = 1.
    """
    total = equal_children * equal_rank
    demand(total <= 1 + 1e-12, "equal_children * equal_rank must be in [0, 1]", total)
    return log(equal_children) / -log(equal_rank)


@equation(r"\mathrm{E}[N]", group="trees", tree_nodes=1000, rank_entropy=2.0)
def tree_tokens_growth(tree_nodes: Number, rank_entropy: Number) -> Number:
    """Leading term of the tokens per round of the best tree when some child is always accepted.

    Assumes: the ranks' probabilities sum to 1; entropy in nats; exact up to a bounded term.
    Wrong when: the next token may be outside the ranks; then the tokens have a finite limit.
    Source: arXiv:2504.15475, which finds the tree to be Tunstall's code; rederived here.
    """
    return log(tree_nodes) / rank_entropy


def _ranks(ranks: ArrayLike) -> Floats:
    p = check("alpha", ranks, label="ranks")
    if p.ndim != 1 or not p.size:
        raise ValueError(f"ranks must be one or more values in one dimension, got {p.shape}")
    if p.sum() > 1.0 + 1e-9:
        raise ValueError(f"ranks must sum to a value in [0, 1], got {p.sum():.12g}")
    return p


def growth_exponent(ranks: ArrayLike) -> float:
    """theta in [0, 1] that solves sum p^theta = 1 over the ranks, zeros left out.

    ranks: acceptance probabilities of the children of a node, shape (k,), summing to at most 1.
    With one rank only (a chain) theta is 0; a rank of 1 gives 0 too. Raises ValueError outside
    these ranges. Newton's method on ln sum p^theta, which is convex and falls in theta: started
    at 0 it rises to the root without passing it.
    """
    p = _ranks(ranks)
    logs = np.log(p[p > 0.0])
    theta = 0.0
    if logs.size < 2:
        return theta
    logs = np.sort(logs)[::-1]
    for _ in range(200):
        weights = np.exp(theta * logs)
        # The total less 1: a largest rank near 1 would round the others away.
        over = float(np.expm1(theta * logs[0]) + weights[1:].sum())
        step = np.log1p(over) * (1.0 + over) / -float(weights @ logs)
        if not step > 1e-16 * theta:
            break
        theta += step
    return min(theta, 1.0)


def rank_entropy(ranks: ArrayLike) -> float:
    """-sum p ln p over the ranks [nat], zeros counting nothing. Errors as in growth_exponent."""
    p = _ranks(ranks)
    inside = p[p > 0.0]
    return -float((inside * np.log(inside)).sum()) + 0.0


def nodes_worth(ranks: ArrayLike, *, least_value: float) -> int:
    """How many nodes of the infinite tree are accepted with probability ``least_value`` or more.

    The n of the best tree whose next node is worth less; with draft and verifying costs of c per
    node and a speed-up S, nodes worth less than c S do not pay. ranks: shape (k,), below 1;
    least_value: in (0, 1]. Grows like least_value^-theta. Raises ValueError outside the ranges.
    """
    p = np.sort(_ranks(ranks))[::-1]
    if not 0.0 < least_value <= 1.0:
        raise ValueError(f"least_value must be in (0, 1], got {least_value}")
    if p[0] == 1.0:
        raise ValueError("ranks must be below 1 for a finite count, got 1")
    count, level = 0, np.ones(1)
    while level.size:
        level = (level[:, None] * p[p > 0.0]).ravel()
        level = level[level >= least_value]
        count += level.size
    return count
