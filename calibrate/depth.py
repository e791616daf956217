"""Acceptance beyond the depth that it was seen at: a fall continues, a rise dies out.

Rises of published pairs come from rounds of some five draft tokens; one that continued for ever
would promise long drafts that nobody has seen.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import ArrayLike

from ..theory import DepthAcceptance
from ..theory.acceptance import PositionalAcceptance
from ..theory.domain import Floats

_SEEN = 5  # draft tokens of a round in most published measurements
# Share of a rise that is left from one position beyond the measured ones to the next: a choice, so
# that a rise adds at most 0.7 / 0.3 = 2.3 further steps of itself.
_DAMPING = 0.7


def trend(decay: Floats, steps: Floats) -> Floats:
    """Factor of a rate after so many positions beyond the measured ones, decay ** steps if falling.

    decay: factor a position; broadcasts with steps >= 0.
    """
    rising = _DAMPING * (1.0 - _DAMPING**steps) / (1.0 - _DAMPING)
    return np.asarray(decay ** np.where(decay > 1.0, rising, steps))


def damped(law: DepthAcceptance, positions: int) -> PositionalAcceptance:
    """The law at positions 1..positions, its rise dying out beyond the fifth; positions: >= 1."""
    alpha, decay = np.broadcast_arrays(np.asarray(law.alpha, float), np.asarray(law.decay, float))
    at = np.arange(float(positions))
    inside = np.minimum(at, _SEEN - 1.0)
    factor = decay[..., None] ** inside * trend(decay[..., None], at - inside)
    return PositionalAcceptance(np.minimum(alpha[..., None] * factor, 1.0))


def powered(log_hazard: ArrayLike, exponent: ArrayLike, positions: int) -> PositionalAcceptance:
    """alpha_k = exp(-exp(log_hazard) k^exponent) at k = 1..positions; shapes broadcast.

    Rejection that grows, or falls, as a power of the position; positions: >= 1.
    """
    at = np.log(np.arange(1.0, positions + 1.0))
    log_h = np.asarray(log_hazard, float)[..., None] + np.asarray(exponent, float)[..., None] * at
    return PositionalAcceptance(np.exp(-np.exp(np.minimum(log_h, 6.0))))
