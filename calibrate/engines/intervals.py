"""Intervals whose rounds are not printed, and what their digits say.

A line prints accepted and drafted tokens, 1 + accepted / rounds to two digits, and shares by
position to three. Rounds are the whole number that prints all of these, where only one does.
"""

from __future__ import annotations

from dataclasses import dataclass

from .printed import Printed, counts_behind, prints_rates, whole_numbers_between

_ROUND_SEARCH = 2_000


@dataclass(frozen=True)
class Interval:
    """One line. rates: share by position; whole_list: the list was not cut off; tokens: all that
    the request generated.
    """

    accepted: int
    drafted: int
    length: Printed | None
    rates: tuple[Printed, ...]
    whole_list: bool
    rate: Printed | None
    tokens: int | None = None

    @property
    def depth(self) -> int | None:
        """Positions of a list that was not cut off: the most that a round drafts."""
        return len(self.rates) if self.rates and self.whole_list else None

    def check(self, drafted: str) -> None:
        """Raise ValueError for numbers that cannot be; ``drafted`` is the source's word for it."""
        if self.accepted > self.drafted:
            raise ValueError(
                f"accepted must be in [0, {drafted} = {self.drafted}], got {self.accepted}"
            )
        before = 1.0
        for r in self.rates:
            if not -1e-9 <= r.value <= before + 1e-9:
                raise ValueError(
                    f"share by position must be in [0, 1] and not rise, got {r.text} after {before}"
                )
            before = r.value
        if self.drafted and self.length is not None:
            self._check_length(self.length)

    def _check_length(self, length: Printed) -> None:
        if not length.high >= 1.0:
            raise ValueError(f"acceptance length must be >= 1, got {length.text}")
        if not self.rates or not self.whole_list:
            return
        total = 1.0 + sum(r.value for r in self.rates)
        if abs(total - length.value) > 0.001 * len(self.rates) + 0.01:
            raise ValueError(
                f"acceptance length {length.text} must be 1 + the sum of the shares by position, "
                f"{total:.3f}"
            )

    def rounds_range(self, gamma: int | None) -> tuple[float, float]:
        """The rounds that print as this length, within `bounds.rounds_bounds`."""
        low, high = float(-(-self.drafted // (gamma or self.drafted or 1))), float(self.drafted)
        if self.tokens is not None and low <= self.tokens - self.accepted < high:
            high = float(self.tokens - self.accepted)
        if self.length is not None and self.accepted:
            low = max(low, self.accepted / max(self.length.high - 1.0, 1e-12))
            if self.length.low > 1.0:
                high = min(high, self.accepted / (self.length.low - 1.0))
        return low, high

    def rounds(self, gamma: int | None, *, exact: bool = True) -> tuple[int | None, str]:
        """The rounds, and how they follow: "full", "digits" or "" where they do not."""
        low, high = self.rounds_range(gamma)
        if not self.drafted:
            return 0, "digits"
        if exact and gamma and self.drafted % gamma == 0:
            full = self.drafted // gamma
            if low <= full * (1 + 1e-9) and full <= high * (1 + 1e-9) and self._fits(full):
                return full, "full"
        fitting = whole_numbers_between(low, high, _ROUND_SEARCH)
        if len(fitting) > _ROUND_SEARCH or (self.length is None and len(fitting) > 1):
            return None, ""
        fits = (n for n in fitting if self._fits(n))
        only, other = next(fits, None), next(fits, None)
        return (only, "digits") if only is not None and other is None else (None, "")

    def _fits(self, rounds: int) -> bool:
        if not prints_rates(self.rates, rounds):
            return False
        counts = counts_behind(self.rates, rounds) if self.whole_list and self.rates else None
        return counts is None or sum(counts) == self.accepted
