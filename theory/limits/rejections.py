r"""What exactness costs: expected rejections, and how much acceptance a bias could buy.

    P(accept) <= 1 - TV(p, q) + TV(output, p)

Without bias, a text of T tokens meets on average the sum of TV(target, draft) over its prefixes
drawn from the target, whatever the draft length; no exact method has fewer rejections. A lenient
rule (accept with probability min(1, p / (l q))) pays for each unit of acceptance with exactly one
unit of total variation, so that it lies on the bound.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import ArrayLike

from ..domain import Floats, check, unwrap
from ..either import smaller
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
