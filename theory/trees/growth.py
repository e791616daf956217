r"""How the tokens of the best tree grow with its number of nodes, and when more stop paying.

With acceptance probabilities p_1 >= p_2 >= ... of the children of a node:

    sum p < 1:  E[N] -> 1 / (1 - sum p), the deficit falling like n^{-(1 - theta)/theta},
                where theta solves sum p^theta = 1
    sum p = 1:  E[N] ~ ln n / H,  H = -sum p ln p
"""

from __future__ import annotations

import numpy as np
from numpy.typing import ArrayLike

from ..domain import Floats, check
from ..either import log
from ..formula import Number, equation, symbolic


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
    if symbolic(equal_children, equal_rank):
        import sympy

        return sympy.log(equal_children) / -sympy.log(equal_rank)
    k, p = equal_children, equal_rank
    if (k * p > 1.0 + 1e-12).any():
        total = (k * p).max()
        raise ValueError(f"equal_children * equal_rank must be in [0, 1], got {total:.12g}")
    return np.log(k) / -np.log(p)


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
