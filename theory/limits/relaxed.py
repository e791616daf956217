r"""Acceptance by rule: a draft token stands if it is plausible enough, and what that costs.

A rule names the set of tokens that stand; a token drawn from q outside it is replaced by one of p:

    acceptance = q(A),   output = q 1_A + (1 - q(A)) p
    loss = TV(output, p) = q(A) TV(q(.|A), p) >= q(A) (1 - p(A))

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
from ..either import exp, smaller
from ..formula import Number, equation
from ..trees.verification import distribution

Mask = NDArray[np.bool_]


@equation(r"\epsilon", group="headroom", kept_draft_mass=0.9, kept_distance=0.2)
def relaxed_loss(kept_draft_mass: Number, kept_distance: Number) -> Number:
    """Total variation between target and output of a rule that lets a set of tokens stand.

    The rule accepts with probability q_A and then emits the draft cut to the set.

    Assumes: a refused token is replaced by one of the target itself; one token at a time.
    Wrong when: a refused token is replaced from a residual, or the text as a whole is judged.
    Source: derived here from output - p = q_A (q cut to A - p).
    """
    return kept_draft_mass * kept_distance


@equation(r"\epsilon_{\min}", group="headroom", kept_draft_mass=0.9, kept_target_mass=0.95)
def relaxed_loss_floor(kept_draft_mass: Number, kept_target_mass: Number) -> Number:
    """The least that such a rule loses, attained where q / q_A is at least p on the whole set.

    A set of one token attains it: top-1 acceptance loses exactly q_A (1 - p_A).

    Assumes: as for the loss.
    Wrong when: a refused token is replaced from a residual.
    Source: derived here; p has 1 - p_A outside the set, where the cut draft has nothing.
    """
    return kept_draft_mass * (1 - kept_target_mass)


@equation(r"p_{\min}", group="headroom", typical_epsilon=0.3, typical_delta=0.09,
          target_entropy=1.0)  # fmt: skip
def typical_level(typical_epsilon: Number, typical_delta: Number, target_entropy: Number) -> Number:
    """The target's probability that a token must exceed to stand by typical acceptance.

    Assumes: entropy in nats, of the target after its temperature; the likeliest always stands.
    Wrong when: the engine compares after a truncation to the top tokens.
    Source: arXiv:2401.10774, section 2.3.1.
    """
    return smaller(typical_epsilon, typical_delta * exp(-target_entropy))


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
    target = distribution("p", p)
    least = np.asarray(typical_level(epsilon, delta, np.maximum(_entropy(target), 0.0)))
    return np.asarray((target > least[..., None]) | top_set(target, 1))


def top_set(p: ArrayLike, count: int) -> Mask:
    """The ``count`` >= 1 likeliest tokens, (..., V); of equals the first. Source: arXiv:2606.30265
    has the rule as top-m acceptance."""
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
    target = distribution("p", p)
    level = float(check("drafted_mean", threshold, label="threshold")) if threshold > 0 else 0.0
    return np.asarray((_entropy(target) > level)[..., None] | top_set(target, 1))
