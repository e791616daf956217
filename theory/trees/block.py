"""Block verification: the drafted tokens of a round are accepted together, not one by one.

    h_0 = 1,  h_i = min(1, h_{i-1} p(x_i) / q(x_i)),   E[tau] = sum of E[h_i] over i = 1..gamma

Position i < gamma passes with probability s/(s + 1 - h_i), s the sum of (h_i p - q)_+ over the
next token, position gamma with h_gamma; the last position that passes ends the accepted prefix,
and the token after it comes from norm((h_tau p - q)_+). Source: arXiv:2403.10444.

Traversal verification: a drafted tree is verified from its leaves to its root.

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
from .verification import block_accept_probability, block_weight_step, distribution, markov_models


def _rows(
    target: ArrayLike, draft: ArrayLike, tokens: ArrayLike
) -> tuple[Floats, Floats, NDArray[np.int64]]:
    p, q = distribution("target", target), distribution("draft", draft)
    x: NDArray[np.int64] = np.asarray(tokens, dtype=np.int64)
    if x.ndim != 1 or q.shape != (x.size, p.shape[-1]) or p.shape != (x.size + 1, q.shape[-1]):
        raise ValueError(
            "target, draft and tokens must have shapes (gamma + 1, V), (gamma, V) and (gamma,), "
            f"got {p.shape}, {q.shape} and {x.shape}"
        )
    if x.size and not (x.min() >= 0 and x.max() < q.shape[1]):
        raise ValueError(f"tokens must be in [0, {q.shape[1] - 1}], got {x.tolist()}")
    return p, q, x


def block_weights(target: ArrayLike, draft: ArrayLike, tokens: ArrayLike) -> Floats:
    """h_0..h_gamma along a drafted block, shape (gamma + 1,), in [0, 1].

    target: the target's distributions after 0..gamma drafted tokens, (gamma + 1, V);
    draft: the draft's after 0..gamma - 1, (gamma, V); tokens: the block, (gamma,).
    Raises ValueError when the shapes or the distributions are not of this kind.
    """
    p, q, x = _rows(target, draft, tokens)
    weights = np.ones(x.size + 1)
    for i, token in enumerate(x):
        weights[i + 1] = block_weight_step(weights[i], p[i, token], q[i, token])
    return weights


def block_passes(target: ArrayLike, draft: ArrayLike, tokens: ArrayLike) -> Floats:
    """Chance that the test of each position 0..gamma passes, shape (gamma + 1,); 1 at 0.

    Arguments and errors as in :func:`block_weights`.
    """
    p, q, x = _rows(target, draft, tokens)
    weights = block_weights(p, q, x)
    passes = weights.copy()
    for i in range(1, x.size):
        surplus = np.maximum(weights[i] * p[i] - q[i], 0.0).sum()
        passes[i] = block_accept_probability(weights[i], min(surplus, 1.0))
    return passes


def block_stop_law(target: ArrayLike, draft: ArrayLike, tokens: ArrayLike) -> Floats:
    """P(tau = 0..gamma) for a drafted block: the last position whose test passes, (gamma + 1,).

    Arguments and errors as in :func:`block_weights`. Sums to 1.
    """
    passes = block_passes(target, draft, tokens)
    later_fail = np.append(np.cumprod((1.0 - passes)[::-1])[::-1][1:], 1.0)
    return np.asarray(passes * later_fail)


def block_next_token(
    target: ArrayLike, draft: ArrayLike, tokens: ArrayLike, *, accepted: int
) -> Floats:
    """Law of the token after ``accepted`` tokens of the block, shape (V,).

    norm((h p - q)_+) below gamma, the target's own distribution after the whole block.
    accepted: in 0..gamma. Other arguments and errors as in :func:`block_weights`.
    """
    p, q, x = _rows(target, draft, tokens)
    tau = int(check("gamma", accepted, label="accepted", whole=True))
    if tau > x.size:
        raise ValueError(f"accepted must be an integer in [0, {x.size}], got {tau}")
    if tau == x.size:
        return np.asarray(p[tau])
    left = np.maximum(block_weights(p, q, x)[tau] * p[tau] - q[tau], 0.0)
    total = left.sum()
    return np.asarray(left / total) if total > 0.0 else np.asarray(p[tau])


def verify_block(
    rng: np.random.Generator, target: ArrayLike, draft: ArrayLike, *, tokens: ArrayLike
) -> tuple[int, int]:
    """(accepted tokens, next token) of one round, drawn by the tests of the block.

    rng: the generator; the rest and errors as in :func:`block_weights`.
    """
    passes = block_passes(target, draft, tokens)
    accepted = int(np.flatnonzero(rng.random(passes.size) < passes).max(initial=0))
    law = block_next_token(target, draft, tokens, accepted=accepted)
    return accepted, int(rng.choice(law.size, p=law))


@dataclass(frozen=True)
class BlockGain:
    """Mean tokens per round, bonus token included, of both ways to verify the same drafts."""

    token: float
    block: float

    @property
    def ratio(self) -> float:
        """How many times more tokens the block yields, >= 1."""
        return self.block / self.token


def block_gain(
    target: ArrayLike,
    draft: ArrayLike,
    gamma: int,
    *,
    target_start: ArrayLike,
    draft_start: ArrayLike,
) -> BlockGain:
    """Exact mean tokens per round for a pair of Markov models, token by token and as a block.

    target, draft: next-token laws by last token, (V, V); target_start, draft_start: laws of the
    first token, (V,); gamma: whole number >= 0 with V^gamma <= 4e6, since every draft is
    enumerated. Raises ValueError otherwise.
    """
    p, q, p0, q0 = markov_models(target, draft, target_start, draft_start)
    size = p0.size
    length = int(check("gamma", gamma, whole=True))
    if length * np.log(size) > np.log(4e6):
        raise ValueError(f"V^gamma must be in [1, 4e6] to be enumerated, got {size}^{length}")
    mass, joint, single = np.ones(1), np.ones(1), np.ones(1)  # of each prefix: q, block h, token h
    token, block = 1.0, 1.0
    for i in range(length):
        # Prefixes are in lexical order: the last token of the rows is 0..V-1, repeated.
        rows_p = p0[None] if i == 0 else np.tile(p, (mass.size // size, 1))
        rows_q = q0[None] if i == 0 else np.tile(q, (mass.size // size, 1))
        joint = np.asarray(block_weight_step(joint[:, None], rows_p, rows_q)).ravel()
        single = (single[:, None] * np.asarray(block_weight_step(1.0, rows_p, rows_q))).ravel()
        mass = (mass[:, None] * rows_q).ravel()
        token += float(mass @ single)
        block += float(mass @ joint)
    return BlockGain(token, block)


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
    p, q, p0, q0 = markov_models(target, draft, target_start, draft_start)
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
