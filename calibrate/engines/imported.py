"""Acceptance from imported statistics, as far as they go, and what in them does not fit."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ...theory import DepthAcceptance
from ...theory.acceptance import alpha_from_length
from .evidence import (
    Evidence,
    check_gamma,
    from_counts,
    from_length,
    from_lengths,
    from_survival,
)
from .stated import Stated

Floats = NDArray[np.float64]
_LARGEST_JSON = 2**24
# Rounds at the end of requests draft less; up to this share of drafted tokens it is neglected.
_SHORT = 0.02


def from_statistics(
    counts: Mapping[str, Any],
    rng: np.random.Generator,
    *,
    gamma: int | None = None,
    positions: int = 32,
    draws: int = 2000,
) -> Evidence:
    """Acceptance from imported statistics: the object that `howspec import --json` prints.

    gamma: where the statistics leave it open. Raises ValueError where they determine nothing.
    """
    engine = counts.get("engine") or "an engine"
    given = f"statistics of {engine}"
    said = counts.get("gamma")
    if said is not None and gamma is not None and int(said) != gamma:
        raise ValueError(f"gamma must agree with the statistics, {said}, got {gamma}")
    known = said if said is not None else gamma
    known = _whole_drafts(counts) if known is None else known
    options: dict[str, Any] = {"positions": positions, "draws": draws}
    survival = _padded(counts.get("survival"), known)
    rounds, accepted = counts.get("rounds"), counts.get("accepted")
    length = counts.get("acceptance_length")
    if length is None and rounds and accepted is not None:
        length = 1.0 + float(accepted) / float(rounds)
    found: Evidence | None = None
    if survival is not None:
        share = survival
        tried = _tried(counts, share)
        if tried is not None:
            kept = counts.get("per_position_accepted")
            passed = share * float(rounds or 0) if kept is None else _filled(kept, share.size)
            found = from_counts(tried, np.minimum(passed, tried), rng, given=given, **options)
        else:
            found = from_survival(share, rng, given=given, **options)
    elif length is not None and known is not None:
        found = _counted_length(float(length), int(known), rounds, rng, **options)
        found = replace(found, given=given)
    if found is None:
        raise ValueError(
            f"{given} do not determine the acceptance: they need survival by position, or an "
            "acceptance length (or rounds and accepted) with gamma; give --gamma"
        )
    notes = [*found.notes, *_disagreements(counts, found, length)]
    notes += [str(n) for n in counts.get("notes") or ()]
    return replace(found, notes=tuple(notes), gamma=known or found.gamma)


def _whole_drafts(counts: Mapping[str, Any]) -> int | None:
    """Drafted tokens a round, where that is a whole number."""
    rounds, drafted = counts.get("rounds"), counts.get("drafted")
    if not rounds or not drafted or int(drafted) % int(rounds):
        return None
    return int(drafted) // int(rounds)


def _disagreements(counts: Mapping[str, Any], found: Evidence, length: Any) -> list[str]:
    """What the statistics say of themselves that does not fit together."""
    notes = []
    rounds, drafted, gamma = counts.get("rounds"), counts.get("drafted"), found.gamma
    if rounds and drafted and gamma and abs(drafted / rounds / gamma - 1.0) > 0.01:
        notes.append(
            f"rounds drafted {drafted / rounds:.2f} tokens on average, not {gamma}: costs that are "
            "counted for gamma are too high for the shorter ones"
        )
    if length is not None and gamma and gamma <= found.positions:
        tokens = found.tokens(gamma)[0]
        if abs(tokens / float(length) - 1.0) > 0.01:
            notes.append(
                f"survival by position gives {tokens:.3f} tokens per round, the stated acceptance "
                f"length is {float(length):.3f}: they count different rounds"
            )
    return notes


def _padded(survival: Any, gamma: int | None) -> Floats | None:
    """Survival at positions 1..gamma; those that a source leaves out at the end are 0."""
    if not survival:
        return None
    share = np.asarray(survival, dtype=np.float64)
    if gamma is not None and share.size > int(gamma):
        raise ValueError(f"gamma must be at least the {share.size} positions given, got {gamma}")
    return share if gamma is None else _filled(share, int(gamma))


def _filled(values: Any, size: int) -> Floats:
    held = np.asarray(values, dtype=np.float64)[:size]
    return np.concatenate([held, np.zeros(size - held.size)])


def _tried(counts: Mapping[str, Any], survival: Floats) -> Floats | None:
    """How often each position was put to the test, where the statistics show it."""
    if counts.get("tried") is not None:
        return _filled(counts["tried"], survival.size)
    rounds, gamma, drafted = counts.get("rounds"), counts.get("gamma"), counts.get("drafted")
    if not rounds:
        return None
    if gamma is not None and drafted is not None:
        full = int(gamma) * int(rounds)
        if not (1.0 - _SHORT) * full <= int(drafted) <= full:
            return None  # rounds of several lengths: a position was not tried in each of them
    kept = counts.get("per_position_accepted")
    passed = survival * float(rounds) if kept is None else _filled(kept, survival.size)
    return np.concatenate([[float(rounds)], passed[:-1]])


def _counted_length(
    length: float,
    gamma: int,
    rounds: Any,
    rng: np.random.Generator,
    *,
    positions: int,
    draws: int,
) -> Evidence:
    """A mean over rounds: its error is that of independent rounds with the same mean."""
    if not rounds:
        return from_length(length, gamma, rng, positions=positions, draws=draws)
    g = check_gamma(gamma)
    if not 1.0 <= length <= g + 1.0:
        raise ValueError(f"acceptance_length must be in [1, gamma + 1 = {g + 1}], got {length:g}")
    survival = DepthAcceptance(float(alpha_from_length(length, g))).survival(g)
    squares = float(((2.0 * np.arange(g + 1.0) + 1.0) * survival).sum())
    error = np.sqrt(max(squares - length * length, 0.0) / float(rounds))
    lengths = np.clip(length + error * rng.standard_normal(draws), 1.0, g + 1.0)
    return from_lengths(Stated(length, 0.0, float(error)), lengths, g, rng, positions)


def json_object(path: Path) -> dict[str, Any] | None:
    """The object that a file holds as JSON, None for any other file and for very large ones."""
    with path.open("rb") as file:
        start = file.read(64).lstrip()
    if not start.startswith(b"{") or path.stat().st_size > _LARGEST_JSON:
        return None
    try:
        value = json.loads(path.read_text(encoding="utf-8"))
    except ValueError:  # a log may begin with a brace as well
        return None
    return value if isinstance(value, dict) else None


def read_statistics(source: str | Path) -> dict[str, Any]:
    """Statistics from a file: the JSON of `howspec import --json`, or an engine's own log.

    Raises ValueError for text that is neither, OSError for a file that cannot be read.
    """
    found = json_object(Path(source))
    if found is not None and {"acceptance_length", "rounds", "gamma"} <= found.keys():
        return found
    from .load import import_counts  # the importers are many and only needed here

    return import_counts(str(source)).to_json()
