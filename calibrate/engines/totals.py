"""Sums over intervals or requests whose rounds are not printed."""

from __future__ import annotations

from collections.abc import Callable
from itertools import zip_longest
from typing import Any, TypeVar

from .counts import Check, compare
from .intervals import Interval
from .lines import Damage
from .printed import counts_behind

_MOST_DISTINCT = 50_000
_MOST_WRONG = 20
_ADDED = ("rounds", "drafted", "accepted", "open", "full", "by_digits", "low", "high", "middle",
          "shared")  # fmt: skip
Digits = tuple[str | None, ...]
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
            self.positions += [0] * (len(counts) - len(self.positions))
            for k, n in enumerate(counts):
                self.positions[k] += times * n

    def _add_shares(self, part: Interval, weight: float) -> None:
        self.cut = self.cut or not part.whole_list
        if not part.rates:
            return
        self.shares += [0.0] * (len(part.rates) - len(self.shares))
        self.shared += weight
        for k, rate in enumerate(part.rates):
            self.shares[k] += weight * rate.value
            self.half_width = max(self.half_width, 0.5 * (rate.high - rate.low))

    def join(self, other: Total) -> None:
        """Add the sums of other lines."""
        for name in _ADDED:
            setattr(self, name, getattr(self, name) + getattr(other, name))
        if self.positions is None or other.positions is None:
            self.positions = None
        else:
            self.positions = _added(self.positions, other.positions)
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
        """What the sums determine, by the names of `howspec.calibrate.engines.engine_counts`."""
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
    return int(-(-low // 1)), int(high // 1)


class Intervals:
    """Lines of one log, tallied by their digits; each distinct set of them is worked out once.

    read: the interval behind the digits, ValueError where it cannot be; exact: every full round
    drafts as many tokens as positions are printed, not only at most. Beyond 50,000 distinct sets
    they are worked out at once, so that memory does not grow with the log. What is counted here
    holds after `settle`.
    """

    def __init__(
        self, read: Callable[[Digits], Interval], damage: Damage, *, exact: bool = True
    ) -> None:
        self.exact = exact
        self.lines = self.drafted = self.without_length = 0
        self.depths: set[int] = set()
        self._read, self._damage = read, damage
        self._tally: dict[Digits, int] = {}
        self._parts: list[tuple[Interval, int]] = []
        self._total = Total()
        self._right: list[Check] = []
        self._wrong: list[Check] = []

    def add(self, digits: Digits, times: int = 1) -> None:
        """Take one line, or several alike."""
        self._tally[digits] = self._tally.get(digits, 0) + times
        if len(self._tally) > _MOST_DISTINCT:
            self.settle()
            self._sum(None)

    def join(self, other: Intervals) -> None:
        """Take the lines of another log of the same kind, such as of another rank."""
        other.settle()
        self._parts += other._parts
        self._total.join(other._total)
        self._right, self._wrong = self._right + other._right, self._wrong + other._wrong
        self.lines += other.lines
        self.drafted += other.drafted
        self.without_length += other.without_length
        self.depths |= other.depths

    def settle(self) -> None:
        """Read what was tallied."""
        for digits, times in self._tally.items():
            try:
                part = self._read(digits)
            except ValueError as error:
                self._damage.add(str(error), times)
                continue
            self._parts.append((part, times))
            self.lines += times
            self.drafted += times * part.drafted
            self.without_length += times * (part.length is None)
            if part.depth is not None:
                self.depths.add(part.depth)
        self._tally.clear()

    def total(self, stated: int | None) -> Total:
        """The sums; stated: drafted tokens of a round, for lines that print no whole list."""
        self.settle()
        only = next(iter(self.depths)) if len(self.depths) == 1 else None
        self._sum(only or stated)
        return self._total

    def checks(self) -> tuple[Check, ...]:
        """Printed rates against the sums: two of them, or those that disagree, after `total`."""
        return tuple(self._wrong or self._right[:2])

    def _sum(self, gamma: int | None) -> None:
        for part, times in self._parts:
            rounds = self._total.add(part, times, part.depth or gamma, exact=self.exact)
            for check in _checks(part, rounds):
                kept = self._right if check.agrees else self._wrong
                if len(kept) < _MOST_WRONG:
                    kept.append(check)
        self._parts.clear()


def _checks(part: Interval, rounds: int | None) -> list[Check]:
    found = []
    if part.rate is not None and part.drafted:
        found.append(compare("drafted rate", part.rate, part.accepted / part.drafted))
    if part.length is not None and rounds:
        found.append(compare("acceptance length", part.length, 1.0 + part.accepted / rounds))
    return found
