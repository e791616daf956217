"""What a source states, checked and completed by counting."""

from __future__ import annotations

import math
from collections.abc import Sequence
from itertools import pairwise
from typing import Any

import numpy as np

from .counts import LARGEST, EngineCounts


def engine_counts(
    engine: str,
    format: str,  # noqa: A002 - the field's name
    *,
    definition: str,
    histogram: Sequence[int] | None = None,
    per_position_accepted: Sequence[int] | None = None,
    survival: Sequence[float] | None = None,
    notes: Sequence[str] = (),
    **known: Any,
) -> EngineCounts:
    """Check what a source states and complete it by counting; see :class:`EngineCounts`.

    A histogram gives rounds, accepted and the counts by position; counts by position give the
    survival and the accepted tokens; rounds and accepted give the acceptance length.
    Raises ValueError for counts that cannot be.
    """
    positions = None if per_position_accepted is None else tuple(per_position_accepted)
    if histogram is not None:
        positions = _from_histogram(tuple(histogram), positions, known)
    rounds, gamma, accepted = known.get("rounds"), known.get("gamma"), known.get("accepted")
    for name in ("rounds", "drafted", "accepted"):
        _check_count(name, known.get(name))
    if positions is not None:
        positions = positions if gamma is None else _trimmed(positions, gamma)
        _check_positions(positions, rounds)
        accepted = sum(positions) if accepted is None else accepted
    _check_totals(rounds, known.get("drafted"), accepted, gamma)
    if survival is None and positions is not None and rounds:
        survival = [n / rounds for n in positions]
    drafted = known.get("drafted")
    known["accepted"], known["acceptance_length"] = accepted, _length(accepted, known)
    return EngineCounts(
        engine=engine,
        format=format,
        definition=definition,
        survival=None if survival is None else _check_survival(survival),
        per_position_accepted=positions,
        drafted_rate=accepted / drafted if drafted and accepted is not None else None,
        histogram=None if histogram is None else tuple(histogram),
        notes=tuple(dict.fromkeys((*notes, *_said(rounds, drafted, gamma)))),
        **known,
    )


def _from_histogram(
    histogram: tuple[int, ...], positions: tuple[int, ...] | None, known: dict[str, Any]
) -> tuple[int, ...]:
    """Accepted by position, with rounds and accepted tokens written into ``known``."""
    _check_count("rounds by accepted tokens", *histogram)
    total = sum(k * n for k, n in enumerate(histogram))
    known["rounds"] = _same("rounds", known.get("rounds"), sum(histogram))
    known["accepted"] = _same("accepted", known.get("accepted"), total)
    if positions is not None:
        return positions
    left = np.asarray(histogram, dtype=object)[::-1].cumsum()[::-1][1:]
    return tuple(int(n) for n in left[: known.get("gamma") or None])


def _length(accepted: int | None, known: dict[str, Any]) -> float | None:
    """The stated acceptance length, else 1 + accepted / rounds where accepted is a prefix."""
    length, rounds = known.get("acceptance_length"), known.get("rounds")
    if length is None and rounds and accepted is not None and known.get("accepted_is_prefix", True):
        length = 1.0 + accepted / rounds
    if length is not None and not (math.isfinite(length) and length >= 1.0 - 1e-9):
        raise ValueError(f"acceptance length with the bonus token must be >= 1, got {length:g}")
    return None if length is None else float(length)


def _said(rounds: int | None, drafted: int | None, gamma: int | None) -> list[str]:
    if rounds == 0:
        return ["no speculative round was counted, so there is no share to give"]
    if rounds and gamma and drafted is not None and drafted != gamma * rounds:
        return [
            f"rounds drafted {drafted / rounds:.4g} tokens on average, not gamma = {gamma}: some "
            f"drafted less"
        ]
    return []


def _check_totals(
    rounds: int | None, drafted: int | None, accepted: int | None, gamma: int | None
) -> None:
    if accepted is not None and drafted is not None and accepted > drafted:
        raise ValueError(f"accepted must be in [0, drafted = {drafted}], got {accepted}")
    most = None if rounds is None or gamma is None else gamma * rounds
    if most is not None and accepted is not None and accepted > most:
        raise ValueError(f"accepted must be in [0, gamma x rounds = {most}], got {accepted}")


def _check_count(name: str, *values: int | None) -> None:
    for value in values:
        if value is not None and not 0 <= value <= LARGEST:
            raise ValueError(f"{name} must be a whole number in [0, 2^63), got {value}")


def _same(name: str, stated: int | None, counted: int) -> int:
    if stated is not None and stated != counted:
        raise ValueError(f"{name} must agree with the histogram, {counted}, got {stated}")
    return counted


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
