"""Numbers as they are stated: with the digits that were written, or with an error.

A log prints 2.37 and means anything from 2.365 to 2.375; what follows from it is no better known
than that. `Stated` keeps the half-width of the last digit, and draws spread over it.
"""

from __future__ import annotations

import math
import re
from dataclasses import dataclass
from decimal import Decimal

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float64]
_NUMBER = r"[+-]?(?:\d+\.?\d*|\.\d+)(?:[eE][+-]?\d+)?"
_FORM = re.compile(rf"\s*({_NUMBER})\s*(%?)\s*(?:(?:±|\+/-|\+-)\s*({_NUMBER})\s*%?)?\s*")


@dataclass(frozen=True)
class Stated:
    """A number with what is known of its accuracy.

    value: as stated; half_width: half a unit of the last digit, >= 0, where only rounding is known;
    error: standard error, >= 0. Both 0 means exact.
    """

    value: float
    half_width: float = 0.0
    error: float = 0.0

    def draw(self, rng: np.random.Generator, draws: int) -> Floats:
        """Values that the statement allows, shape (draws,); the value itself where it is exact."""
        spread = self.half_width * rng.uniform(-1.0, 1.0, draws)
        if self.error > 0.0:
            spread = spread + self.error * rng.standard_normal(draws)
        return np.asarray(self.value + spread)

    def scaled(self, factor: float) -> Stated:
        """The same quantity in another unit."""
        return Stated(self.value * factor, self.half_width * factor, self.error * factor)


def stated(text: str | float | Stated, name: str) -> Stated:
    """Read "2.37", "51.5 %" or "98.2+-1.5": digits give the rounding, +- a standard error.

    A float is taken as exact. name: for the message. Raises ValueError for anything else, and for
    numbers that are not finite.
    """
    if isinstance(text, Stated):
        return text
    if isinstance(text, int | float):
        if not math.isfinite(text):
            raise ValueError(f"{name} must be a finite number, got {text}")
        return Stated(float(text))
    found = _FORM.fullmatch(text)
    if found is None:
        raise ValueError(
            f'{name} must be a number such as 2.37, 51.5% or 98.2+-1.5, got "{text[:40]}"'
        )
    digits, percent, error = found.groups()
    factor = 0.01 if percent else 1.0
    value = float(digits) * factor
    if not math.isfinite(value):
        raise ValueError(f'{name} must be a finite number, got "{text[:40]}"')
    if error is not None:
        return Stated(value, 0.0, abs(float(error)) * factor)
    exponent = Decimal(digits).as_tuple().exponent
    assert isinstance(exponent, int)
    return Stated(value, 0.5 * 10.0**exponent * factor)
