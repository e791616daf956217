"""Numbers as engines print them: a value and the range that its digits leave open."""

from __future__ import annotations

import math
import re
from collections.abc import Iterable
from dataclasses import dataclass
from decimal import Decimal, InvalidOperation
from functools import lru_cache

NUMBER = r"[-+]?(?:\d+(?:[.,]\d+)?|[.,]\d+)(?:[eE][-+]?\d{1,3})?|[-+]?(?:nan|NaN|NAN|inf|Inf|INF)"
WHOLE = r"\d{1,3}(?:,\d{3})+|\d+"
LARGEST = 2**63 - 1
MOST_POSITIONS = 4096


@dataclass(frozen=True)
class Printed:
    """A printed number: the text, its value, and the values that would have printed the same."""

    text: str
    value: float
    low: float
    high: float

    def covers(self, value: float) -> bool:
        """Whether ``value`` prints as this text."""
        slack = 1e-9 * max(1.0, abs(self.value))
        return self.low - slack <= value <= self.high + slack

    def scaled(self, factor: float) -> Printed:
        """The same number in another unit, such as a percentage as a fraction."""
        return Printed(self.text, self.value * factor, self.low * factor, self.high * factor)


@lru_cache(maxsize=1 << 14)
def printed(text: str) -> Printed:
    """Read a number with a decimal point or a decimal comma.

    Raises ValueError for what is no number; NaN and infinity are kept and cover nothing.
    """
    plain = text.strip().replace(",", ".")
    try:
        number = Decimal(plain)
    except InvalidOperation:
        raise ValueError(f"a printed number must look like 2.37, got {text.strip()!r}") from None
    if not number.is_finite():
        value = float(number)
        return Printed(text.strip(), value, math.nan, math.nan)
    exponent = number.as_tuple().exponent
    assert isinstance(exponent, int)
    if abs(exponent) > 400 or number.adjusted() > 300:
        raise ValueError(f"a printed number must be below 1e300, got {text.strip()!r}")
    value, half = float(number), 0.5 * 10.0**exponent
    return Printed(text.strip(), value, value - half, value + half)


def whole(text: str, what: str) -> int:
    """Read a whole number of tokens or rounds; ``what`` names it in the message."""
    if len(text) < 19 and text.isdigit() and text.isascii():
        return int(text)
    if not re.fullmatch(WHOLE, text.strip(), re.ASCII):
        raise ValueError(f"{what} must be a whole number, got {text.strip()!r}")
    number = int(text.replace(",", ""))
    if number > LARGEST:
        raise ValueError(f"{what} must be at most 2^63 - 1, got {text.strip()!r}")
    return number


def number_list(text: str) -> list[Printed]:
    """The numbers of a printed list such as "0.600, 0.385"; an ellipsis ends the list.

    Where every number has a decimal comma, the comma that is followed by a space separates.
    """
    pieces = re.split(r"\s*[;|]\s*|,\s+|\s+", text.strip().strip("()[]").strip().rstrip(","))
    if len(pieces) == 1 and pieces[0].count(",") and "." in pieces[0]:
        pieces = pieces[0].split(",")
    found = []
    for piece in pieces:
        if not piece or piece[0] in "…" or piece.startswith("..."):
            break
        found.append(printed(piece.strip("()[]")))
    return found


def whole_numbers_between(low: float, high: float, limit: int = 4) -> list[int]:
    """The whole numbers in [low, high], with a little slack; at most ``limit`` + 1 of them."""
    slack = 1e-9 * max(1.0, abs(high))
    if not (math.isfinite(low) and math.isfinite(high)):
        return []
    first, last = math.ceil(low - slack), math.floor(high + slack)
    return list(range(first, min(last, first + limit) + 1))


def counts_behind(rates: Iterable[Printed], rounds: int) -> list[int] | None:
    """The accepted tokens by position that print as these shares of ``rounds``, if unique."""
    found = []
    for rate in rates:
        fitting = whole_numbers_between(rate.low * rounds, rate.high * rounds, 1)
        if len(fitting) != 1:
            return None
        found.append(fitting[0])
    return found


def prints_rates(rates: Iterable[Printed], rounds: int) -> bool:
    """Whether some whole counts of ``rounds`` print as these shares."""
    return all(whole_numbers_between(r.low * rounds, r.high * rounds, 1) for r in rates)
