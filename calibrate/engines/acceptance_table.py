"""Tables of acceptance: a row a task, subset or request, in any layout, under any usual names.

CSV of speculators, Markdown of ik_llama's spec-bench, aligned text of speed-bench and of other
scripts: rounds, drafted, accepted and all tokens, lengths, rates (fractions or per cent), shares by
position, speeds with and without speculation. Rows of totals are left out of the sums.
"""

from __future__ import annotations

import math
import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from itertools import pairwise
from typing import Any

from ..tables import columns
from ..tables.cells import Cells, plain_name, separated
from .bounds import Request
from .completed import engine_counts
from .counts import Check, EngineCounts, Group, compare
from .printed import MOST_POSITIONS, Printed, counts_behind, printed, whole

_ROLES: dict[str, tuple[str, ...]] = {
    "rounds": ("num_drafts", "drafts", "rounds", "num_rounds", "n_rounds", "draft_rounds",
               "num_spec_steps", "verify_steps", "spec_verify_ct"),
    "drafted": ("num_draft_tokens", "draft_tokens", "drafted", "drafted_tokens", "n_drafted",
                "draft_n", "total_draft", "total_draft_tokens", "gen_tokens", "proposed", "draft"),
    "accepted": ("num_accepted_tokens", "accepted_tokens", "accepted", "acc_tokens", "n_accept",
                 "n_accepted", "draft_n_accepted", "total_accepted", "total_draft_accepted",
                 "acc"),
    "tokens": ("total_num_output_tokens", "completion_tokens", "output_tokens", "generated_tokens",
               "generated", "predicted_n", "predicted", "pred", "total_predicted", "n_predict",
               "tokens", "num_tokens", "tok"),
    "length": columns.TOKENS,
    "rate": ("acceptance_rate", "accept_rate", "draft_acceptance_rate", "accepted_rate", "acc_rate",
             "aggregate_accept_rate", "rate", "accept", "accept_percent", "acceptance"),
    "gamma": columns.GAMMA,
}  # fmt: skip
_POSITION = re.compile(
    r"(?:(?:acceptance|accept(?:ed)?|acc|rate)(?:_rate)?(?:_at)?_)?"
    r"(?:pos(?:ition)?|p|token)_?(\d{1,4})(?:_(?:acceptance|accept|rate))*"
)
_LISTED = ("pos_accept", "per_position", "per_position_acceptance", "acceptance_by_position",
           "per_position_acceptance_rate", "positions", "acceptance_rate_per_position",
           "acc_rate_pos")  # fmt: skip
_TOTAL = re.compile(r"(?:total|overall|all|sum|mean|average|avg|aggregate)\b.*", re.IGNORECASE)
_OF = re.compile(r"\s*(\d+)\s*/\s*(\d+)\s*")
_NUMBER = re.compile(r"[~≈]?\s*([+-]?(?:\d[\d,]*\.?\d*|\.\d+)(?:e[+-]?\d+)?)\s*(%|x|×)?\s*", re.I)
_MOST_ROWS = 100_000


def is_acceptance(header: str) -> bool:
    """Whether a line is the header of such a table: what was accepted, and something beside it."""
    line = header.strip()
    if len(line) > 2_000 or re.search(r"[=:{\[]|\.\.", line):
        return False
    mark = next((m for m in ("|", "\t", ";", ",") if m in line), None)
    cells = line.strip("|").split(mark) if mark else re.split(r"\s{2,}", line)
    if any(_NUMBER.fullmatch(c) or len(c.strip()) > 40 for c in cells):
        return False
    names = [n for n in map(plain_name, cells) if n]
    if len(names) < 2 or len(set(names)) != len(names):
        return False
    held = {role for role, known in _ROLES.items() if set(names) & set(known)}
    places = sum(_POSITION.fullmatch(n) is not None for n in names)
    said = held & {"accepted", "rate"} or ("length" in held and len(names) > 2) or places > 1
    return bool(said) and bool(held - {"rate", "length"} or len(names) > 1)


def table_within(text: str) -> str:
    """The table that a text holds, from its header on, "" where it holds none."""
    lines = text.splitlines(keepends=True)
    for k, line in enumerate(lines[:-1]):
        if line.strip() and is_acceptance(line):
            barred = line.lstrip().startswith("|")
            body = lines[k:]
            end = next(
                (i for i, s in enumerate(body) if not s.strip() or (barred and "|" not in s)),
                len(body),
            )
            if end > 1:
                return "".join(body[:end])
    return ""


@dataclass
class _Row:
    """One row, what it states under each role."""

    label: str
    line: int
    counts: dict[str, int] = field(default_factory=dict)
    length: Printed | None = None
    rate: Printed | None = None
    shares: list[Printed] = field(default_factory=list)
    gamma: int | None = None
    speed: float | None = None
    plain: float | None = None
    speedup: float | None = None


def read_acceptance(text: str) -> EngineCounts:
    """The statistics of a table. Raises ValueError naming the line."""
    cells = separated(text, "the table")
    if cells.dropped:
        raise ValueError(f"{cells.dropped[0]}")
    if len(cells.rows) > _MOST_ROWS:
        raise ValueError(f"the table must have at most {_MOST_ROWS} rows, got {len(cells.rows)}")
    names = {role: columns.first_of(cells.names, known) for role, known in _ROLES.items()}
    places = _places(cells.names)
    label = _label_column(cells, names, places)
    rows = [
        _row(row, line, names, places, label, cells)
        for row, line in zip(cells.rows, cells.lines, strict=True)
    ]
    kept = [r for r in rows if not _TOTAL.fullmatch(r.label)] or rows
    drafting = [r for r in kept if _drafts(r)]
    if not drafting:
        raise ValueError("the table has no row in which anything was drafted")
    notes = []
    if len(kept) < len(rows):
        notes.append(f"{len(rows) - len(kept)} rows of totals are left out of the sums")
    if len(drafting) < len(kept):
        notes.append(f"{len(kept) - len(drafting)} rows without drafts are left out")
    return _counts(drafting, cells, len(places), notes)


def _drafts(row: _Row) -> bool:
    if row.gamma == 0 or row.counts.get("drafted") == 0 or row.counts.get("rounds") == 0:
        return row.counts.get("rounds") == 0 and row.counts.get("accepted") is not None
    return bool(row.counts.keys() & {"accepted", "drafted"} or row.length or row.rate or row.shares)


def _places(names: tuple[str, ...]) -> list[str]:
    """The columns of shares by position in order; raises ValueError for gaps."""
    found = {int(m.group(1)): n for n in names if (m := _POSITION.fullmatch(n))}
    if not found:
        return []
    first = min(found)
    if first > 1 or sorted(found) != list(range(first, first + len(found))):
        raise ValueError(
            "line 1: columns of shares by position must be without gaps from 0 or 1 on"
        )
    if len(found) > MOST_POSITIONS:
        raise ValueError(f"positions must be at most {MOST_POSITIONS}, got {len(found)}")
    return [found[k] for k in sorted(found)]


def _label_column(cells: Cells, names: dict[str, str | None], places: list[str]) -> str | None:
    """The first column that is no number and has no role."""
    taken = {*names.values(), *places, *_LISTED}
    for name in cells.names:
        if name not in taken and any(
            row.get(name) and not _NUMBER.fullmatch(row[name]) for row in cells.rows
        ):
            return name
    return next((n for n in cells.names if n in columns.WORK and n not in taken), None)


def _row(
    row: Mapping[str, str],
    line: int,
    names: dict[str, str | None],
    places: list[str],
    label: str | None,
    cells: Cells,
) -> _Row:
    found = _Row(row.get(label or "", "") or f"row {line}", line)

    def text(role: str) -> str:
        return row.get(names[role] or "", "")

    both = _OF.fullmatch(text("accepted"))
    if both is not None:
        found.counts["accepted"] = whole(both[1], "accepted")
        found.counts["drafted"] = whole(both[2], "drafted")
    for role in ("rounds", "drafted", "accepted", "tokens"):
        if role not in found.counts and (cell := text(role)):
            found.counts[role] = _whole(cell, names[role] or role, line)
    if found.counts.get("accepted", 0) > found.counts.get("drafted", math.inf):
        raise ValueError(
            f"line {line}: accepted must be in [0, {found.counts['drafted']}], got "
            f"{found.counts['accepted']}"
        )
    found.length = _printed(text("length"), "acceptance length", line)
    if found.length is not None and not found.length.high >= 1.0:
        raise ValueError(f"line {line}: acceptance length must be >= 1, got {text('length')!r}")
    found.rate = _share(text("rate"), line)
    listed = next((row[n] for n in _LISTED if n in row), "")
    if places:
        found.shares = [s for n in places if (s := _share(row.get(n, "0"), line)) is not None]
    elif listed:
        found.shares = [s for p in re.split(r"[,\s]+", listed.strip("()[] ")) if p not in ("", "-")
                        if (s := _share(p, line)) is not None]  # fmt: skip
    k = text("gamma")
    found.gamma = _whole(k, "gamma", line) if k else None
    _speeds(found, row, cells)
    return found


def _speeds(found: _Row, row: Mapping[str, str], cells: Cells) -> None:
    speedup = next((n for n in cells.names if re.search(r"speed_?up", n)), None)
    if speedup is not None:
        value = columns.speedup_of(row.get(speedup, ""))
        found.speedup = value if math.isfinite(value) and value > 0.0 else None
    rates = [n for n in cells.names if columns.is_rate(n)]
    own = next((n for n in rates if not columns.is_base(n)), None)
    base = next((n for n in rates if columns.is_base(n)), None)
    for name, attribute in ((own, "speed"), (base, "plain")):
        value = columns.value_of(row.get(name or "", ""))
        setattr(found, attribute, value if math.isfinite(value) and value > 0.0 else None)


def _whole(cell: str, what: str, line: int) -> int:
    """A whole number, also as 12.0, as tables write counts."""
    value = columns.value_of(cell)
    if not (0 <= value <= 2.0**63 and value == int(value)):
        raise ValueError(f"line {line}: {what} must be a whole number >= 0, got {cell!r}")
    return int(value)


def _printed(cell: str, what: str, line: int) -> Printed | None:
    if not cell:
        return None
    m = _NUMBER.fullmatch(cell)
    if m is None:
        raise ValueError(f"line {line}: {what} must be a number, got {cell!r}")
    return printed(m[1].replace(",", "")).scaled(0.01 if m[2] == "%" else 1.0)


def _share(cell: str, line: int) -> Printed | None:
    """A share as a fraction, also from per cent with or without its sign."""
    found = _printed(cell, "a rate", line)
    if found is not None and 1.0 < found.value <= 100.0 and "%" not in cell:
        found = found.scaled(0.01)
    if found is not None and not 0.0 <= found.value <= 1.0:
        raise ValueError(
            f"line {line}: a share by position or a rate must be in [0, 1], got {cell!r}"
        )
    return found


def _group(row: _Row, gamma: int | None) -> Group:
    rounds, accepted, drafted = (row.counts.get(n) for n in ("rounds", "accepted", "drafted"))
    length = row.length.value if row.length is not None else None
    survival: tuple[float, ...] | None = tuple(s.value for s in row.shares) or None
    if rounds and accepted is not None:
        length = 1.0 + accepted / rounds
        if survival and abs(sum(survival) - (length - 1.0)) > 0.02 * (length - 1.0) + 0.01:
            survival = None
    rate = None if row.rate is None else row.rate.value
    return Group(
        label=row.label,
        gamma=row.gamma or gamma,
        rounds=rounds,
        drafted=drafted,
        accepted=accepted,
        tokens=row.counts.get("tokens"),
        acceptance_length=length,
        survival=survival,
        drafted_rate=accepted / drafted if drafted and accepted is not None else rate,
        speedup=row.speedup,
        tokens_per_s=row.speed,
        plain_tokens_per_s=row.plain,
    )


def _counts(rows: list[_Row], cells: Cells, places: int, notes: list[str]) -> EngineCounts:
    totals: dict[str, Any] = {}
    for role in ("rounds", "drafted", "accepted", "tokens"):
        if all(role in r.counts for r in rows):
            totals[role] = sum(r.counts[role] for r in rows)
    gamma = _gamma(rows, places, totals, notes)
    groups = tuple(_group(r, gamma) for r in rows)
    if len(rows) > 1:
        notes.append(f"{len(rows)} rows are added up: see groups for each")
    one = rows[0] if len(rows) == 1 else None
    if one is None and "rounds" not in totals and any(r.length or r.rate for r in rows):
        notes.append("rows state means without counts to weight them: see groups for each")
    speculators = {"num_drafts", "num_accepted_tokens"} <= set(cells.names)
    ik = {"a_len", "pos_accept"} & set(cells.names)
    return engine_counts(
        "speculators" if speculators else "ik_llama.cpp" if ik else "table",
        "speculators-acceptance-csv" if speculators else "acceptance-table",
        definition="a table: acceptance length = 1 + accepted / rounds (bonus counted), rate = "
        "accepted / drafted, shares by position over all rounds",
        gamma=gamma,
        groups=groups if len(groups) > 1 or (one is not None and one.speedup) else (),
        stated_length=one.length if one else None,
        stated_rate=one.rate if one else None,
        consistency=_checks(rows) if one is None else (),
        per_request=_requests(rows, totals),
        notes=notes,
        **_shares(rows, totals),
        **totals,
    )


def _requests(rows: list[_Row], totals: dict[str, Any]) -> tuple[Request, ...]:
    if "rounds" in totals or not {"drafted", "accepted"} <= totals.keys():
        return ()
    return tuple(
        Request(r.counts["drafted"], r.counts["accepted"], r.counts.get("tokens")) for r in rows
    )


def _gamma(rows: list[_Row], places: int, totals: dict[str, Any], notes: list[str]) -> int | None:
    stated = {r.gamma for r in rows if r.gamma}
    listed = {len(r.shares) for r in rows if r.shares}
    if places:
        notes.append(f"gamma is the {places} positions that have a column")
        return places
    if len(stated) == 1:
        return stated.pop()
    if len(listed) == 1 and not stated:
        gamma = listed.pop()
        notes.append(f"gamma is the {gamma} positions that the rows list")
        return gamma
    each = {r.counts["drafted"] / r.counts["rounds"] for r in rows
            if r.counts.get("rounds") and "drafted" in r.counts}  # fmt: skip
    if "rounds" in totals and len(each) == 1 and (only := each.pop()) and only.is_integer():
        notes.append(f"gamma {int(only)} is drafted / rounds in every row")
        return int(only)
    notes.append("the table does not state how many tokens a round drafts: gamma null")
    return None


def _shares(rows: list[_Row], totals: dict[str, Any]) -> dict[str, Any]:
    """Survival of all rows, weighted with their rounds; counts where the shares give them."""
    depth = {len(r.shares) for r in rows}
    if len(depth) != 1 or depth == {0} or (len(rows) > 1 and "rounds" not in totals):
        return {}
    exact: list[int] | None = [0] * depth.pop()
    assert exact is not None
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
            half = max(half, 0.5 * (share.high - share.low))
    if exact is not None:
        return {"per_position_accepted": exact}
    found = [min(w / weight, 1.0) for w in weighted]
    falling = all(b <= a + 2.0 * half + 1e-9 for a, b in pairwise(found))
    if not falling:
        return {}
    return {
        "survival": [min(found[: k + 1]) for k in range(len(found))],
        "survival_half_width": half,
    }


def _checks(rows: list[_Row]) -> tuple[Check, ...]:
    """Stated lengths and rates of the rows against their counts; those that differ, or two."""
    found = []
    for r in rows:
        rounds, accepted, drafted = (r.counts.get(n) for n in ("rounds", "accepted", "drafted"))
        if r.length is not None and rounds and accepted is not None:
            check = compare(f"acceptance length of {r.label}", r.length, 1.0 + accepted / rounds)
            found.append(check)
        if r.rate is not None and drafted and accepted is not None:
            found.append(compare(f"drafted rate of {r.label}", r.rate, accepted / drafted))
    wrong = [c for c in found if not c.agrees]
    return tuple(wrong[:20] or found[:2])
