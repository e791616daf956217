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

    temperature: > 0, divides the logits; top_k: keep the k likeliest tokens, >= 1; top_p: in
    (0, 1], keep the fewest likeliest tokens that reach this mass; in this order. Ties at an edge
    are broken by the lower index. -inf logits are tokens ruled out. Raises ValueError otherwise.
    """
    z = as_floats("logits", logits)
    if z.ndim == 0 or np.isnan(z).any() or not np.isfinite(z.max(axis=-1, initial=-np.inf)).all():
        raise ValueError("logits must have in [-inf, inf) a finite largest value, got none")
    if not 0.0 < top_p <= 1.0:
        raise ValueError(f"top_p must be in (0, 1], got {top_p}")
    if top_k is not None and (top_k < 1 or top_k != int(top_k)):
        raise ValueError(f"top_k must be an integer in [1, inf), got {top_k}")
    scale = float(check("temperature", temperature))
    with np.errstate(over="ignore"):
        weights = np.exp((z - z.max(axis=-1, keepdims=True)) / scale)
    order = np.argsort(-weights, axis=-1, kind="stable")
    ranked = np.take_along_axis(weights, order, axis=-1)
    if top_k is not None:
        ranked[..., top_k:] = 0.0
    ranked /= ranked.sum(axis=-1, keepdims=True)
    if top_p < 1.0:
        before = np.cumsum(ranked, axis=-1) - ranked
        ranked = np.where(before < top_p, ranked, 0.0)
        ranked /= ranked.sum(axis=-1, keepdims=True)
    kept = np.zeros_like(ranked)
    np.put_along_axis(kept, order, ranked, axis=-1)
    return kept


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
