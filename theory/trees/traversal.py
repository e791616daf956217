r"""Traversal verification: a drafted tree is verified from its leaves to its root.

    w = min(1, h p(x) / q(x))          weight of a child x under a node of weight h
    h <- s/(s + 1 - h),  p <- norm((h p - q)_+),  s = sum (h p - q)_+     once x is refused

A node of weight h is kept, itself or with nodes below it, with probability h, averaged over the
drafts below it. The first node in this order whose test passes ends the accepted path, and the
token after it comes from what is left of p there. A chain gives block
verification, a tree of depth 1 recursive rejection.

Assumes: the children of a node are drafted independently, each from q.
Wrong when: the children are the draft's likeliest tokens; then q is not what they were drawn from.
Source: arXiv:2505.12398 for the traversal from leaf to root and its losslessness; the update after
a refusal is derived here from the mass that is left, and a test enumerates the output's law.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike, NDArray

from ..domain import Floats, check
from .block import BlockGain
from .verification import block_accept_probability, block_weight_step, distribution


@dataclass(frozen=True)
class Ending:
    """One way in which the verification of a tree ends.

    node: the last accepted one, -1 for the root; probability: of this end, given the tree;
    law: of the token that follows, (V,).
    """

    node: int
    probability: float
    law: Floats


def _refused(weight: float, p: Floats, q: Floats) -> tuple[float, Floats]:
    """(weight, law) that remain at a node after one of its children was refused."""
    left = np.maximum(weight * p - q, 0.0)
    surplus = float(left.sum())
    after = float(block_accept_probability(weight, min(surplus, 1.0)))
    return after, left / surplus if surplus > 0.0 else p


def traversal_endings(
    target: ArrayLike, draft: ArrayLike, tokens: ArrayLike, *, parents: ArrayLike
) -> list[Ending]:
    """Every end of the verification of a drafted tree; the probabilities sum to 1.

    target, draft: next-token laws after the root (row 0) and after each node (row i + 1),
    (n + 1, V); tokens: of the nodes, (n,); parents: of the nodes, -1 for the root, each before its
    children. Raises ValueError when the shapes, the tree or the distributions are not of this kind.
    """
    p, q = distribution("target", target), distribution("draft", draft)
    x: NDArray[np.int64] = np.asarray(tokens, dtype=np.int64)
    up: NDArray[np.int64] = np.asarray(parents, dtype=np.int64)
    if p.shape != q.shape or p.shape[:-1] != (x.size + 1,) or x.shape != up.shape:
        raise ValueError(
            "target and draft must have shape (n + 1, V), tokens and parents (n,), "
            f"got {p.shape}, {q.shape}, {x.shape} and {up.shape}"
        )
    if x.size and not (x.min() >= 0 and x.max() < p.shape[1]):
        raise ValueError(f"tokens must be in [0, {p.shape[1] - 1}], got {x.tolist()}")
    if ((up < -1) | (up >= np.arange(up.size))).any():
        raise ValueError(f"parents must be -1 or an earlier node, got {up.tolist()}")

    def walk(node: int, weight: float, reached: float) -> list[Ending]:
        ends: list[Ending] = []
        law, proposed = p[node + 1], q[node + 1]
        for child in np.flatnonzero(up == node):
            token = x[child]
            step = float(block_weight_step(weight, law[token], proposed[token]))
            kept = walk(int(child), step, reached)
            ends += kept
            reached -= sum(end.probability for end in kept)  # step of it, on average over drafts
            weight, law = _refused(weight, law, proposed)
        return [*ends, Ending(node, reached * weight, law)]

    return walk(-1, 1.0, 1.0)


def traversal_gain(
    target: ArrayLike,
    draft: ArrayLike,
    widths: ArrayLike,
    *,
    target_start: ArrayLike,
    draft_start: ArrayLike,
) -> BlockGain:
    """Exact mean tokens per round of a complete tree: token by token from the root, and traversed.

    target, draft: next-token laws of Markov models by last token, (V, V); widths: children of a
    node at each level, (depth,), whole numbers >= 1 whose product times V^depth is at most 4e5,
    since every state is enumerated; target_start, draft_start: laws of the first token, (V,).
    ``token`` is recursive rejection, ``block`` the traversal, which was never the lower one in 600
    random pairs (up to 1.10 times as many at widths 2, 2; no proof here). Raises ValueError
    otherwise.
    """
    p, q = distribution("target", target), distribution("draft", draft)
    p0, q0 = distribution("target_start", target_start), distribution("draft_start", draft_start)
    if p0.ndim != 1 or p.shape != (p0.size, p0.size) or q.shape != p.shape or q0.shape != p0.shape:
        raise ValueError(f"target and draft must have shape ({p0.size}, {p0.size}), got {p.shape}")
    levels = [int(k) for k in np.atleast_1d(check("drafts", widths, label="widths", whole=True))]
    if np.log(np.multiply(levels, float(p0.size))).sum() > np.log(4e5):
        raise ValueError(f"states to enumerate must be at most 4e5, got widths {levels}")

    def kept(law: Floats, proposed: Floats, level: int, weight: float) -> float:
        """Mean tokens accepted below a node, counted where it is kept."""
        total, reached = 0.0, 1.0
        for _ in range(levels[level] if level < len(levels) else 0):
            steps = np.asarray(block_weight_step(weight, law, proposed))
            below = [kept(p[i], q[i], level + 1, float(w)) for i, w in enumerate(steps)]
            total += reached * float(proposed @ (steps + below))
            reached *= max(1.0 - float(proposed @ steps), 0.0)
            weight, law = _refused(weight, law, proposed)
        return total

    def single(law: Floats, proposed: Floats, level: int) -> float:
        if level == len(levels):
            return 0.0
        accepted, reached = np.zeros(law.size), 1.0
        for _ in range(levels[level]):
            shared = np.minimum(law, proposed)
            accepted += reached * shared
            reached *= max(1.0 - float(shared.sum()), 0.0)
            law = _refused(1.0, law, proposed)[1]
        return float(accepted @ [1.0 + single(p[i], q[i], level + 1) for i in range(law.size)])

    return BlockGain(1.0 + single(p0, q0, 0), 1.0 + kept(p0, q0, 0, 1.0))
