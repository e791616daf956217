"""Acceptance from imported statistics, as far as they go, and from records of measured rounds.

Rounds of one request are alike, so resampling requests gives wider, honest intervals where counts
added up over requests cannot.
"""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np

from ...theory import DepthAcceptance
from ...theory.acceptance import PositionalAcceptance, alpha_from_length
from ...theory.domain import Floats
from ..evidence import (
    check_gamma,
    from_counts,
    from_length,
    from_lengths,
    from_requests,
    from_survival,
)
from ..known import LARGEST_GAMMA, KnownAcceptance, around
from ..records import Record
from ..stated import Stated
from .counts import EngineCounts

# Rounds at the end of requests draft less; up to this share of drafted tokens it is neglected.
_SHORT = 0.02


def from_statistics(
    counts: EngineCounts,
    rng: np.random.Generator,
    *,
    gamma: int | None = None,
    positions: int = 32,
    draws: int = 2000,
) -> KnownAcceptance:
    """Acceptance from imported statistics.

    gamma: where the statistics leave it open; rounds that are known as a range are drawn from it.
    Raises ValueError where they determine nothing, or where gamma contradicts them.
    """
    given = f"statistics of {counts.engine}"
    if counts.gamma is not None and gamma is not None and counts.gamma != gamma:
        raise ValueError(f"gamma must agree with the statistics, {counts.gamma}, got {gamma}")
    known = counts.gamma or gamma
    if not known and counts.rounds and counts.drafted and not counts.drafted % counts.rounds:
        known = counts.drafted // counts.rounds
    options: dict[str, int] = {"positions": positions, "draws": draws}
    survival, tried = _by_position(counts, known)
    rounds = _rounds(counts, known, rng, draws)
    if survival is not None and tried is not None:
        passed = _passed(counts, survival)
        found = from_counts(tried, np.minimum(passed, tried), rng, given=given, **options)
    elif survival is not None:
        found = from_survival(survival, rng, given=given, **options)
    elif known is not None and (counts.acceptance_length is not None or rounds is not None):
        found = _from_length(counts, known, rounds, rng, **options)
    else:
        raise ValueError(
            f"{given} do not determine the acceptance: they need survival by position, or an "
            "acceptance length, rounds, or drafted tokens with gamma; give --gamma"
        )
    coverage, said = _coverage(counts, rounds)
    notes = (*found.notes, *said, *_disagreements(counts, found), *counts.notes)
    assert isinstance(found.law, PositionalAcceptance)
    assert found.middle is not None
    return around(
        found.middle, found.law, "imported", given, known or found.gamma, notes, coverage=coverage,
        counts=counts,
    )  # fmt: skip


def _rounds(
    counts: EngineCounts, gamma: int | None, rng: np.random.Generator, draws: int
) -> Floats | None:
    """Draws of the rounds, shape (draws,): each number that the counts allow is as likely."""
    if gamma is None and counts.rounds is None:
        return None
    bounds = counts.bounds(gamma)
    if bounds is None or not bounds[1]:
        return None
    low, high = bounds
    if low == high:
        return np.full(draws, float(low))
    return rng.integers(low, high, size=draws, endpoint=True).astype(np.float64)


def _coverage(counts: EngineCounts, rounds: Floats | None) -> tuple[Floats | None, list[str]]:
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


def from_record(
    record: Record,
    rng: np.random.Generator,
    *,
    draft: str | None = None,
    temperature: float | None = None,
    domain: str | None = None,
    positions: int = 32,
    draws: int = 2000,
) -> KnownAcceptance:
    """Acceptance from the rounds of a record of kind "acceptance", by resampling its requests.

    draft: its name, needed where the record holds several; temperature: that of the rounds, or the
    nearest that the record has, which a note says; domain: one of the record's, any other counts as
    none. Without them requests of all temperatures and domains of that draft count alike, and a
    note says so. Raises ValueError without rounds.
    """
    if record.kind != "acceptance":
        raise ValueError(f"the record must be of kind acceptance, got {record.kind}")
    rounds = [p for p in record.points if p.get("type") == "rounds" and p.get("accepted")]
    names = sorted({p["draft"] for p in rounds})
    if draft is None and len(names) == 1:
        draft = names[0]
    if draft not in names:
        known = ", ".join(names) if names else "none with rounds"
        raise ValueError(f"draft must be one of those of the record ({known}), got {draft!r}")
    chosen, notes = _chosen([p for p in rounds if p["draft"] == draft], temperature, domain)
    tried, kept = _by_request(chosen)
    total = from_requests(
        tried, kept, rng, positions=positions, draws=draws,
        given=f"{len(chosen)} recorded requests with {draft}",
    )  # fmt: skip
    for key, plural in (("domain", "domains"), ("temperature", "temperatures")):
        values = sorted({str(p[key]) for p in chosen})
        if len(values) > 1:
            notes.append(f"requests of several {plural} count alike: {', '.join(values)}")
    if len(chosen) == 1:
        notes.append("a single request: its interval says nothing about others")
    return replace(total, notes=tuple(notes))


def _chosen(
    points: list[dict[str, Any]], temperature: float | None, domain: str | None
) -> tuple[list[dict[str, Any]], list[str]]:
    """The points of a temperature and a domain where they are known, and what to say of it."""
    notes = []
    if temperature is not None:
        known = sorted({float(p["temperature"]) for p in points})
        nearest = min(known, key=lambda t: abs(t - temperature))
        points = [p for p in points if float(p["temperature"]) == nearest]
        if nearest != temperature:
            notes.append(f"no rounds at temperature {temperature:g}: those at {nearest:g} taken")
    same = [p for p in points if domain is not None and p["domain"] == domain.casefold()]
    return same or points, notes


def _by_request(points: list[dict[str, Any]]) -> tuple[Floats, Floats]:
    """(tried, accepted) by position for each request, (requests, positions) each."""
    pairs = []
    for point in points:
        accepted = np.asarray(point["accepted"], dtype=np.int64)
        drafted = np.asarray(point.get("drafted"), dtype=np.float64)
        if drafted.shape not in ((), accepted.shape) or not np.isfinite(drafted).all():
            raise ValueError("drafted must be one number, or one a round, beside accepted")
        drafted = np.broadcast_to(drafted, accepted.shape).astype(np.int64)
        if (accepted > drafted).any():
            raise ValueError("accepted must be in [0, drafted] in every round of the record")
        pairs.append((accepted, drafted))
    most = check_gamma(min(max(int(d.max()) for _, d in pairs), LARGEST_GAMMA))
    at = np.arange(1, most + 1)
    tried, kept = np.zeros((len(pairs), most)), np.zeros((len(pairs), most))
    for i, (accepted, drafted) in enumerate(pairs):
        decided = accepted + (accepted < drafted)
        tried[i] = (decided[:, None] >= at).sum(axis=0)
        kept[i] = (accepted[:, None] >= at).sum(axis=0)
    return tried, kept
