"""What a source states, checked and completed by counting.

What a source says twice must agree, and one side is believed:

    length = 1 + accepted / rounds        (bonus token counted, accepted being the leading tokens)
    rate = accepted / drafted
    sum of the shares by position = accepted / rounds
    rounds <= tokens - accepted

Counts are whole and add up, so they are believed where a printed mean or the shares by position
differ from them, unless those two agree with each other against the counts.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import replace
from itertools import accumulate, pairwise
from typing import Any

from ..stated import Stated
from .counts import Check, EngineCounts, checks, format_of, ratio
from .numbers import LARGEST, bounds_of, check_totals, narrowed

# Scrapes are not atomic: counters of one moment may differ by the rounds in flight.
_IN_FLIGHT = 0.02


def counts_as(
    name: str,
    *,
    engine: str = "",
    definition: str = "",
    histogram: Sequence[int] | None = None,
    per_position_accepted: Sequence[int] | None = None,
    survival: Sequence[float] | None = None,
    stated_length: Stated | None = None,
    stated_rate: Stated | None = None,
    notes: Sequence[str] = (),
    **known: Any,
) -> EngineCounts:
    """What a source of a format states, checked and completed by counting; see `EngineCounts`.

    name: of the format; engine, definition: where they differ from those of the format.
    A histogram gives rounds, accepted and the counts by position; counts by position give the
    survival and the accepted tokens; rounds and accepted give the acceptance length; drafted tokens
    with gamma or all tokens bound the rounds. stated_length (bonus counted) and stated_rate
    (accepted / drafted) are held against the counts. Raises ValueError for counts
    that cannot be.
    """
    form = format_of(name)
    positions = None if per_position_accepted is None else tuple(per_position_accepted)
    if histogram is not None:
        positions = _from_histogram(tuple(histogram), positions, known)
    gamma, accepted = known.get("gamma"), known.get("accepted")
    for what in ("rounds", "drafted", "accepted", "tokens", "gamma"):
        _check_count(what, known.get(what))
    said = list(notes)
    if positions is not None:
        positions = positions if gamma is None else _trimmed(positions, gamma)
        _check_positions(positions, known.get("rounds"))
        accepted = known["accepted"] = sum(positions) if accepted is None else accepted
    check_totals(known.get("rounds"), known.get("drafted"), accepted, gamma)
    if gamma and (known.get("drafted") or 0) > gamma * (known.get("rounds") or math.inf):
        said.append(
            f"rounds drafted {known['drafted'] / known['rounds']:.4g} tokens on average, more than "
            f"gamma = {gamma}: some draft in another way, gamma null"
        )
        gamma = known["gamma"] = None
    _bound(known, said)
    if stated_length is not None and known.get("acceptance_length") is None:
        known["acceptance_length"] = max(stated_length.value, 1.0)
    rounds, drafted = known.get("rounds"), known.get("drafted")
    if survival is None and positions is not None and rounds:
        survival = [n / rounds for n in positions]
    rate = ratio(accepted, drafted)
    if rate is None and stated_rate is not None and 0.0 <= stated_rate.value <= 1.0:
        rate = stated_rate.value
    found = EngineCounts(
        engine=engine or form.engine,
        format=name,
        definition=definition or form.definition,
        survival=None if survival is None else _check_survival(survival),
        per_position_accepted=positions,
        drafted_rate=rate,
        histogram=None if histogram is None else tuple(histogram),
        notes=(),
        **{**known, "acceptance_length": length_of(known)},
    )
    found = _reconciled(found, stated_length, stated_rate, said)
    return replace(found, notes=tuple(dict.fromkeys((*said, *unlike(found)))))


def _reconciled(
    counts: EngineCounts, length: Stated | None, rate: Stated | None, said: list[str]
) -> EngineCounts:
    """The counts less what does not fit, with the checks made; ``said`` gets sentences on both.

    length, rate: as the source states them beside its counts, rate as a fraction.
    """
    accepted = counts.accepted
    prefix = accepted if counts.accepted_is_prefix else None
    made = checks(
        ("drafted rate", rate, ratio(accepted, counts.drafted)),
        ("acceptance length", length, ratio(prefix, counts.rounds, 1.0)),
    )
    counts = replace(counts, consistency=(*counts.consistency, *made))
    if not counts.accepted_is_prefix:
        return counts
    return _tokens(_positions(counts, length, said), said)


def _positions(counts: EngineCounts, length: Stated | None, said: list[str]) -> EngineCounts:
    """Shares by position against the counts; a list that is cut off can only fall short."""
    accepted = ratio(counts.accepted, counts.rounds)
    if accepted is None or not counts.survival:
        return counts
    total = sum(counts.survival)
    slack = len(counts.survival) * (counts.survival_half_width or 0.0) + 1e-9
    whole = counts.gamma is not None and len(counts.survival) == counts.gamma
    if abs(total - accepted) <= slack or (not whole and total < accepted):
        return counts
    words = (
        f"columns disagree: the positions add up to {total:.4g} accepted tokens a round, accepted "
        f"/ rounds is {accepted:.4g}"
    )
    check = Check("accepted tokens a round, by position", f"{total:.4g}", accepted, agrees=False)
    counts = replace(counts, consistency=(*counts.consistency, check))
    if abs(total - accepted) <= _IN_FLIGHT * accepted:
        said.append(f"{words}: a scrape in between, or rounding; the counts are believed")
        return counts
    if length is not None and length.covers(1.0 + total) and not length.covers(1.0 + accepted):
        said.append(f"{words}; the stated length agrees with the positions: rounds null")
        return replace(counts, rounds=None, histogram=None, acceptance_length=length.value)
    why = "the stated length agrees with them" if length is not None else "they are whole numbers"
    factor = accepted / total if total > 0.0 else 0.0
    cause = "a restart, or series that are missing"
    if round(factor) >= 2 and abs(factor / round(factor) - 1.0) < 0.05:
        cause = (
            f"a factor of {round(factor)}: the positions of one of {round(factor)} data-parallel "
            "replicas over the drafts of all"
        )
    said.append(f"{words}: the counts are believed, {why}; survival null ({cause})")
    return replace(counts, survival=None, per_position_accepted=None, survival_half_width=None)


def _tokens(counts: EngineCounts, said: list[str]) -> EngineCounts:
    """All tokens against the rounds, each of which gives one beside those it accepted."""
    known, accepted = counts.rounds or (counts.rounds_range or (0, 0))[0], counts.accepted
    if accepted is None or counts.tokens is None:
        return counts
    # A round that reaches the end of its request gives no token beside those it accepted.
    spare = max(counts.requests or 1, round(_IN_FLIGHT * known))
    if counts.tokens - accepted >= known - spare and counts.tokens > accepted:
        steps, rounds = counts.tokens - accepted, counts.rounds
        if rounds is not None and steps - rounds > spare:
            said.append(
                f"{steps - rounds} of {steps} steps of the target drafted nothing: "
                f"{counts.tokens / steps:.4g} tokens per target step decide time, not the "
                f"{1.0 + accepted / max(rounds, 1):.4g} of a drafting round"
            )
        return counts
    said.append(
        f"{counts.tokens} tokens are fewer than {known} rounds and {accepted} accepted ones make: "
        "they count other requests, and are left out"
    )
    return replace(counts, tokens=None)


def _bound(known: dict[str, Any], said: list[str]) -> None:
    """Write the rounds, or their range, that drafted tokens allow; what cannot be is left out."""
    gamma, stated = known.get("gamma"), known.get("rounds_range")
    open_ = known.get("rounds") is None and known.get("drafted") is not None
    sum_is_enough = known.get("tokens") is not None and known.get("accepted_is_prefix", True)
    if not open_ or (gamma is None and not sum_is_enough):
        return
    try:
        found = bounds_of(known, gamma)
    except ValueError as error:
        said.append(f"tokens and drafts do not fit together, so they bound no rounds: {error}")
        known["tokens"], known["per_request"] = None, ()
        return
    assert found is not None
    low, high = known["rounds_range"] = found if stated is None else narrowed(stated, found)
    if low == high:
        known["rounds"], known["rounds_range"] = low, None
        said.append("rounds are the only number that drafted tokens, gamma and all tokens allow")


def _from_histogram(
    histogram: tuple[int, ...], positions: tuple[int, ...] | None, known: dict[str, Any]
) -> tuple[int, ...]:
    """Accepted by position, with rounds and accepted tokens written into ``known``."""
    _check_count("rounds by accepted tokens", *histogram)
    total = sum(k * n for k, n in enumerate(histogram))
    for name, counted in (("rounds", sum(histogram)), ("accepted", total)):
        if known.get(name) not in (None, counted):
            raise ValueError(f"{name} must agree with the histogram, {counted}, got {known[name]}")
        known[name] = counted
    if positions is not None:
        return positions
    left = list(accumulate(reversed(histogram)))[-2::-1]
    return tuple(left[: known.get("gamma") or None])


def length_of(known: Mapping[str, Any]) -> float | None:
    """The stated acceptance length, else 1 + accepted / rounds where accepted is a prefix."""
    length = known.get("acceptance_length")
    if known.get("accepted_is_prefix", True):
        counted = ratio(known.get("accepted"), known.get("rounds"), 1.0)
        length = length if counted is None else counted
    if length is not None and not (math.isfinite(length) and length >= 1.0 - 1e-9):
        raise ValueError(f"acceptance length with the bonus token must be >= 1, got {length:g}")
    return None if length is None else float(length)


def unlike(counts: EngineCounts) -> list[str]:
    """Why the rounds are not all of gamma draft tokens, where the counts say so; else nothing."""
    rounds, drafted, gamma = counts.rounds, counts.drafted, counts.gamma
    if rounds == 0:
        return ["no speculative round was counted, so there is no share to give"]
    if rounds and gamma and drafted is not None and drafted != gamma * rounds:
        return [
            f"rounds drafted {drafted / rounds:.4g} tokens on average, not gamma = {gamma}: some "
            f"drafted less"
        ]
    return []


def _check_count(name: str, *values: int | None) -> None:
    for value in values:
        if value is not None and not 0 <= value <= LARGEST:
            raise ValueError(f"{name} must be a whole number in [0, 2^63), got {value}")


def _trimmed(positions: tuple[int, ...], gamma: int) -> tuple[int, ...]:
    if any(positions[gamma:]):
        raise ValueError(f"accepted positions must be at most gamma = {gamma}, got more")
    return (positions + (0,) * (min(gamma, 4096) - len(positions)))[:gamma]


def _check_positions(positions: tuple[int, ...], rounds: int | None) -> None:
    _check_count("accepted by position", *positions)
    ladder = positions if rounds is None else (rounds, *positions)
    for k, (before, after) in enumerate(pairwise(ladder)):
        if after > before:
            at = k + 1 + (rounds is None)
            raise ValueError(
                f"accepted at position {at} must be at most {before} (those before it), got {after}"
            )


def _check_survival(survival: Sequence[float]) -> tuple[float, ...]:
    values = tuple(float(s) for s in survival)
    for k, s in enumerate(values):
        if not 0.0 <= s <= 1.0:
            raise ValueError(f"survival must be in [0, 1], got {s:g} at position {k + 1}")
        if k and s > values[k - 1] + 1e-9:
            raise ValueError(
                f"survival must not rise with position, got {s:g} at position {k + 1} after "
                f"{values[k - 1]:g}; conditional rates are another metric"
            )
    return values
