"""Lines of a log, counted by their digits: each distinct set of them is worked out once."""

from __future__ import annotations

from collections.abc import Callable

from .counts import Check, compare
from .intervals import Interval, Total
from .lines import Damage

_MOST_DISTINCT = 50_000
_MOST_WRONG = 20
Digits = tuple[str | None, ...]


class Intervals:
    """Lines of one log with their sums.

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
