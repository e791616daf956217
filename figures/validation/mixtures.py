"""Quantiles of a mixture of normal laws."""

from __future__ import annotations

import numpy as np

from .result import Floats

# Where the distribution function is evaluated [root mean square], dense around the middle.
_REACH = 12.0
_OFFSETS = _REACH * np.sinh(np.linspace(-5.0, 5.0, 601)) / np.sinh(5.0)


def median_and_interval(
    share: Floats, center: Floats, *, spread: Floats, level: float
) -> tuple[float, float, float]:
    """(median, low, high) of the mixture; share: of each part, summing to 1; all shape (parts,)."""
    from scipy.special import ndtr

    middle = float(share @ center)
    scale = float(np.sqrt(share @ (spread**2 + (center - middle) ** 2)))
    at = middle + scale * _OFFSETS
    below = ndtr((at[:, None] - center) / spread) @ share
    low, median, high = np.interp([0.5 - level / 2, 0.5, 0.5 + level / 2], below, at)
    return float(median), float(low), float(high)
