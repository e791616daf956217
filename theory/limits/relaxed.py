r"""Acceptance by rule: a draft token stands if it is plausible enough, and what that costs.

A rule names the set of tokens that stand; a token drawn from q outside it is replaced by one of p:

    acceptance = q(A),   output = q 1_A + (1 - q(A)) p,   loss = TV(output, p)

    typical (Medusa)   A = { x : p(x) > min(eps, delta e^-H(p)) }
    top m              A = the m likeliest tokens of p
    entropy            A = all tokens where H(p) > h, else the likeliest one

Acceptance never exceeds 1 - TV(p, q) + loss (see `rejections`).
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike, NDArray

from ..domain import Floats, check

Mask = NDArray[np.bool_]


@dataclass(frozen=True)
class Relaxed:
    """Acceptance probability, law of the emitted token, and its distance from the target's.

    acceptance, loss: shape (...); output: (..., V).
    """

    acceptance: Floats
    output: Floats
    loss: Floats


def relaxed_verification(p: ArrayLike, q: ArrayLike, stands: ArrayLike) -> Relaxed:
    """What a rule accepts and loses for a draft token sampled from q, rejected ones drawn from p.

    p, q: distributions over the last axis, (..., V); stands: booleans of the same shape. Raises
    ValueError otherwise. Source: derived here by summing over the drafted token.
    """
    from ..trees.verification import distribution

    target, draft = np.broadcast_arrays(distribution("p", p), distribution("q", q))
    mask = np.broadcast_to(np.asarray(stands, dtype=bool), target.shape)
    kept = np.where(mask, draft, 0.0)
    accepted = kept.sum(axis=-1)
    output = kept + (1.0 - accepted)[..., None] * target
    loss = 0.5 * np.abs(output - target).sum(axis=-1)
    return Relaxed(np.asarray(accepted), np.asarray(output), np.asarray(loss))


def _entropy(p: Floats) -> Floats:
    safe = np.where(p > 0.0, p, 1.0)
    return np.asarray(-(p * np.log(safe)).sum(axis=-1))


def typical_set(p: ArrayLike, *, epsilon: float = 0.3, delta: float = 0.09) -> Mask:
    """Tokens that typical acceptance lets stand, (..., V); always the likeliest one.

    epsilon, delta: in [0, 1]; defaults of Medusa. Source: arXiv:2401.10774, section 2.3.1, whose
    first token is taken greedily, so that the likeliest always stands.
    """
    from ..trees.verification import distribution

    target = distribution("p", p)
    level = check("alpha", delta, label="delta") * np.exp(-_entropy(target))
    least = np.minimum(check("alpha", epsilon, label="epsilon"), level)
    return np.asarray((target > least[..., None]) | top_set(target, 1))


def top_set(p: ArrayLike, count: int) -> Mask:
    """The ``count`` >= 1 likeliest tokens, (..., V); of equals the first. Source: arXiv:2606.30265
    has the rule as top-m acceptance."""
    from ..trees.verification import distribution

    target = distribution("p", p)
    m = int(check("n", count, label="count"))
    order = np.argsort(-target, axis=-1, kind="stable")
    mask = np.zeros(target.shape, bool)
    np.put_along_axis(mask, order[..., :m], True, axis=-1)
    return mask


def entropy_set(p: ArrayLike, *, threshold: float) -> Mask:
    """All tokens where the target's entropy exceeds ``threshold`` [nat], else the likeliest one.

    Source: arXiv:2606.30265 has the rule as entropy-thresholded acceptance.
    """
    from ..trees.verification import distribution

    target = distribution("p", p)
    level = float(check("drafted_mean", threshold, label="threshold")) if threshold > 0 else 0.0
    return np.asarray((_entropy(target) > level)[..., None] | top_set(target, 1))
