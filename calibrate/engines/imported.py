"""Acceptance from imported statistics, as far as they go, and what in them does not fit."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np

from ...theory import DepthAcceptance
from ...theory.acceptance import PositionalAcceptance, alpha_from_length
from ...theory.domain import Floats
from ..known import KnownAcceptance, around
from .counts import EngineCounts, ratio
from .evidence import (
    check_gamma,
    from_counts,
    from_length,
    from_lengths,
    from_survival,
)
from .numbers import Stated, count, number, whole_list

_LARGEST_JSON = 2**24
_WHOLES = ("rounds", "drafted", "accepted", "tokens", "gamma", "requests", "intervals")
_NUMBERS = ("acceptance_length", "survival_half_width", "length_error", "drafted_rate")
_LISTS = ("per_position_accepted", "tried", "histogram", "rounds_range")
# Rounds at the end of requests draft less; up to this share of drafted tokens it is neglected.
_SHORT = 0.02


def from_statistics(
    counts: EngineCounts | Mapping[str, Any],
    rng: np.random.Generator,
    *,
    gamma: int | None = None,
    positions: int = 32,
    draws: int = 2000,
) -> KnownAcceptance:
    """Acceptance from imported statistics, or from the object that `howspec import --json` prints.

    gamma: where the statistics leave it open; rounds that are known as a range are drawn from it.
    Raises ValueError where they determine nothing, or where gamma contradicts them.
    """
    counts = counts if isinstance(counts, EngineCounts) else counts_of_json(counts)
    given = f"statistics of {counts.engine}"
    if counts.gamma is not None and gamma is not None and counts.gamma != gamma:
        raise ValueError(f"gamma must agree with the statistics, {counts.gamma}, got {gamma}")
    known = counts.gamma or gamma or _whole_drafts(counts)
    options: dict[str, int] = {"positions": positions, "draws": draws}
    survival, tried = _by_position(counts, known)
    rounds = _rounds(counts, known, rng, draws)
    found: KnownAcceptance | None = None
    if survival is not None and tried is not None:
        passed = _passed(counts, survival)
        found = from_counts(tried, np.minimum(passed, tried), rng, given=given, **options)
    elif survival is not None:
        found = from_survival(survival, rng, given=given, **options)
    elif known is not None and (counts.acceptance_length is not None or rounds is not None):
        found = _from_length(counts, known, rounds, rng, **options)
    if found is None:
        raise ValueError(
            f"{given} do not determine the acceptance: they need survival by position, or an "
            "acceptance length, rounds, or drafted tokens with gamma; give --gamma"
        )
    coverage, said = _coverage(counts, rounds, draws)
    notes = (*found.notes, *said, *_disagreements(counts, found), *counts.notes)
    assert isinstance(found.law, PositionalAcceptance)
    assert found.middle is not None
    return around(
        found.middle, found.law, "imported", given, known or found.gamma, notes, coverage=coverage,
        counts=counts,
    )  # fmt: skip


def _whole_drafts(counts: EngineCounts) -> int | None:
    """Drafted tokens a round, where that is a whole number."""
    if not counts.rounds or not counts.drafted or counts.drafted % counts.rounds:
        return None
    return counts.drafted // counts.rounds


def _rounds(
    counts: EngineCounts, gamma: int | None, rng: np.random.Generator, draws: int
) -> Floats | None:
    """Draws of the rounds, shape (draws,): each number that the counts allow is as likely."""
    if gamma is None and counts.rounds is None and counts.rounds_range is None:
        return None
    bounds = counts.bounds(gamma)
    if bounds is None or not bounds[1] or (counts.rounds is None and gamma is None):
        return None
    low, high = bounds
    if low == high:
        return np.full(draws, float(low))
    return rng.integers(low, high, size=draws, endpoint=True).astype(np.float64)


def _coverage(
    counts: EngineCounts, rounds: Floats | None, draws: int
) -> tuple[Floats | None, list[str]]:
    """Share of the target's steps that drafted, shape (draws,), None where all did, or not known.

    Known from the tokens alone where the statistics state no rounds but a length.
    """
    steps = counts.target_steps
    if steps is None or rounds is None:
        return None, []
    share = np.minimum(rounds / steps, 1.0)
    idle = steps - float(np.median(rounds))
    # The first token of a request comes from its prefill and is no step that could have drafted.
    if idle <= max(counts.requests or 1, 0.01 * steps):
        return None, []
    return share, [
        f"{np.median(share):.0%} of the target's steps drafted: "
        f"{counts.tokens_per_target_step:.4g} tokens per target step, which decides time, against "
        f"{1.0 + (counts.accepted or 0) / float(np.median(rounds)):.4g} per drafting round"
    ]


def _disagreements(counts: EngineCounts, found: KnownAcceptance) -> list[str]:
    """What the statistics say of themselves that does not fit together."""
    notes = []
    rounds, drafted, gamma = counts.rounds, counts.drafted, found.gamma
    if rounds and drafted and gamma and abs(drafted / rounds / gamma - 1.0) > 0.01:
        notes.append(
            f"rounds drafted {drafted / rounds:.2f} tokens on average, not {gamma}: costs that are "
            "counted for gamma are too high for the shorter ones"
        )
    length = counts.acceptance_length
    if length is not None and gamma and gamma <= found.positions:
        tokens = found.tokens(gamma)[0]
        if abs(tokens / length - 1.0) > 0.01:
            notes.append(
                f"survival by position gives {tokens:.3f} tokens per round, the stated acceptance "
                f"length is {length:.3f}: they count different rounds"
            )
    return notes


def _by_position(counts: EngineCounts, gamma: int | None) -> tuple[Floats | None, Floats | None]:
    """Survival at positions 1..gamma, and how often each was tried where the statistics show it.

    Positions that a source leaves out at the end are 0.
    """
    if not counts.survival:
        return None, None
    share = np.asarray(counts.survival, dtype=np.float64)
    if gamma is not None and share.size > gamma:
        raise ValueError(f"gamma must be at least the {share.size} positions given, got {gamma}")
    share = share if gamma is None else _filled(share, gamma)
    if counts.tried is not None:
        return share, _filled(counts.tried, share.size)
    rounds, drafted = counts.rounds, counts.drafted
    if not rounds:
        return share, None
    if counts.gamma is not None and drafted is not None:
        full = counts.gamma * rounds
        if not (1.0 - _SHORT) * full <= drafted <= full:
            return share, None  # of several lengths: a position was not tried in each round
    return share, np.concatenate([[float(rounds)], _passed(counts, share)[:-1]])


def _passed(counts: EngineCounts, survival: Floats) -> Floats:
    """Rounds that accepted each position."""
    if counts.per_position_accepted is None:
        return survival * float(counts.rounds or 0)
    return _filled(counts.per_position_accepted, survival.size)


def _filled(values: Any, size: int) -> Floats:
    held = np.asarray(values, dtype=np.float64)[:size]
    return np.concatenate([held, np.zeros(size - held.size)])


def _from_length(
    counts: EngineCounts,
    gamma: int,
    rounds: Floats | None,
    rng: np.random.Generator,
    *,
    positions: int,
    draws: int,
) -> KnownAcceptance:
    """A mean over rounds: its error is that of independent rounds with the same mean.

    Where the rounds are a range, each draw has its own number of them and the mean that follows.
    """
    g = check_gamma(gamma)
    length = counts.acceptance_length
    if length is not None and not 1.0 <= length <= g + 1.0:
        raise ValueError(f"acceptance_length must be in [1, gamma + 1 = {g + 1}], got {length:g}")
    if rounds is None:
        assert length is not None
        return from_length(length, g, rng, positions=positions, draws=draws)
    if length is not None:
        means = np.full(draws, length)
    else:
        means = np.clip(1.0 + (counts.accepted or 0) / rounds, 1.0, g + 1.0)
        length = float(np.median(means))
    survival = DepthAcceptance(float(alpha_from_length(length, g))).survival(g)
    squares = float(((2.0 * np.arange(g + 1.0) + 1.0) * survival).sum())
    error = np.sqrt(max(squares - length * length, 0.0) / rounds)
    lengths = np.clip(means + error * rng.standard_normal(draws), 1.0, g + 1.0)
    half = 0.5 * float(means.max() - means.min())
    number_ = Stated(length, half, float(np.median(error)))
    found = from_lengths(number_, lengths, g, rng, positions)
    if half > 0.0:
        low, high = int(rounds.min()), int(rounds.max())
        said = (
            f"the statistics bound the rounds, {low} to {high}: the acceptance length is in "
            f"[{means.min():.3f}, {means.max():.3f}], and the intervals hold that",
        )
        found = replace(found, notes=(*found.notes, *said))
    return found


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


def counts_of_json(value: Mapping[str, Any]) -> EngineCounts:
    """The statistics behind the object that `howspec import --json` printed.

    Keys that are missing or null are not known. Raises ValueError for values of another kind.
    """
    made: dict[str, Any] = {n: count(value.get(n), n) for n in _WHOLES}
    made |= {n: number(value.get(n), n) for n in _NUMBERS}
    for n in _LISTS:
        listed = whole_list(value.get(n), n)
        made[n] = None if listed is None else tuple(listed)
    shares = value.get("survival")
    if shares is not None and not isinstance(shares, list | tuple):
        raise ValueError(f"survival must be a list of numbers, got {type(shares).__name__}")
    survival = [number(s, "survival") for s in shares or ()]
    notes = value.get("notes")
    if made["acceptance_length"] is None:
        made["acceptance_length"] = ratio(made["accepted"], made["rounds"], 1.0)
    return EngineCounts(
        engine=str(value.get("engine") or "an engine"),
        format=str(value.get("format") or "howspec import"),
        definition=str(value.get("definition") or ""),
        survival=tuple(s for s in survival if s is not None) or None,
        accepted_is_prefix=value.get("accepted_is_prefix") is not False,
        notes=tuple(str(n) for n in notes) if isinstance(notes, list | tuple) else (),
        **made,
    )


def read_statistics(source: str | Path, *, gamma: int | None = None) -> EngineCounts:
    """Statistics of a source: the JSON of `howspec import --json`, or an engine's own output.

    source: a path, "-" or an http(s) URL; gamma: the most that a round drafts, where it is silent.
    Raises ValueError for text that is neither, OSError for a file that cannot be read.
    """
    text = str(source)
    local = text != "-" and not text.startswith(("http://", "https://"))
    found = json_object(Path(source)) if local else None
    if found is not None and {"acceptance_length", "rounds", "gamma"} <= found.keys():
        return counts_of_json(found)
    from .load import import_counts  # the importers are many and only needed here

    return import_counts(text, gamma=gamma)
