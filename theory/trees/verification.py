"""Acceptance from the two models' probabilities, token by token and as a block.

    alpha = sum over x of min(p(x), q(x)) = 1 - TV(p, q)

A draft token x ~ q is accepted with probability min(1, p(x)/q(x)) and otherwise replaced by one
from norm((p - q)_+), so that the output has law p. Block verification carries the ratio along the
draft, h_i = min(1, h_{i-1} p/q), and accepts on average sum of E[h_i] tokens, never fewer.

Acceptance from logits: what an engine samples from, and how temperature moves acceptance.

The draft's transforms must be those of the target: acceptance is a property of the distributions
that are actually sampled from.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import ArrayLike

from ..domain import Floats, as_floats, check, unwrap
from ..either import only_where, share, smaller
from ..formula import Number, equation, symbolic


@equation(r"\alpha", group="several drafts and verification", target_mass=0.6, draft_mass=0.75)
def two_token_overlap(target_mass: Number, draft_mass: Number) -> Number:
    """Acceptance probability over a vocabulary of two tokens, p and q the first token's masses.

    Assumes: p and q are the distributions actually sampled from, after all transforms.
    Wrong when: the draft is greedy; then acceptance is p of its argmax.
    Source: arXiv:2211.17192v2 and arXiv:2302.01318, for any vocabulary the sum of min(p, q).
    """
    p, q = target_mass, draft_mass
    return smaller(p, q) + smaller(1 - p, 1 - q)


@equation("h_i", group="several drafts and verification", block_weight=0.9, target_mass=0.3,
          draft_mass=0.5)  # fmt: skip
def block_weight_step(block_weight: Number, target_mass: Number, draft_mass: Number) -> Number:
    """The weight of a drafted prefix after one more token of target mass p and draft mass q.

    Assumes: the token was drawn from the draft, so that q > 0.
    Wrong when: the draft's probabilities are not those that it sampled from.
    Source: arXiv:2403.10444; its mean over draws of the draft is what a block accepts.
    Returns: at q = 0, 0 for h p = 0 and 1 otherwise.
    """
    if symbolic(block_weight, target_mass):
        import sympy

        return sympy.Min(1, block_weight * target_mass / draft_mass)
    h, p = block_weight, target_mass
    q = draft_mass
    share = h * p
    small = (share < q) & (q > 0.0)
    return np.where(small, share / np.where(small, q, 1.0), np.where(share > 0, 1.0, 0.0))


@equation(r"\mathrm{P}(\mathrm{test}_i)", group="several drafts and verification", broadcast=True,
          block_weight=0.6, block_surplus=0.3)  # fmt: skip
def block_accept_probability(block_weight: Number, block_surplus: Number) -> Number:
    """Chance that the test of position i < gamma passes in block verification; h itself at gamma.

    It is not the chance that i or more tokens are accepted: the last test that passes counts, and
    given the first i drafted tokens, P(tau >= i) = h_i.

    Assumes: s = sum of (h p - q)_+ over the next token, after the drafted prefix of weight h.
    Wrong when: the positions are stopped at the first failure; the last that passes counts.
    Source: arXiv:2403.10444.
    Returns: 1 where h = 1.
    """
    h, s = block_weight, block_surplus
    return only_where(h < 1, share(s, s + (1 - h)), 1.0)


def distribution(name: str, value: ArrayLike) -> Floats:
    """``value`` as distributions along its last axis, scaled to sum to 1 beyond their rounding.

    Raises ValueError unless all entries are in [0, 1] and each sum is within 1e-6 of 1.
    """
    p = check("alpha", value, label=name)
    if p.ndim == 0 or p.shape[-1] == 0:
        raise ValueError(f"{name} must be a distribution along its last axis, got shape {p.shape}")
    total = p.sum(axis=-1, keepdims=True)
    if (np.abs(total - 1.0) > 1e-6).any():
        worst = total.ravel()[np.abs(total - 1.0).argmax()]
        raise ValueError(f"{name} must sum to 1 along its last axis, got {worst:.12g}")
    return np.asarray(p / total)


def markov_models(
    target: ArrayLike, draft: ArrayLike, target_start: ArrayLike, draft_start: ArrayLike
) -> tuple[Floats, Floats, Floats, Floats]:
    """Next-token laws of both models by last token, (V, V), and of the first token, (V,)."""
    p, q = distribution("target", target), distribution("draft", draft)
    p0, q0 = distribution("target_start", target_start), distribution("draft_start", draft_start)
    if p0.ndim != 1 or p.shape != (p0.size, p0.size) or q.shape != p.shape or q0.shape != p0.shape:
        raise ValueError(f"target and draft must have shape ({p0.size}, {p0.size}), got {p.shape}")
    return p, q, p0, q0


def overlap(p: ArrayLike, q: ArrayLike) -> Any:
    """Sum of min(p, q) over the last axis: acceptance probability of one draft token, in [0, 1].

    p, q: distributions of target and draft, (..., V), broadcast. Raises ValueError otherwise.
    Source: arXiv:2211.17192v2 and arXiv:2302.01318; no exact method accepts more.
    """
    shared = np.minimum(distribution("p", p), distribution("q", q)).sum(axis=-1)
    return unwrap(np.asarray(np.minimum(shared, 1.0)))


def residual(p: ArrayLike, q: ArrayLike) -> Floats:
    """norm((p - q)_+), from which a rejected token is redrawn, (..., V); p where p = q.

    p, q: distributions, (..., V), broadcast. Raises ValueError otherwise.
    """
    target, draft = np.broadcast_arrays(distribution("p", p), distribution("q", q))
    left = np.maximum(target - draft, 0.0)
    total = left.sum(axis=-1, keepdims=True)
    return np.where(total > 0.0, left / np.where(total > 0.0, total, 1.0), target)


def greedy_draft_acceptance(p: ArrayLike, q: ArrayLike) -> Any:
    """p(argmax q): acceptance probability of a draft that takes its likeliest token.

    The target still samples from p; the verification treats the draft as certain. At most
    max p, so that a sampled draft may be accepted more often. p, q: distributions, (..., V), of
    the same shape. Raises ValueError otherwise. Source: derived here.
    """
    target, draft = np.broadcast_arrays(distribution("p", p), distribution("q", q))
    best = draft.argmax(axis=-1)[..., None]
    return unwrap(np.take_along_axis(target, best, axis=-1)[..., 0])


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
