"""Acceptance from logits: what an engine samples from, and how temperature moves acceptance.

The draft's transforms must be those of the target: acceptance is a property of the distributions
that are actually sampled from.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import ArrayLike

from ..domain import Floats, as_floats, check
from .verification import overlap


def sampled_from(
    logits: ArrayLike, *, temperature: float = 1.0, top_k: int | None = None, top_p: float = 1.0
) -> Floats:
    """The distribution that an engine samples from, (..., V), for logits of that shape.

    temperature: >= 0, divides the logits; 0 is the argmax, the first of equals. top_k: >= 1, keeps
    the k largest logits, and ties with the last of them. top_p: in (0, 1], keeps the fewest
    likeliest tokens that reach this mass, of equals the lower index first. In this order. -inf
    logits are tokens ruled out. Raises ValueError otherwise.
    """
    z = as_floats("logits", logits)
    if z.ndim == 0 or np.isnan(z).any() or not np.isfinite(z.max(axis=-1, initial=-np.inf)).all():
        raise ValueError("logits must have in [-inf, inf) a finite largest value, got none")
    if not 0.0 <= temperature < np.inf:
        raise ValueError(f"temperature must be in [0, inf), got {temperature}")
    if not 0.0 < top_p <= 1.0:
        raise ValueError(f"top_p must be in (0, 1], got {top_p}")
    if top_k is not None and (top_k < 1 or top_k != int(top_k)):
        raise ValueError(f"top_k must be an integer in [1, inf), got {top_k}")
    if temperature == 0.0:
        hot = np.zeros_like(z)
        np.put_along_axis(hot, z.argmax(axis=-1, keepdims=True), 1.0, axis=-1)
        return hot
    if top_k is not None and top_k < z.shape[-1]:
        threshold = np.sort(z, axis=-1)[..., -int(top_k), None]
        z = np.where(z >= threshold, z, -np.inf)
    with np.errstate(over="ignore"):  # a tiny temperature sends every gap to -inf, as it should
        weights = np.exp((z - z.max(axis=-1, keepdims=True)) / temperature)
    p = np.asarray(weights / weights.sum(axis=-1, keepdims=True))
    if top_p == 1.0:
        return p
    # Ranked by logit, not by probability: what rounds to a tie after exp is still in order.
    order = np.argsort(-z, axis=-1, kind="stable")
    ranked = np.take_along_axis(p, order, axis=-1)
    before = np.cumsum(ranked, axis=-1) - ranked
    kept = np.zeros_like(p)
    np.put_along_axis(kept, order, np.where(before < top_p, ranked, 0.0), axis=-1)
    return np.asarray(kept / kept.sum(axis=-1, keepdims=True))


def overlap_from_logits(
    target_logits: ArrayLike,
    draft_logits: ArrayLike,
    *,
    temperature: float = 1.0,
    top_k: int | None = None,
    top_p: float = 1.0,
) -> Any:
    """Acceptance probability at each position, both models sampled with the same transforms.

    target_logits, draft_logits: (..., V); the rest as in :func:`sampled_from`. Shape (...).
    """
    target, draft = (
        sampled_from(z, temperature=temperature, top_k=top_k, top_p=top_p)
        for z in (target_logits, draft_logits)
    )
    return overlap(target, draft)


def temperature_sweep(
    target_logits: ArrayLike,
    draft_logits: ArrayLike,
    *,
    temperatures: ArrayLike,
    top_k: int | None = None,
    top_p: float = 1.0,
) -> Floats:
    """Mean acceptance probability over all positions at each temperature, shape (temperatures,).

    Arguments as in :func:`overlap_from_logits`. Without truncation it tends to 1 as the
    temperature grows and to the share of agreeing argmaxes as it falls, but need not rise between.
    """
    points = np.atleast_1d(check("temperature", temperatures))
    means = [
        np.mean(
            overlap_from_logits(
                target_logits, draft_logits, temperature=float(t), top_k=top_k, top_p=top_p
            )
        )
        for t in points
    ]
    return np.array(means, dtype=float)
