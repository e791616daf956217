"""What several rows of statistics, or rounds one by one, say together."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from itertools import pairwise
from typing import Any

from .completed import counts_as
from .counts import Check, EngineCounts, Format, Group, checks, ratio
from .numbers import MOST_POSITIONS, Request, counts_behind
from .rows import COUNTS, Row

_SURE = 10  # rounds of one row from which on a whole number of drafted tokens is no chance


def counted(rows: list[Row], kind: Format, notes: list[str]) -> EngineCounts:
    """The statistics of summaries of one kind."""
    for k, row in enumerate(rows):
        row.label = row.label or f"run {k + 1}"
    in_fractions(rows)
    known: dict[str, Any] = {}
    if kind.name == "llama-speculative":
        known["requests"] = len(rows)
        stated = all("rounds" in r.counts for r in rows)
        notes.append(
            "rounds = n_predict - n_accept: every round, also one that drafted nothing, gives one "
            "token of its own" if stated else "n_predict is missing, so rounds are not determined"
        )  # fmt: skip
    elif all({"accepted", "drafted"} <= r.counts.keys() and "rounds" not in r.counts for r in rows):
        known["requests"] = len(rows) if len(rows) > 1 else rows[0].requests
        notes.append(
            "rounds are not counted: tokens - accepted bounds them, --gamma, the longest draft, "
            "more"
        )
    elif not any(r.length or r.shares or "accepted" in r.counts for r in rows):
        notes.append("a rate alone determines neither rounds nor acceptance length")
    lengths = {r.length.value for r in rows if r.length is not None}
    if len(rows) > 1 and len(lengths) == 1 and all(r.length for r in rows):
        known["acceptance_length"] = lengths.pop()
    return counts_of_rows(rows, kind.name, notes, **known)


def in_fractions(rows: Sequence[Row]) -> None:
    """Turn rates and shares that are per cent without a sign into fractions, in place."""
    if any(r.rate is not None and r.rate.value > 1.0 for r in rows):
        for r in rows:
            r.rate = None if r.rate is None else r.rate.scaled(0.01)
    if any(s.value > 1.0 for r in rows for s in r.shares):
        for r in rows:
            r.shares = [s.scaled(0.01) for s in r.shares]


def counts_of_rows(
    rows: Sequence[Row], form: str, notes: list[str], *, places: int = 0, **known: Any
) -> EngineCounts:
    """The statistics of rows that drafted; places: positions that have a column of their own."""
    in_fractions(rows)
    totals: dict[str, Any] = {}
    for role in COUNTS:
        if all(role in r.counts for r in rows):
            totals[role] = sum(r.counts[role] for r in rows)
    gamma = _gamma(rows, places, totals, notes)
    groups = tuple(_group(r, gamma) for r in rows)
    if len(rows) > 1:
        notes.append(f"{len(rows)} rows are added up: see groups for each")
    one = rows[0] if len(rows) == 1 else None
    if one is None and "rounds" not in totals and any(r.length or r.rate for r in rows):
        notes.append("rows state means without counts to weight them: see groups for each")
    if one is not None and one.length is None and "rounds" not in totals:
        notes.append("neither rounds nor an acceptance length is stated")
    if one is not None and one.requests:
        known.setdefault("requests", one.requests)
    return counts_as(
        form,
        gamma=gamma,
        groups=groups if len(groups) > 1 or (one is not None and one.speedup) else (),
        stated_length=one.length if one else None,
        stated_rate=one.rate if one else None,
        consistency=_checks(rows) if one is None else (),
        per_request=_requests(rows, totals),
        notes=notes,
        **_shares(rows, totals),
        **totals,
        **known,
    )


def _group(row: Row, gamma: int | None) -> Group:
    rounds, drafted, accepted = (row.counts.get(n) for n in ("rounds", "drafted", "accepted"))
    survival: tuple[float, ...] | None = tuple(s.value for s in row.shares) or None
    mean, rate = ratio(accepted, rounds), ratio(accepted, drafted)
    if mean is not None and survival and abs(sum(survival) - mean) > 0.02 * mean + 0.01:
        survival = None
    if rate is None and row.rate is not None:
        rate = row.rate.value
    return Group.of(
        row.label,
        rounds,
        drafted,
        accepted,
        gamma=row.gamma or gamma,
        tokens=row.counts.get("tokens"),
        acceptance_length=row.length.value if row.length is not None else None,
        survival=survival,
        drafted_rate=rate,
        speedup=row.speedup,
        tokens_per_s=row.speed,
        plain_tokens_per_s=row.plain,
    )


def _requests(rows: Sequence[Row], totals: dict[str, Any]) -> tuple[Request, ...]:
    if "rounds" in totals or not {"drafted", "accepted"} <= totals.keys():
        return ()
    return tuple(
        Request(r.counts["drafted"], r.counts["accepted"], r.counts.get("tokens")) for r in rows
    )


def _gamma(
    rows: Sequence[Row], places: int, totals: dict[str, Any], notes: list[str]
) -> int | None:
    stated = {r.gamma for r in rows if r.gamma}
    listed = {len(r.shares) for r in rows if r.shares}
    if places:
        notes.append(f"gamma is the {places} positions that have a column")
        return places
    if len(stated) == 1:
        return stated.pop()
    if len(listed) == 1 and not stated:
        gamma = listed.pop()
        notes.append(f"gamma is the {gamma} positions that are listed")
        return gamma
    each = {r.counts["drafted"] / r.counts["rounds"] for r in rows
            if r.counts.get("rounds") and "drafted" in r.counts}  # fmt: skip
    sure = len(rows) > 1 or totals.get("rounds", 0) >= _SURE
    if sure and "rounds" in totals and len(each) == 1 and (only := each.pop()).is_integer():
        notes.append(f"gamma {int(only)} is drafted / rounds")
        return int(only)
    notes.append("how many tokens a round drafts is not stated: gamma null")
    return None


def _shares(rows: Sequence[Row], totals: dict[str, Any]) -> dict[str, Any]:
    """Survival of all rows, weighted with their rounds; counts where the shares give them."""
    depth = {len(r.shares) for r in rows}
    if len(depth) != 1 or depth == {0} or (len(rows) > 1 and "rounds" not in totals):
        return {}
    exact: list[int] | None = [0] * depth.pop()
    assert exact is not None
    if len(exact) > MOST_POSITIONS:
        raise ValueError(f"positions must be at most {MOST_POSITIONS}, got {len(exact)}")
    weighted, weight, half = [0.0] * len(exact), 0.0, 0.0
    for r in rows:
        n = r.counts.get("rounds", 0)
        counts = counts_behind(r.shares, n) if n else None
        if exact is not None and counts is not None and sum(counts) == r.counts.get("accepted"):
            exact = [a + b for a, b in zip(exact, counts, strict=True)]
        else:
            exact = None
        weight += n or 1
        for k, share in enumerate(r.shares):
            weighted[k] += (n or 1) * share.value
            half = max(half, share.half_width)
    if exact is not None:
        return {"per_position_accepted": exact}
    found = [min(w / weight, 1.0) for w in weighted]
    if not all(b <= a + 2.0 * half + 1e-9 for a, b in pairwise(found)):
        return {}
    survival = [min(found[: k + 1]) for k in range(len(found))]
    return {"survival": survival, "survival_half_width": half}


def _checks(rows: Sequence[Row]) -> tuple[Check, ...]:
    """Stated lengths and rates of the rows against their counts; those that differ, or two."""
    found = list[Check]()
    for r in rows:
        rounds, accepted, drafted = (r.counts.get(n) for n in ("rounds", "accepted", "drafted"))
        found += checks(
            (f"acceptance length of {r.label}", r.length, ratio(accepted, rounds, 1.0)),
            (f"drafted rate of {r.label}", r.rate, ratio(accepted, drafted)),
        )
    wrong = [c for c in found if not c.agrees]
    return tuple(wrong[:20] or found[:2])


def tallied(rounds: Mapping[tuple[int, int], int]) -> tuple[list[int], list[int]]:
    """Of (drafted, accepted) rounds: how many accepted 0, 1, 2.., and tried position 1, 2.. .

    Raises ValueError for rounds of more than 4,096 tokens.
    """
    deepest = max((n for pair in rounds for n in pair), default=0)
    if deepest > MOST_POSITIONS:
        raise ValueError(f"a round must be of at most {MOST_POSITIONS} tokens, got {deepest}")
    histogram = [0] * (max((a for _, a in rounds), default=-1) + 1)
    tried = [0] * max((d for d, _ in rounds), default=0)
    for (size, kept), n in rounds.items():
        histogram[kept] += n
        for k in range(min(kept + 1, size)):
            tried[k] += n
    return histogram, tried


def of_rounds(
    rounds: Mapping[tuple[int, int], int], stated: int | None, notes: list[str]
) -> dict[str, Any]:
    """Counts of (drafted, accepted) rounds, by the names of `counts_as`; stated: the longest.

    gamma is the longest draft as stated, else what every round drafted, which ``notes`` say.
    """
    if any(a > d == 0 for d, a in rounds):
        notes.append("what a round drafted is printed as 0 (before PR #18211): drafted null")
        return {"gamma": stated, "histogram": tallied(rounds)[0]}
    deepest, sizes = max(d for d, _ in rounds), {d for d, _ in rounds}
    histogram, tried = tallied(rounds)
    gamma = stated if stated is not None and stated >= deepest else None
    if gamma is None and len(sizes) == 1 and sum(rounds.values()) > 1 and deepest:
        gamma = deepest
        notes.append(f"gamma is the {gamma} tokens that every round drafted")
    elif gamma is None:
        notes.append(f"rounds draft different numbers of tokens, up to {deepest}: gamma null")
    return {
        "drafted": sum(d * n for (d, _), n in rounds.items()),
        "gamma": gamma,
        "histogram": histogram,
        "per_position_accepted": [sum(histogram[k:]) for k in range(1, deepest + 1)],
        "tried": tuple(tried) or None,
    }
