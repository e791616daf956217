r"""Tokens per round of a draft tree: the sum, over its nodes, of the chance that each is accepted.

    E[N] = 1 + sum over nodes of the product of the acceptance probabilities on the path to it

At most one child of a node is accepted, so the probabilities of siblings sum to at most 1. A chain
is the tree of width 1; k children everywhere give a geometric sum in their joint probability.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import ArrayLike, NDArray

from ..domain import Floats, check
from ..either import at_least_once, demand
from ..formula import Number, equation, symbolic
from ..rounds import geometric


@equation(r"\mathrm{E}[N]", group="trees", children_mass=0.85, tree_depth=5)
def regular_tree_tokens(children_mass: Number, tree_depth: Number) -> Number:
    """Mean tokens per round of the complete tree of depth d, every node with the same children.

    Assumes: acceptance depends on the rank of a child only, not on its depth or context.
    Wrong when: deeper drafts are worse, or the tree is so large that verification slows.
    Source: derived here by summing the levels; children_mass = alpha is the chain of
    arXiv:2211.17192v2, equation 1.
    Returns: d + 1 at P = 1.
    """
    return geometric(children_mass, tree_depth + 1)


@equation(r"\mathrm{E}[N]", group="trees", whole=("gamma",), broadcast=True, alpha=0.8, gamma=5,
          chains=3)  # fmt: skip
def parallel_chains_tokens(alpha: Number, gamma: Number, chains: Number) -> Number:
    """Mean tokens per round of b independent chains of length gamma, the longest accepted one kept.

    Assumes: acceptance independent between chains and between positions.
    Wrong when: the chains share tokens, as samples of a confident draft do.
    Source: derived here from the law of the maximum; arXiv:2402.02057 uses the same count.
    Returns: summed as 1 plus the chances that some chain reaches each position, which does not
    cancel for small alpha.
    """
    if symbolic(alpha, gamma):
        import sympy

        i = sympy.Dummy("i", integer=True, positive=True)
        misses = sympy.Sum((1 - alpha**i) ** chains, (i, 1, gamma))
        return gamma + 1 - misses
    a, g, b = alpha, gamma, chains
    total = np.ones(a.shape)
    for i in range(1, int(g.max(initial=0.0)) + 1):
        total = total + np.where(i <= g, at_least_once(a**i, b), 0.0)
    return total


@equation("P_k", group="trees", rank_first=0.6, rank_ratio=0.4, children=4)
def ranked_children_mass(rank_first: Number, rank_ratio: Number, children: Number) -> Number:
    """Probability that one of k children is accepted when ranks fall off geometrically.

    Assumes: the j-th child is accepted with probability p_1 r^(j-1).
    Wrong when: the tail of the ranks is heavier than geometric, as over large vocabularies.
    Source: derived here as a geometric sum.
    """
    _demand_total(rank_first, rank_ratio)
    return rank_first * geometric(rank_ratio, children)


def _demand_total(first: Number, ratio: Number) -> None:
    total = first / (1 - ratio)
    demand(total <= 1 + 1e-12, "rank_first / (1 - rank_ratio) must be in [0, 1]", total)


def geometric_ranks(rank_first: float, rank_ratio: float, *, count: int) -> Floats:
    """Acceptance probabilities p_1 r^(j-1) of the children of ranks j = 1..count, shape (count,).

    rank_first: in [0, 1]; rank_ratio: in [0, 1); together p_1 / (1 - r) <= 1; count: >= 0.
    Raises ValueError outside these ranges.
    """
    p, r = check("rank_first", rank_first), check("rank_ratio", rank_ratio)
    _demand_total(p, r)
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
