"""Speeds in units that are paid for: milliseconds a token, tokens a second, money and energy."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from ..theory.domain import Floats
from ..theory.interval import Interval, median_interval

_MILLION = 1e6
_HOUR_S = 3600.0


@dataclass(frozen=True)
class Rates:
    """What running costs: price_per_hour [any currency] and power_w [W] of all devices together.

    Either is None where it was not stated. Raises ValueError outside (0, inf).
    """

    price_per_hour: float | None = None
    power_w: float | None = None

    def __post_init__(self) -> None:
        for name in ("price_per_hour", "power_w"):
            value = getattr(self, name)
            if value is not None and not 0.0 < value < float("inf"):
                raise ValueError(f"{name} must be in (0, inf), got {value:g}")


@dataclass(frozen=True)
class Speed:
    """One way of decoding in absolute units, medians with their intervals.

    ms_per_token: of one sequence; tokens_per_s: of one sequence; batch_tokens_per_s: of all;
    price_per_million_tokens, wh_per_million_tokens: of the whole batch, None without a price or a
    power.
    """

    ms_per_token: Interval
    tokens_per_s: Interval
    batch_tokens_per_s: Interval
    price_per_million_tokens: Interval | None = None
    wh_per_million_tokens: Interval | None = None


def speed(seconds: Floats, *, batch: float, level: float, rates: Rates = Rates()) -> Speed:
    """Speed of draws of the seconds that a token of one sequence takes, shape (draws,)."""
    token_s = np.asarray(seconds, dtype=float)
    hours = token_s / batch * _MILLION / _HOUR_S

    def priced(rate: float | None) -> Interval | None:
        return None if rate is None else median_interval(rate * hours, level)

    return Speed(
        median_interval(1e3 * token_s, level),
        median_interval(1.0 / token_s, level),
        median_interval(batch / token_s, level),
        priced(rates.price_per_hour),
        priced(rates.power_w),
    )
