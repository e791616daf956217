"""Numbers as logs print them and as JSON holds them; sums of tokens bound the rounds."""

from __future__ import annotations

import math
import re
from collections.abc import Iterable, Mapping, Sequence
from contextlib import suppress
from itertools import accumulate
from operator import mul
from typing import Any, NamedTuple

from ..stated import Stated, printed

NUMBER = r"[-+]?(?:\d+(?:[.,]\d+)?|[.,]\d+)(?:[eE][-+]?\d{1,3})?|[-+]?(?:nan|NaN|NAN|inf|Inf|INF)"
WHOLE = r"\d{1,3}(?:,\d{3})+|\d+"
UP_TO = r"[\s*`%]*(?:[-–—~～至到]|to\b)[\s*`]*\d"  # behind the first number of a range
LARGEST = 2**63 - 1
MOST_POSITIONS = 4096


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


def number_list(text: str) -> list[Stated]:
    """The numbers of a printed list such as "0.600, 0.385"; an ellipsis ends the list.

    Where every number has a decimal comma, the comma that is followed by a space separates.
    """
    pieces = re.split(r"\s*[;|]\s*|,\s+|\s+", text.strip().strip("()[]").strip().rstrip(","))
    if any("," in p and "." in p for p in pieces):
        pieces = [part for p in pieces for part in p.split(",")]
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


def counts_behind(rates: Iterable[Stated], rounds: int) -> list[int] | None:
    """The accepted tokens by position that print as these shares of ``rounds``, if unique."""
    found = []
    for rate in rates:
        fitting = whole_numbers_between(rate.low * rounds, rate.high * rounds, 1)
        if len(fitting) != 1:
            return None
        found.append(fitting[0])
    return found


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


def total(parts: Sequence[int | None]) -> int | None:
    """The sum of counts, None where one of them is not known."""
    known = [n for n in parts if n is not None]
    return sum(known) if len(known) == len(parts) else None


def add_lists(total: list[int], part: Sequence[int]) -> None:
    """Add counts place by place, in place."""
    total += [0] * (len(part) - len(total))
    for k, n in enumerate(part):
        total[k] += n


def snake(name: str) -> str:
    """A name with capitals as one with underlines."""
    return re.sub(r"(?<=[a-z0-9])(?=[A-Z])", "_", name).lower()


def survival_of(conditional: Sequence[float]) -> list[float]:
    """Share of rounds that accept the first k drafts, from the conditional rates of each."""
    return list(accumulate(conditional, mul))


def _shown(value: Any) -> str:
    text = repr(value)
    return text if len(text) <= 60 else text[:57] + "..."


class Request(NamedTuple):
    """Counts of one request [token]; tokens: all that it generated, None where not known."""

    drafted: int
    accepted: int
    tokens: int | None = None


def rounds_bounds(
    drafted: int | None,
    accepted: int | None,
    *,
    gamma: int | None = None,
    tokens: int | None = None,
) -> tuple[int, int] | None:
    """Fewest and most rounds of one request, or of the sum of several; None without ``drafted``.

        ceil(drafted / gamma) <= rounds <= min(drafted, tokens - accepted)

    A round drafts at least one token and at most gamma, and gives one beside those it accepted.
    drafted, accepted, tokens: [token], tokens being all that were generated; gamma: the most that a
    round drafts. Raises ValueError where no number of rounds is possible.
    """
    if not drafted:
        return None if drafted is None else (0, 0)
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


def check_totals(
    rounds: int | None, drafted: int | None, accepted: int | None, gamma: int | None
) -> None:
    """Raise ValueError where more was accepted than drafted, or than the rounds could draft."""
    if accepted is not None and drafted is not None and accepted > drafted:
        raise ValueError(f"accepted must be in [0, drafted = {drafted}], got {accepted}")
    most = None if rounds is None or gamma is None else gamma * rounds
    if most is not None and accepted is not None and accepted > most:
        raise ValueError(f"accepted must be in [0, gamma x rounds = {most}], got {accepted}")


def bounds_of(known: Mapping[str, Any], gamma: int | None) -> tuple[int, int] | None:
    """Fewest and most rounds by `rounds_bounds`, each request bounded by itself.

    known: by the names of `counts.EngineCounts`; gamma: the most that a round drafts.
    """
    if not (requests := known.get("per_request")):
        prefix = known.get("accepted_is_prefix", True)
        tokens = known.get("tokens") if prefix else None
        return rounds_bounds(
            known.get("drafted"), known.get("accepted"), gamma=gamma, tokens=tokens
        )
    every = [rounds_bounds(r.drafted, r.accepted, gamma=gamma, tokens=r.tokens) for r in requests]
    return sum(b[0] for b in every if b), sum(b[1] for b in every if b)


def narrowed(first: tuple[int, int], second: tuple[int, int]) -> tuple[int, int]:
    """What two ranges share; the first where they share nothing."""
    low, high = max(first[0], second[0]), min(first[1], second[1])
    return (low, high) if low <= high else first
