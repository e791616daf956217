r"""Bounds of the rounds behind drafted and accepted tokens.

    ceil(drafted / gamma) <= rounds <= min(drafted, tokens - accepted)

A round drafts at least one token and at most gamma, and gives one token beside those it accepted.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple


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
