"""What exactness costs: expected rejections, and how much acceptance a bias could buy.

    P(accept) <= 1 - TV(p, q) + TV(output, p)

Without bias, a text of T tokens meets on average the sum of TV(target, draft) over its prefixes
drawn from the target, whatever the draft length; no exact method has fewer rejections. A lenient
rule (accept with probability min(1, p / (l q))) pays for each unit of acceptance with exactly one
unit of total variation, so that it lies on the bound.

Acceptance by rule: a draft token stands if it is plausible enough, and what that costs.

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
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from ..domain import Floats, check, unwrap
from ..either import exp, smaller
from ..formula import Number, equation
from ..trees.verification import distribution


@equation(r"\alpha_\epsilon", group="headroom", alpha=0.8, bias=0.05)
def biased_acceptance_ceiling(alpha: Number, bias: Number) -> Number:
    """No verification whose output is within total variation epsilon of the target accepts more.

    alpha is the acceptance probability 1 - TV(p, q) of exact verification.

    Assumes: one draft token, verified on its own.
    Wrong when: the bias of a whole text matters; biases of single tokens add up along it.
    Source: derived here; the trade-off is studied in arXiv:2411.00841.
    """
    return smaller(1, alpha + bias)


def total_variation(p: ArrayLike, q: ArrayLike) -> Any:
    """TV(p, q), half the sum of |p - q| over the last axis; 1 - TV is the acceptance probability.

    p, q: distributions along the last axis, other axes broadcast. Raises ValueError otherwise.
    """
    difference = distribution("p", p) - distribution("q", q)
    return unwrap(np.asarray(0.5 * np.abs(difference).sum(axis=-1)))


def lenient_verification(p: ArrayLike, q: ArrayLike, *, leniency: ArrayLike) -> tuple[Any, Floats]:
    """(acceptance, output) of accepting a draft x ~ q with probability min(1, p(x) / (l q(x))).

    p, q: distributions over the last axis, shapes (..., V); leniency: in (0, 1], shape (...).
    A rejected token is replaced from what is left of p, norm((p - accepted)_+), which loses least:
    TV(output, p) = acceptance - (1 - TV(p, q)). Returns acceptance (...) and output (..., V).
    Raises ValueError outside these ranges. Source: the rule is in the appendix of
    arXiv:2211.17192v2; the identity is derived here.
    """
    target, draft = np.broadcast_arrays(distribution("p", p), distribution("q", q))
    accepted = np.minimum(draft, target / check("leniency", leniency)[..., None])
    mass = accepted.sum(axis=-1, keepdims=True)
    missing = np.maximum(target - accepted, 0.0)
    total = missing.sum(axis=-1, keepdims=True)
    share = np.divide(missing, total, out=np.zeros_like(missing), where=total > 0.0)
    output = accepted + np.maximum(1.0 - mass, 0.0) * share
    return unwrap(np.asarray(mass[..., 0])), np.asarray(output)


def expected_rejections(
    start: ArrayLike, target: ArrayLike, draft: ArrayLike, *, length: int, draft_start: ArrayLike
) -> float:
    """Mean rejections in a text of ``length`` tokens, when target and draft are Markov chains.

    start, draft_start: distributions of the first token, shape (V,); target, draft: transition
    matrices, shape (V, V), rows summing to 1; length: whole number >= 1 [token]. The sum of
    TV(target, draft) over positions, prefixes drawn from the target. It counts a draft without
    bonus tokens and of unlimited length. Raises ValueError otherwise.
    Source: arXiv:2411.00841 shows that no exact method has fewer; recursion derived here.
    """
    steps = int(check("length", length))
    p, rows = distribution("start", start), distribution("target", target)
    per_state = np.atleast_1d(np.asarray(total_variation(rows, draft)))
    count = float(total_variation(p, draft_start))
    for _ in range(steps - 1):
        count += float(p @ per_state)
        p = p @ rows
    return count


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
    m = int(check("position", count, label="count"))
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
