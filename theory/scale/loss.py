r"""From loss to acceptance: how often a draft of known cross-entropy must at least be accepted.

    alpha = 1 - TV(p, q) >= max(1 - sqrt(KL / 2), 1 - sqrt(1 - e^-KL)) >= e^-KL / 2

KL = KL(p || q) is, averaged over text drawn from the target, the draft's cross-entropy minus the
target's entropy. Each bound is convex and falling in KL, so that it holds for the averages too.
If the loss above the target's falls as N^-a, the first bound lets rejection fall as N^(-a/2): half
the exponent of the loss is a plausible start for the rejection exponent, not a result.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import ArrayLike

from ..domain import as_floats, check, unwrap
from ..either import exp, larger, sqrt
from ..formula import Number, equation, symbolic


@equation(r"\alpha_{\min}", group="draft scale", divergence=0.1)
def pinsker_acceptance(divergence: Number) -> Number:
    """Least acceptance at a small divergence: 1 - sqrt(KL / 2), 0 where that is negative.

    Assumes: divergence in nats, of the distributions that are actually sampled from.
    Wrong when: temperature or truncation differ between measuring and sampling.
    Source: Pinsker's inequality (Pinsker 1964) with alpha = 1 - TV.
    """
    return larger(0, 1 - sqrt(divergence / 2))


@equation(r"\alpha_{\min}", group="draft scale", divergence=1.0)
def exponential_acceptance(divergence: Number) -> Number:
    """Least acceptance at any divergence: 1 - sqrt(1 - e^-KL), always positive.

    Assumes: divergence in nats, of the distributions that are actually sampled from.
    Wrong when: temperature or truncation differ between measuring and sampling.
    Source: Bretagnolle and Huber 1979, with alpha = 1 - TV.
    Returns: in (0, 1]; written as e^-KL / (1 + sqrt(1 - e^-KL)), which keeps its digits at large
    KL.
    """
    if symbolic(divergence):
        import sympy

        return 1 - sympy.sqrt(1 - sympy.exp(-divergence))
    kl = divergence
    return np.exp(-kl) / (1.0 + np.sqrt(-np.expm1(-kl)))


@equation(r"\alpha_{\min}", group="draft scale", divergence=3.0)
def half_exponential_acceptance(divergence: Number) -> Number:
    """The simplest positive bound, e^-KL / 2; never better than 1 - sqrt(1 - e^-KL).

    Assumes: divergence in nats, of the distributions that are actually sampled from.
    Wrong when: temperature or truncation differ between measuring and sampling.
    Source: Bretagnolle and Huber 1979, with alpha = 1 - TV.
    """
    return exp(-divergence) / 2


@equation(r"\alpha_{\min}", group="draft scale", divergence=0.5)
def acceptance_from_divergence(divergence: Number) -> Number:
    """The better of the two bounds: the first below KL = 1.594, the second above.

    Assumes: divergence in nats, of the distributions that are actually sampled from.
    Wrong when: temperature or truncation differ between measuring and sampling.
    Source: Pinsker 1964; Bretagnolle and Huber 1979.
    Returns: in (0, 1], 1 at 0; holds for the mean of a divergence too.
    """
    return larger(pinsker_acceptance(divergence), exponential_acceptance(divergence))


def mean_divergence(draft_loss: ArrayLike, target_entropy: ArrayLike) -> Any:
    """KL per token from losses on text that the target wrote: cross-entropy minus entropy.

    draft_loss: the draft's mean negative log-likelihood [nat per token]; target_entropy: the mean
    entropy of the target's next-token distributions on the same prefixes. Shapes broadcast. Raises
    ValueError where the difference is negative, which no pair of exact averages allows.
    """
    difference = as_floats("draft_loss", draft_loss) - as_floats("target_entropy", target_entropy)
    return unwrap(check("divergence", difference, label="draft_loss - target_entropy"))
