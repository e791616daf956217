r"""Counts of requests, added up, and the bounds of the rounds behind drafted and accepted tokens.

    ceil(drafted / gamma) <= rounds <= min(drafted, tokens - accepted)

A round drafts at least one token and at most gamma, and gives one token beside those it accepted.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any, NamedTuple

from .numbers import add_lists

if TYPE_CHECKING:
    from .counts import Check


class Request(NamedTuple):
    """Counts of one request [token]; tokens: all that it generated, None where not known."""

    drafted: int
    accepted: int
    tokens: int | None = None


def request_bounds(requests: Sequence[Request], gamma: int | None) -> tuple[int, int]:
    """Fewest and most rounds of all requests, each bounded by itself; see `rounds_bounds`."""
    low = high = 0
    for one in requests:
        found = rounds_bounds(one.drafted, one.accepted, gamma=gamma, tokens=one.tokens)
        assert found is not None
        low, high = low + found[0], high + found[1]
    return low, high


def rounds_bounds(
    drafted: int | None,
    accepted: int | None,
    *,
    gamma: int | None = None,
    tokens: int | None = None,
) -> tuple[int, int] | None:
    """Fewest and most rounds of one request, or of the sum of several; None without ``drafted``.

    drafted, accepted, tokens: [token], tokens being all that were generated; gamma: the most that a
    round drafts. Raises ValueError where no number of rounds is possible.
    """
    if drafted is None:
        return None
    if not drafted:
        return 0, 0
    low, high = (-(-drafted // gamma) if gamma else 1), drafted
    if tokens is not None and accepted is not None:
        high = min(high, tokens - accepted)
    if high < 1:
        raise ValueError(
            f"tokens must be above accepted = {accepted} where rounds were drafted, got {tokens}"
        )
    if low > high:
        raise ValueError(
            f"gamma must be at least {-(-drafted // high)}: {drafted} drafted tokens in at most "
            f"{high} rounds (tokens - accepted), got {gamma}"
        )
    return low, high


KEPT = 20_000
_CHECKS = 20


class Sums:
    """The accumulator of the formats that state requests one by one.

    A total is None as soon as one request leaves it open; so are the lists by position.

    each: what bounds the rounds of every request; checks: of stated numbers against the counts, the
    first and those that disagree.
    """

    def __init__(self) -> None:
        self.requests = 0
        self.totals: dict[str, Any] = dict.fromkeys(("rounds", "drafted", "accepted", "tokens"), 0)
        self.lists: dict[str, list[int] | None] = {"histogram": [], "tried": []}
        self.each: list[Request] = []
        self.checks: list[Check] = []
        self._per_round: set[float] = set()

    def add(self, checks: list[Check] | None = None, **counts: Any) -> None:
        """Add a request: rounds, drafted, accepted, tokens, histogram, tried, where it states them.

        Raises ValueError for more accepted than drafted tokens.
        """
        rounds, drafted, accepted = (counts.get(n) for n in ("rounds", "drafted", "accepted"))
        if accepted is not None and drafted is not None and accepted > drafted:
            raise ValueError(f"accepted must be in [0, drafted = {drafted}], got {accepted}")
        for name, total in self.totals.items():
            part = counts.get(name)
            self.totals[name] = None if total is None or part is None else total + part
        for name, held in self.lists.items():
            if held is not None and (part := counts.get(name)) is not None:
                add_lists(held, part)
            else:
                self.lists[name] = None
        if rounds and drafted is not None and len(self._per_round) < 2:
            self._per_round.add(drafted / rounds)
        if len(self.each) <= KEPT and drafted is not None and accepted is not None:
            self.each.append(Request(drafted, accepted, counts.get("tokens")))
        if len(self.checks) < _CHECKS:
            self.checks += [c for c in checks or () if not c.agrees or not self.requests]
        self.requests += 1

    def whole_draft(self) -> int | None:
        """Drafted tokens a round, where that is the same whole number in every request."""
        each = next(iter(self._per_round), 0.0)
        return (int(each) if len(self._per_round) == 1 and each.is_integer() else None) or None

    def bounded(self) -> tuple[Request, ...]:
        """The requests one by one, where their rounds are to be bounded and they are few."""
        few = self.totals["rounds"] is None and len(self.each) <= KEPT
        return tuple(self.each) if few else ()
