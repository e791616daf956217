r"""Tokens per round of a draft tree: the sum, over its nodes, of the chance that each is accepted.

    E[N] = 1 + sum over nodes of the product of the acceptance probabilities on the path to it

At most one child of a node is accepted, so the probabilities of siblings sum to at most 1. A chain
is the tree of width 1; k children everywhere give a geometric sum in their joint probability.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from ..domain import Floats, check, unwrap
from ..formula import evaluates, formula
from ..rounds import geometric_sum
from ..symbols import register

register(
    "children_mass",
    "P",
    "probability that one of the children of an accepted node is accepted",
    high=1.0,
)
register("tree_depth", "d", "levels of a draft tree below its root", unit="level", integer=True)
register("chains", "b", "independent draft chains verified together", low=1, integer=True)
register("rank_first", "p_1", "probability that a node's first child is accepted", high=1.0)
register(
    "rank_ratio",
    "r",
    "factor from the acceptance probability of one child to that of its next sibling",
    high=1.0,
    open_high=True,
)
register("children", "k", "children of a node of a draft tree", integer=True)


@formula("regular_tree_tokens", r"\mathrm{E}[N]", group="trees", children_mass=0.85, tree_depth=5)
def REGULAR_TREE_TOKENS(s: Any) -> Any:
    """Mean tokens per round of the complete tree of depth d, every node with the same children.

    Assumes: acceptance depends on the rank of a child only, not on its depth or context.
    Wrong when: deeper drafts are worse, or the tree is so large that verification slows.
    Source: derived here by summing the levels; children_mass = alpha is the chain of
    arXiv:2211.17192v2, equation 1.
    """
    return (1 - s.children_mass ** (s.tree_depth + 1)) / (1 - s.children_mass)


@formula("parallel_chains_tokens", r"\mathrm{E}[N]", group="trees", alpha=0.8, gamma=5, chains=3)
def PARALLEL_CHAINS_TOKENS(s: Any) -> Any:
    """Mean tokens per round of b independent chains of length gamma, the longest accepted one kept.

    Assumes: acceptance independent between chains and between positions.
    Wrong when: the chains share tokens, as samples of a confident draft do.
    Source: derived here from the law of the maximum; arXiv:2402.02057 uses the same count.
    """
    import sympy

    i = sympy.Dummy("i", integer=True, positive=True)
    misses = sympy.Sum((1 - s.alpha**i) ** s.chains, (i, 1, s.gamma))
    return s.gamma + 1 - misses


@formula("ranked_children_mass", "P_k", group="trees", rank_first=0.6, rank_ratio=0.4, children=4)
def RANKED_CHILDREN_MASS(s: Any) -> Any:
    """Probability that one of k children is accepted when ranks fall off geometrically.

    Assumes: the j-th child is accepted with probability p_1 r^(j-1).
    Wrong when: the tail of the ranks is heavier than geometric, as over large vocabularies.
    Source: derived here as a geometric sum.
    """
    return s.rank_first * (1 - s.rank_ratio**s.children) / (1 - s.rank_ratio)


@evaluates(REGULAR_TREE_TOKENS)
def regular_tree_tokens(children_mass: ArrayLike, tree_depth: ArrayLike) -> Any:
    """1 + P + ... + P^d: mean tokens per round of a complete tree of depth d [token].

    children_mass: in [0, 1]; tree_depth: whole number >= 0. Shapes broadcast; d + 1 at P = 1.
    Raises ValueError outside these ranges.
    """
    mass, depth = check("children_mass", children_mass), check("tree_depth", tree_depth)
    return unwrap(geometric_sum(mass, depth + 1.0))


@evaluates(PARALLEL_CHAINS_TOKENS)
def parallel_chains_tokens(alpha: ArrayLike, gamma: ArrayLike, chains: ArrayLike) -> Any:
    """Mean tokens per round of b independent chains, gamma + 1 - sum of (1 - alpha^i)^b [token].

    alpha: in [0, 1]; gamma: whole number >= 0 [token]; chains: whole number >= 1. Shapes
    broadcast. Raises ValueError outside these ranges. Summed as 1 plus the chances that some chain
    reaches each position, which does not cancel for small alpha.
    """
    a, g, b = np.broadcast_arrays(
        check("alpha", alpha), check("gamma", gamma, whole=True), check("chains", chains)
    )
    total = np.ones(a.shape)
    for i in range(1, int(g.max(initial=0.0)) + 1):
        with np.errstate(divide="ignore"):
            reached = -np.expm1(b * np.log1p(-(a**i)))
        total = total + np.where(i <= g, reached, 0.0)
    return unwrap(total)


@evaluates(RANKED_CHILDREN_MASS)
def ranked_children_mass(rank_first: ArrayLike, rank_ratio: ArrayLike, children: ArrayLike) -> Any:
    """p_1 (1 + r + ... + r^(k-1)): chance that one of k ranked children is accepted.

    rank_first: in [0, 1]; rank_ratio: in [0, 1); children: whole number >= 0. Shapes broadcast.
    Raises ValueError outside these ranges and where the whole sum p_1 / (1 - r) exceeds 1.
    """
    p, r = check("rank_first", rank_first), check("rank_ratio", rank_ratio)
    _check_ranks_total(p, r)
    return unwrap(p * geometric_sum(r, check("children", children)))


def _check_ranks_total(first: Floats, ratio: Floats) -> None:
    total = first / (1.0 - ratio)
    if (total > 1.0 + 1e-12).any():
        raise ValueError(f"rank_first / (1 - rank_ratio) must be in [0, 1], got {total.max():.12g}")


def geometric_ranks(rank_first: float, rank_ratio: float, *, count: int) -> Floats:
    """Acceptance probabilities p_1 r^(j-1) of the children of ranks j = 1..count, shape (count,).

    rank_first: in [0, 1]; rank_ratio: in [0, 1); together p_1 / (1 - r) <= 1; count: >= 0.
    Raises ValueError outside these ranges.
    """
    p, r = check("rank_first", rank_first), check("rank_ratio", rank_ratio)
    _check_ranks_total(p, r)
    return np.asarray(p * r ** np.arange(int(check("children", count))))


def path_products(parents: ArrayLike, probabilities: ArrayLike) -> Floats:
    """Chance that each node of a draft tree is accepted: the product along its path, shape (n,).

    parents: the index of each node's parent, which comes before the node; -1 is the root.
    probabilities: that a node is accepted, given that its parent is; those of siblings sum to at
    most 1. Raises ValueError when the tree or a probability is not of this kind.
    """
    p = check("alpha", probabilities, label="probabilities")
    up: NDArray[np.int64] = np.asarray(parents, dtype=np.int64)
    if up.shape != p.shape or up.ndim != 1:
        raise ValueError(f"parents must be in one dimension of {p.size} nodes, got {up.shape}")
    wrong = (up < -1) | (up >= np.arange(up.size))
    if wrong.any():
        node = int(wrong.argmax())
        raise ValueError(f"parents[{node}] must be in [-1, {node - 1}], got {up[node]}")
    siblings = np.bincount(up + 1, weights=p, minlength=up.size + 1)
    if siblings.max(initial=0.0) > 1.0 + 1e-9:
        raise ValueError(
            f"probabilities of siblings must sum to at most 1, got {siblings.max():.12g}"
        )
    reached = np.ones(up.size + 1)  # entry -1 is the root
    for node, parent in enumerate(up):
        reached[node] = p[node] * (reached[parent] if parent >= 0 else 1.0)
    return reached[:-1]


def tree_tokens(parents: ArrayLike, probabilities: ArrayLike) -> float:
    """Mean tokens per round of any draft tree: 1 plus the sum of its path products [token].

    Arguments and errors as in :func:`path_products`. Source: derived here by linearity of the
    mean; the same objective is maximised in arXiv:2402.12374.
    """
    return 1.0 + float(path_products(parents, probabilities).sum())
