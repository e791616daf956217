"""An estimate with the interval that holds it: what every answer gives where it is not sure."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike

from .domain import Floats


@dataclass(frozen=True)
class Interval:
    """An estimate with the interval that holds it with probability ``level``."""

    estimate: float
    low: float
    high: float
    level: float

    @property
    def exact(self) -> bool:
        """Whether nothing is unsure of it."""
        return self.low == self.high


def check_level(level: float) -> float:
    """Return the probability of an interval, or raise ValueError outside (0, 1)."""
    if not 0.0 < level < 1.0:
        raise ValueError(f"level must be in (0, 1), got {level:g}")
    return level


def ends(sample: ArrayLike, level: float) -> Floats:
    """(low, high) of the central interval of a sample along its first axis."""
    tails = [0.5 * (1.0 - level), 0.5 * (1.0 + level)]
    return np.asarray(np.quantile(np.asarray(sample, dtype=float), tails, axis=0))


def interval(sample: Floats, level: float, *, estimate: float | None = None) -> Interval:
    """Interval of a sample, shape (draws,), around its mean or the given estimate."""
    low, high = ends(sample, level)
    middle = float(sample.mean()) if estimate is None else estimate
    # Rounding of the draws must not leave the estimate outside by an ulp.
    return Interval(middle, min(float(low), middle), max(float(high), middle), level)


def median_interval(sample: ArrayLike, level: float) -> Interval:
    """Interval of a sample, shape (draws,), around its median."""
    values = np.asarray(sample, dtype=float)
    return interval(np.atleast_1d(values), level, estimate=float(np.median(values)))
