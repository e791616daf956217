"""Numbers as they are stated or printed: a value, and what is known of its accuracy.

A log prints 2.37 and means anything from 2.365 to 2.375; what follows from it is no better known.
"""

from __future__ import annotations

import math
import re
from dataclasses import dataclass
from decimal import Decimal, InvalidOperation
from functools import cached_property, lru_cache

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float64]
_NUMBER = r"[+-]?(?:\d+\.?\d*|\.\d+)(?:[eE][+-]?\d+)?"
_FORM = re.compile(rf"\s*({_NUMBER})\s*(%?)\s*(?:(?:±|\+/-|\+-)\s*({_NUMBER})\s*%?)?\s*")


@dataclass(frozen=True)
class Stated:
    """A number with what is known of its accuracy.

    value: as stated; half_width: half a unit of the last digit, >= 0, where only rounding is known;
    error: standard error, >= 0. Both 0 means exact. text: as it was printed, "" where it was not.
    """

    value: float
    half_width: float = 0.0
    error: float = 0.0
    text: str = ""

    @cached_property
    def low(self) -> float:
        """The least value that would have printed the same."""
        return self.value - self.half_width

    @cached_property
    def high(self) -> float:
        """The largest value that would have printed the same."""
        return self.value + self.half_width

    def covers(self, value: float) -> bool:
        """Whether ``value`` prints as this text."""
        slack = 1e-9 * max(1.0, abs(self.value))
        return self.low - slack <= value <= self.high + slack

    def draw(self, rng: np.random.Generator, draws: int) -> Floats:
        """Values that the statement allows, shape (draws,); the value itself where it is exact."""
        spread = self.half_width * rng.uniform(-1.0, 1.0, draws)
        if self.error > 0.0:
            spread = spread + self.error * rng.standard_normal(draws)
        return np.asarray(self.value + spread)

    def scaled(self, factor: float) -> Stated:
        """The same quantity in another unit, such as a percentage as a fraction."""
        width, error = self.half_width * factor, self.error * factor
        return Stated(self.value * factor, width, error, self.text)


@lru_cache(maxsize=1 << 14)
def printed(text: str) -> Stated:
    """Read a number with a decimal point or a decimal comma.

    Raises ValueError for what is no number; NaN and infinity are kept and cover nothing.
    """
    plain = text.strip().replace(",", ".")
    try:
        number = Decimal(plain)
    except InvalidOperation:
        raise ValueError(f"a printed number must look like 2.37, got {text.strip()!r}") from None
    if not number.is_finite():
        return Stated(float(number), math.nan, text=text.strip())
    if abs(_exponent(number)) > 400 or number.adjusted() > 300:
        raise ValueError(f"a printed number must be below 1e300, got {text.strip()!r}")
    return Stated(float(number), 0.5 * 10.0 ** _exponent(number), text=text.strip())


def _exponent(number: Decimal) -> int:
    """Of ten in the unit of the last digit of a finite number."""
    exponent = number.as_tuple().exponent
    assert isinstance(exponent, int)
    return exponent


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
    return Stated(value, 0.5 * 10.0 ** _exponent(Decimal(digits)) * factor)
