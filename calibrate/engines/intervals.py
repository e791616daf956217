"""Intervals whose rounds are not printed: what their digits say, and their sum.

A line prints accepted and drafted tokens, 1 + accepted / rounds to two digits, and shares by
position to three. Rounds are the whole number that prints all of these, where only one does.
"""

from __future__ import annotations

from dataclasses import dataclass

from .counts import Check, compare
from .printed import Printed, counts_behind, prints_rates, whole_numbers_between

_ROUND_SEARCH = 2_000


@dataclass(frozen=True)
class Interval:
    """One V1 line. rates: share by position; whole_list: the list was not cut off."""

    accepted: int
    drafted: int
    length: Printed | None
    rates: tuple[Printed, ...]
    whole_list: bool
    rate: Printed | None

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
        if self.length is not None and not self.length.high >= 1.0:
            raise ValueError(f"acceptance length must be >= 1, got {self.length.text}")
        if self.rates and self.length is not None and self.whole_list:
            slack = 0.001 * len(self.rates) + 0.01
            if abs(sum(r.value for r in self.rates) + 1.0 - self.length.value) > slack:
                raise ValueError(
                    f"acceptance length {self.length.text} must be 1 + the sum of the shares by "
                    f"position, {1.0 + sum(r.value for r in self.rates):.3f}"
                )

    def rounds_range(self, gamma: int | None) -> tuple[float, float]:
        """The rounds that print as this length, between drafted / gamma and drafted."""
        low, high = self.drafted / (gamma or self.drafted or 1), float(self.drafted)
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
        if self.length is None or len(fitting) > _ROUND_SEARCH:
            return None, ""
        fits = (n for n in fitting if self._fits(n))
        only, other = next(fits, None), next(fits, None)
        return (only, "digits") if only is not None and other is None else (None, "")

    def _fits(self, rounds: int) -> bool:
        if not prints_rates(self.rates, rounds):
            return False
        counts = counts_behind(self.rates, rounds) if self.whole_list and self.rates else None
        return counts is None or sum(counts) == self.accepted


class Total:
    """Running sums over intervals. open: lines whose rounds the digits leave open."""

    def __init__(self) -> None:
        self.rounds = self.drafted = self.accepted = self.open = self.full = self.by_digits = 0
        self.low = self.high = self.middle = 0.0
        self.positions: list[int] | None = []
        self.shares: list[float] = []
        self.shared = 0.0
        self.cut = False

    def add(
        self,
        part: Interval,
        times: int,
        gamma: int | None,
        *,
        exact: bool = True,
        known: int | None = None,
    ) -> None:
        """Add one line that stands ``times`` times.

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
        self._add_positions(part, times, rounds, weight)

    def _add_positions(self, part: Interval, times: int, rounds: int | None, weight: float) -> None:
        known = part.whole_list and bool(part.rates) and rounds is not None
        counts = counts_behind(part.rates, rounds) if known and rounds is not None else None
        if not part.drafted:
            counts = []
        if counts is None or (part.drafted and sum(counts) != part.accepted):
            self.positions = None
        if self.positions is not None and counts is not None:
            wider = [0] * (len(counts) - len(self.positions))
            self.positions += wider
            for k, n in enumerate(counts):
                self.positions[k] += times * n
        self.cut = self.cut or not part.whole_list
        if not part.rates:
            return
        self.shares += [0.0] * (len(part.rates) - len(self.shares))
        self.shared += times * weight
        for k, rate in enumerate(part.rates):
            self.shares[k] += times * weight * rate.value

    def survival(self) -> list[float] | None:
        """Printed shares, weighted with the rounds; None where not every line has them."""
        if not self.shares or self.shared < self.middle * (1.0 - 1e-9):
            return None
        found = [min(1.0, s / self.shared) for s in self.shares]
        return [min(found[: k + 1]) for k in range(len(found))]

    def length(self) -> float | None:
        """Tokens per round from the sums, to the digits where rounds are open."""
        if self.open == 0:
            return 1.0 + self.accepted / self.rounds if self.rounds else None
        wide = self.high > 1.25 * self.low + 1.0
        return None if wide or not self.middle else 1.0 + self.accepted / self.middle

    def notes(self, gamma: int | None) -> list[str]:
        """How the rounds follow, or why they do not."""
        said = []
        if self.full:
            said.append(
                f"rounds = drafted / gamma where the line prints {gamma} positions or the log "
                f"states gamma, drafted divides by it and the printed digits agree "
                f"({self.full} lines): every round drafted its full length"
            )
        if self.by_digits:
            said.append(
                f"rounds are the only whole number that prints the digits ({self.by_digits} lines)"
            )
        if self.open:
            low, high = math_range(self.low, self.high)
            said.append(
                f"rounds are not printed and {self.open} lines leave them open: the sum is in "
                f"[{low}, {high}], so rounds is null; lengths and shares hold to the printed digits"
            )
        if self.cut:
            said.append("the list of positions is cut off by an ellipsis: survival is its start")
        return said


def math_range(low: float, high: float) -> tuple[int, int]:
    """Whole numbers around a range."""
    return int(-(-low // 1)), int(high // 1)


def interval_checks(parts: dict[Interval, int]) -> tuple[Check, ...]:
    """Printed rates against accepted / drafted: one check, or every line that disagrees."""
    found = []
    for part in parts:
        if part.rate is not None and part.drafted:
            found.append(compare("drafted rate", part.rate, part.accepted / part.drafted))
        rounds, _ = part.rounds(part.depth)
        if part.length is not None and rounds:
            found.append(compare("acceptance length", part.length, 1.0 + part.accepted / rounds))
    wrong = [c for c in found if not c.agrees]
    return tuple(wrong[:20]) if wrong else tuple(found[:2])
