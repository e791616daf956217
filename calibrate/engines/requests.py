"""Counts of requests that carry their rounds, added up: the accumulator of the JSON formats."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from contextlib import suppress
from itertools import accumulate
from operator import mul
from typing import Any

from .counts import Check
from .printed import LARGEST, MOST_POSITIONS


def count(value: Any, what: str) -> int | None:
    """A whole number >= 0, None where it is absent. Raises ValueError naming it."""
    if value is None or (type(value) is int and 0 <= value <= LARGEST):
        return value
    good = not isinstance(value, bool) and isinstance(value, int | float)
    # The range first: NaN, infinities and whole numbers beyond every float are outside of it.
    if good and 0 <= value <= LARGEST and value == int(value):
        return int(value)
    raise ValueError(f"{what} must be a whole number in [0, 2^63), got {_shown(value)}")


def number(value: Any, what: str) -> float | None:
    """A finite number, None where it is absent or null or NaN. Raises ValueError naming it."""
    if value is None:
        return None
    if isinstance(value, str):
        with suppress(ValueError):
            value = float(value)
    if isinstance(value, bool) or not isinstance(value, int | float):
        raise ValueError(f"{what} must be a number, got {_shown(value)}")
    if isinstance(value, int) and abs(value) > LARGEST:
        raise ValueError(f"{what} must be below 2^63, got {_shown(value)}")
    return float(value) if math.isfinite(value) else None


def counts_list(value: Any, what: str) -> list[int] | None:
    """A histogram, as a list or as an object from a number to its count."""
    if value is None:
        return None
    if isinstance(value, Mapping):
        places = {}
        for key, n in value.items():
            if not str(key).strip().isdigit() or int(str(key)) > MOST_POSITIONS:
                raise ValueError(f"{what} must have keys in [0, {MOST_POSITIONS}], got {key!r}")
            places[int(str(key))] = count(n, f"{what} at {key}") or 0
        return [places.get(k, 0) for k in range(max(places, default=-1) + 1)]
    if isinstance(value, Sequence) and not isinstance(value, str):
        if len(value) > MOST_POSITIONS:
            raise ValueError(f"{what} must have at most {MOST_POSITIONS} entries, got {len(value)}")
        return [count(n, what) or 0 for n in value]
    raise ValueError(f"{what} must be a list or an object of counts, got {_shown(value)}")


def whole_list(value: Any, what: str) -> list[int] | None:
    """A list of whole numbers of any length, None where absent."""
    if value is None:
        return None
    if not isinstance(value, Sequence) or isinstance(value, str):
        raise ValueError(f"{what} must be a list of whole numbers, got {_shown(value)}")
    return [count(n, what) or 0 for n in value]


def check_number(quantity: str, stated: float | None, recomputed: float | None) -> list[Check]:
    """A check of a number from JSON, which carries all its digits, or is rounded to some."""
    if stated is None or recomputed is None:
        return []
    text = repr(stated)
    digits = len(text.split(".")[1]) if "." in text and "e" not in text else 0
    half = 0.5 * 10.0**-digits if 0 < digits < 12 else 1e-9
    return [Check(quantity, text, recomputed, abs(stated - recomputed) <= half + 1e-9)]


def added(total: int | None, part: int | None, first: bool) -> int | None:
    """Sum that is None as soon as one part is unknown."""
    if part is None or (total is None and not first):
        return None
    return part + (total or 0)


def add_lists(total: list[int], part: Sequence[int]) -> None:
    """Add counts place by place, in place."""
    total += [0] * (len(part) - len(total))
    for k, n in enumerate(part):
        total[k] += n


def survival_of(conditional: Sequence[float]) -> list[float]:
    """Share of rounds that accept the first k drafts, from the conditional rates of each."""
    return list(accumulate(conditional, mul))


def _shown(value: Any) -> str:
    text = repr(value)
    return text if len(text) <= 60 else text[:57] + "..."
