"""Where a condition starts to hold: bisection, of whole arrays at once."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
from numpy.typing import NDArray

from .domain import Floats


def bisect(
    beyond: Callable[[Floats], NDArray[np.bool_]], low: Any, high: Any, *, halvings: int = 60
) -> tuple[Floats, Floats]:
    """The last bracket (low, high) of the points where ``beyond`` turns from false to true.

    beyond: elementwise, false below its point and true above; low, high: ends of the search, an end
    where it has one value throughout.
    """
    low, high = np.asarray(low, np.float64), np.asarray(high, np.float64)
    for _ in range(halvings):
        middle = 0.5 * (low + high)
        over = beyond(middle)
        low, high = np.where(over, low, middle), np.where(over, middle, high)
    return low, high
