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
from ..formula import evaluates, formula
from ..symbols import register

register(
    "divergence",
    r"\mathrm{KL}",
    "Kullback-Leibler divergence of the target from the draft, per token",
    unit="nat",
)


@formula("pinsker_acceptance", r"\alpha_{\min}", group="draft scale", divergence=0.1)
def PINSKER_ACCEPTANCE(s: Any) -> Any:
    """Least acceptance at a small divergence: 1 - sqrt(KL / 2), 0 where that is negative.

    Assumes: divergence in nats, of the distributions that are actually sampled from.
    Wrong when: temperature or truncation differ between measuring and sampling.
    Source: Pinsker's inequality (Pinsker 1964) with alpha = 1 - TV.
    """
    import sympy

    return sympy.Max(0, 1 - sympy.sqrt(s.divergence / 2))


@formula("exponential_acceptance", r"\alpha_{\min}", group="draft scale", divergence=1.0)
def EXPONENTIAL_ACCEPTANCE(s: Any) -> Any:
    """Least acceptance at any divergence: 1 - sqrt(1 - e^-KL), always positive.

    Assumes: divergence in nats, of the distributions that are actually sampled from.
    Wrong when: temperature or truncation differ between measuring and sampling.
    Source: Bretagnolle and Huber 1979, with alpha = 1 - TV.
    """
    import sympy

    return 1 - sympy.sqrt(1 - sympy.exp(-s.divergence))


@formula("half_exponential_acceptance", r"\alpha_{\min}", group="draft scale", divergence=3.0)
def HALF_EXPONENTIAL_ACCEPTANCE(s: Any) -> Any:
    """The simplest positive bound, e^-KL / 2; never better than 1 - sqrt(1 - e^-KL).

    Assumes: divergence in nats, of the distributions that are actually sampled from.
    Wrong when: temperature or truncation differ between measuring and sampling.
    Source: Bretagnolle and Huber 1979, with alpha = 1 - TV.
    """
    import sympy

    return sympy.exp(-s.divergence) / 2


@formula("acceptance_from_divergence", r"\alpha_{\min}", group="draft scale", divergence=0.5)
def ACCEPTANCE_FROM_DIVERGENCE(s: Any) -> Any:
    """The better of the two bounds: the first below KL = 1.594, the second above.

    Assumes: divergence in nats, of the distributions that are actually sampled from.
    Wrong when: temperature or truncation differ between measuring and sampling.
    Source: Pinsker 1964; Bretagnolle and Huber 1979.
    """
    import sympy

    return sympy.Max(PINSKER_ACCEPTANCE.build(s), EXPONENTIAL_ACCEPTANCE.build(s))


@evaluates(PINSKER_ACCEPTANCE)
def pinsker_acceptance(divergence: ArrayLike) -> Any:
    """max(0, 1 - sqrt(KL / 2)). divergence: >= 0 [nat], any shape; ValueError otherwise."""
    return unwrap(np.maximum(0.0, 1.0 - np.sqrt(check("divergence", divergence) / 2.0)))


@evaluates(EXPONENTIAL_ACCEPTANCE)
def exponential_acceptance(divergence: ArrayLike) -> Any:
    """1 - sqrt(1 - e^-KL), in (0, 1]. divergence: >= 0 [nat], any shape; ValueError otherwise.

    Written as e^-KL / (1 + sqrt(1 - e^-KL)), which keeps its digits at large KL.
    """
    kl = check("divergence", divergence)
    return unwrap(np.exp(-kl) / (1.0 + np.sqrt(-np.expm1(-kl))))


@evaluates(HALF_EXPONENTIAL_ACCEPTANCE)
def half_exponential_acceptance(divergence: ArrayLike) -> Any:
    """e^-KL / 2. divergence: >= 0 [nat], any shape; ValueError otherwise."""
    return unwrap(0.5 * np.exp(-check("divergence", divergence)))


@evaluates(ACCEPTANCE_FROM_DIVERGENCE)
def acceptance_from_divergence(divergence: ArrayLike) -> Any:
    """The least acceptance probability at a divergence KL(target || draft), or at its mean.

    divergence: >= 0 [nat per token], any shape. In (0, 1], 1 at 0. ValueError otherwise.
    """
    best = np.maximum(pinsker_acceptance(divergence), exponential_acceptance(divergence))
    return unwrap(np.asarray(best))


def mean_divergence(draft_loss: ArrayLike, target_entropy: ArrayLike) -> Any:
    """KL per token from losses on text that the target wrote: cross-entropy minus entropy.

    draft_loss: the draft's mean negative log-likelihood [nat per token]; target_entropy: the mean
    entropy of the target's next-token distributions on the same prefixes. Shapes broadcast. Raises
    ValueError where the difference is negative, which no pair of exact averages allows.
    """
    difference = as_floats("draft_loss", draft_loss) - as_floats("target_entropy", target_entropy)
    return unwrap(check("divergence", difference, label="draft_loss - target_entropy"))
