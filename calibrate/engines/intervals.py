"""Intervals whose rounds are not printed: what their digits say, and their sums.

A line prints accepted and drafted tokens, 1 + accepted / rounds to two digits, and shares by
position to three. Rounds are the whole number that prints all of these, where only one does.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from itertools import zip_longest
from typing import Any, TypeVar

from ..stated import Stated, printed
from .numbers import counts_behind, number_list, whole, whole_numbers_between

_ROUND_SEARCH = 2_000


@dataclass(frozen=True)
class Interval:
    """One line. rates: share by position; whole_list: the list was not cut off; tokens: all that
    the request generated.
    """

    accepted: int
    drafted: int
    length: Stated | None
    rates: tuple[Stated, ...]
    whole_list: bool
    rate: Stated | None
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

    def _check_length(self, length: Stated) -> None:
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
        """The rounds that print as this length, within `numbers.rounds_bounds`."""
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
        if not all(whole_numbers_between(r.low * rounds, r.high * rounds, 1) for r in self.rates):
            return False
        counts = counts_behind(self.rates, rounds) if self.whole_list and self.rates else None
        return counts is None or sum(counts) == self.accepted


def interval_of(
    accepted: str | None,
    drafted: str | None,
    length: str | None,
    shown: str | None,
    rate: Stated | None,
    names: tuple[str, str],
    tokens: int | None = None,
    *,
    whole_list: bool = False,
) -> Interval:
    """The interval that a line prints; names: its words for accepted and drafted tokens.

    whole_list: whether no line cuts its list off; else an ellipsis says so.

    Raises ValueError where it cannot be.
    """
    found = Interval(
        accepted=whole(accepted or "", names[0]),
        drafted=whole(drafted or "", names[1]),
        length=printed(length) if length else None,
        rates=tuple(number_list(shown)) if shown else (),
        whole_list=whole_list or not re.search(r"…|\.\.\.", shown or ""),
        rate=rate,
        tokens=tokens,
    )
    found.check(names[1])
    return found


_ADDED = ("rounds", "drafted", "accepted", "open", "full", "by_digits", "low", "high", "middle",
          "shared")  # fmt: skip
_N = TypeVar("_N", int, float)


class Total:
    """Running sums. open: lines whose rounds the digits leave open; low, high: bounds of the sum.

    rounds, drafted, accepted: sums; positions: accepted by position, None where digits leave it
    open; full, by_digits: lines whose rounds follow one way or the other.
    """

    def __init__(self) -> None:
        self.rounds = self.drafted = self.accepted = self.open = self.full = self.by_digits = 0
        self.low = self.high = self.middle = 0.0
        self.positions: list[int] | None = []
        self.shares: list[float] = []
        self.shared = self.half_width = 0.0
        self.cut = False

    def add(
        self,
        part: Interval,
        times: int,
        gamma: int | None,
        *,
        exact: bool = True,
        known: int | None = None,
    ) -> int | None:
        """Add one line that stands ``times`` times; returns its rounds, None where open.

        exact: gamma is what every full round drafts, not only the most; known: its rounds.
        """
        self.drafted += times * part.drafted
        self.accepted += times * part.accepted
        rounds, how = (known, "known") if known is not None else part.rounds(gamma, exact=exact)
        low, high = part.rounds_range(gamma) if rounds is None else (rounds, rounds)
        weight = 0.5 * (low + high)
        if part.length is not None and part.accepted and part.length.value > 1.0:
            weight = min(max(part.accepted / (part.length.value - 1.0), low), high)
        self.low, self.high = self.low + times * low, self.high + times * high
        self.middle += times * weight
        if rounds is None:
            self.open += times
        else:
            self.rounds += times * rounds
            self.full += times * (how == "full")
            self.by_digits += times * (how == "digits" and rounds > 0)
        self._add_positions(part, times, rounds)
        self._add_shares(part, times * weight)
        return rounds

    def _add_positions(self, part: Interval, times: int, rounds: int | None) -> None:
        known = part.whole_list and bool(part.rates) and rounds is not None
        counts = counts_behind(part.rates, rounds) if known and rounds is not None else None
        if not part.drafted:
            counts = []
        if counts is None or (part.drafted and sum(counts) != part.accepted):
            self.positions = None
        if self.positions is not None and counts is not None:
            self.positions = _added(self.positions, [times * n for n in counts])

    def _add_shares(self, part: Interval, weight: float) -> None:
        self.cut = self.cut or not part.whole_list
        if not part.rates:
            return
        self.shared += weight
        self.shares = _added(self.shares, [weight * rate.value for rate in part.rates])
        self.half_width = max(self.half_width, *(r.half_width for r in part.rates))

    def join(self, other: Total) -> None:
        """Add the sums of other lines."""
        for name in _ADDED:
            setattr(self, name, getattr(self, name) + getattr(other, name))
        ours, theirs = self.positions, other.positions
        self.positions = None if ours is None or theirs is None else _added(ours, theirs)
        self.shares = _added(self.shares, other.shares)
        self.half_width = max(self.half_width, other.half_width)
        self.cut = self.cut or other.cut

    def survival(self) -> list[float] | None:
        """Printed shares, weighted with the rounds; None where not every line has them."""
        if not self.shares or not self.shared or self.shared < self.middle * (1.0 - 1e-9):
            return None
        found = [min(1.0, s / self.shared) for s in self.shares]
        return [min(found[: k + 1]) for k in range(len(found))]

    def length(self) -> float | None:
        """Tokens per round from the sums, to the digits where rounds are open."""
        if self.open == 0:
            return 1.0 + self.accepted / self.rounds if self.rounds else None
        wide = self.high > 1.25 * self.low + 1.0
        return None if wide or not self.middle else 1.0 + self.accepted / self.middle

    def known(self) -> dict[str, Any]:
        """What the sums determine, by the names of `completed.counts_as`."""
        rounds = self.rounds if self.open == 0 else None
        positions = self.positions or None if rounds is not None else None
        survival = None if positions else self.survival()
        return {
            "rounds": rounds,
            "rounds_range": _whole_range(self.low, self.high) if self.open else None,
            "drafted": self.drafted,
            "accepted": self.accepted,
            "per_position_accepted": positions,
            "survival": survival,
            "survival_half_width": self.half_width if survival else None,
        }

    def notes(self) -> list[str]:
        """How the rounds follow, or why they do not."""
        said = []
        if self.full:
            said.append(
                f"rounds = drafted / gamma, with gamma the positions of the line or as the log "
                f"states it, where that is whole and the printed digits agree ({self.full} lines): "
                f"every round drafted its full length"
            )
        if self.by_digits:
            said.append(
                f"rounds are the only whole number that prints the digits ({self.by_digits} lines)"
            )
        if self.open:
            low, high = _whole_range(self.low, self.high)
            said.append(
                f"rounds are not printed and {self.open} lines leave them open: the sum is in "
                f"[{low}, {high}], so rounds is null; lengths and shares hold to the printed digits"
            )
        if self.cut:
            said.append("the list of positions is cut off by an ellipsis: survival is its start")
        return said


def _added(ours: list[_N], theirs: list[_N]) -> list[_N]:
    return [a + b for a, b in zip_longest(ours, theirs, fillvalue=0)]


def _whole_range(low: float, high: float) -> tuple[int, int]:
    least, most = int(-(-low // 1)), int(high // 1)
    # Digits that no whole number prints leave the two around them.
    return (least, most) if least <= most else (most, least)
