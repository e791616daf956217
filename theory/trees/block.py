r"""Block verification: the drafted tokens of a round are accepted together, not one by one.

    h_0 = 1,  h_i = min(1, h_{i-1} p(x_i) / q(x_i)),   E[tau] = sum of E[h_i] over i = 1..gamma

Position i < gamma passes with probability s/(s + 1 - h_i), s the sum of (h_i p - q)_+ over the
next token, position gamma with h_gamma; the last position that passes ends the accepted prefix,
and the token after it comes from norm((h_tau p - q)_+). Source: arXiv:2403.10444.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike, NDArray

from ..domain import Floats, check
from .verification import block_accept_probability, block_weight_step, distribution


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
    p, q = distribution("target", target), distribution("draft", draft)
    p0, q0 = distribution("target_start", target_start), distribution("draft_start", draft_start)
    size = p0.size
    if p.shape != (size, size) or q.shape != (size, size) or p0.shape != q0.shape or p0.ndim != 1:
        raise ValueError(f"target and draft must have shape ({size}, {size}), got {p.shape}")
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
