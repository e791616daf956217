"""Random target and draft models for the simulation of verification rules."""

from __future__ import annotations

import math

import numpy as np
from numpy.typing import ArrayLike

from ...theory.domain import Floats
from .distributions import Pair, checked_logits, softmax

_ATTEMPTS = 100
_LARGEST_SCALE = 1e6


def zipf(vocabulary: int, *, exponent: float = 1.0) -> Floats:
    """Probabilities proportional to rank^-exponent, shape (vocabulary,), most probable first."""
    if vocabulary < 2:
        raise ValueError(f"vocabulary must be an integer in [2, inf), got {vocabulary}")
    if not 0.0 <= exponent < math.inf:
        raise ValueError(f"exponent must be in [0, inf), got {exponent}")
    weights = np.arange(1.0, vocabulary + 1.0) ** -exponent
    return np.asarray(weights / weights.sum())


def dirichlet_pair(
    rng: np.random.Generator,
    *,
    vocabulary: int,
    concentration: float = 1.0,
    markov: bool = False,
) -> Pair:
    """Target and draft drawn independently from a symmetric Dirichlet law.

    concentration: > 0, of each token; small values give peaked distributions. With markov, one
    row per previous token. Raises ValueError outside these ranges.
    """
    if vocabulary < 2:
        raise ValueError(f"vocabulary must be an integer in [2, inf), got {vocabulary}")
    if not 0.0 < concentration < math.inf:
        raise ValueError(f"concentration must be in (0, inf), got {concentration}")
    size = vocabulary if markov else None
    weights = np.full(vocabulary, concentration)
    return Pair(rng.dirichlet(weights, size), rng.dirichlet(weights, size))


def perturbed_logits(
    rng: np.random.Generator, logits: ArrayLike, *, total_variation: float
) -> Floats:
    """Draft logits: the target's plus normal noise scaled to a wanted total variation.

    logits: shape (V,) or (V, V); total_variation: in [0, 1), reached within 1e-10 in every row.
    Infinite noise puts the draft on one token, at a distance 1 - p of that token; noise that stays
    too near is drawn again, up to 100 times a row. Raises ValueError where that does not help.
    """
    x = checked_logits("logits", logits)
    if not 0.0 <= total_variation < 1.0:
        raise ValueError(f"total_variation must be in [0, 1), got {total_variation}")
    rows = [_perturb(rng, row, total_variation) for row in np.atleast_2d(x)]
    return np.array(rows).reshape(x.shape)


def _perturb(rng: np.random.Generator, logits: Floats, wanted: float) -> Floats:
    from scipy.optimize import brentq

    if wanted == 0.0:
        return logits
    p = softmax(logits)
    for _ in range(_ATTEMPTS):
        noise = rng.standard_normal(logits.size)

        def gap(scale: float, noise: Floats = noise) -> float:
            return float(0.5 * np.abs(p - softmax(logits + scale * noise)).sum()) - wanted

        high = 1.0
        while gap(high) < 0.0 and high < _LARGEST_SCALE:
            high *= 2.0
        if gap(high) >= 0.0:
            return np.asarray(logits + brentq(gap, 0.0, high, xtol=1e-14, rtol=1e-14) * noise)
    raise ValueError(
        f"total_variation {wanted:g} is out of the reach of noise on these logits, "
        f"got less in {_ATTEMPTS} draws of it"
    )
