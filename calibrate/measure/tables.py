"""Records as tables: what each verb that measures a pair prints of it.

Costs in ratios: c of every draft, V(n) / V(1) of every model, rounds in plain steps. Acceptance:
rounds, rates by position and overlap of every draft and temperature. Sweeps: speed-up of every
setting over plain decoding of the same blocks.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np

from ...theory.acceptance.counts import round_counts
from ..records import Record
from .walk import Comparison, compare_record

WIDE = 0.5  # of a median, between the quartiles: twice what a shared machine usually shows


def cost_rows(points: Iterable[Mapping[str, Any]], *, target: str) -> list[dict[str, Any]]:
    """One row for each pass of the points, in their order.

    Rows hold median_s and the quartiles low_s and high_s; cost_ratio, the median over that of the
    target at the same tokens, batch, context and mode; verify_ratio, the median over that of the
    model's own pass of one token. A ratio whose divisor was not measured is null, and a point that
    could not be measured has its error instead.
    """
    passes = [p for p in points if p["operation"] == "pass"]
    medians = {
        (p["model"], p["tokens"], *_place(p)): float(np.median(p["times_s"]))
        for p in passes
        if "times_s" in p
    }
    rows = []
    for point in passes:
        row = {"model": point["model"], "tokens": point["tokens"]} | _timed(point)
        if "error" not in row:
            beside = medians.get((target, point["tokens"], *_place(point)))
            single = medians.get((point["model"], 1, *_place(point)))
            row["cost_ratio"] = row["median_s"] / beside if beside else None
            row["verify_ratio"] = row["median_s"] / single if single else None
        rows.append(row)
    return rows


def _timed(point: Mapping[str, Any]) -> dict[str, Any]:
    """Of a point where it was timed, and the quartiles of its times or why it has none."""
    row = {k: point[k] for k in ("batch", "context", "mode")}
    if "times_s" not in point:
        return row | {"error": point.get("error", "no times")}
    low, median, high = (float(q) for q in np.quantile(point["times_s"], (0.25, 0.5, 0.75)))
    return row | {"median_s": median, "low_s": low, "high_s": high}


def round_rows(points: Iterable[Mapping[str, Any]]) -> list[dict[str, Any]]:
    """One row for each timed round of the points, in their order.

    Rows hold draft, target, gamma, batch, context, mode, median_s and the quartiles low_s and
    high_s, and plain_steps, the median over that of the plain steps timed among the rounds; null
    where those are missing. A round that could not be measured has its error instead.
    """
    found = [p for p in points if p["operation"] in ("round", "step")]
    steps = {
        (p["model"], *_place(p)): float(np.median(p["times_s"]))
        for p in found
        if p["operation"] == "step" and "times_s" in p
    }
    rows = []
    for point in (p for p in found if p["operation"] == "round"):
        row = {"draft": point["model"], "target": point["target"], "gamma": point["tokens"]}
        row |= _timed(point)
        if "error" not in row:
            step = steps.get((point["model"], *_place(point)))
            row["plain_steps"] = row["median_s"] / step if step else None
        rows.append(row)
    return rows


def cost_notes(rows: Iterable[Mapping[str, Any]]) -> list[str]:
    """Lines on times that say more of the machine than of the model; none for a quiet one.

    rows: of passes and of rounds.
    """
    timed = [r for r in rows if "median_s" in r and r["median_s"] > 0.0]
    wide = [r for r in timed if r["high_s"] - r["low_s"] > WIDE * r["median_s"]]
    passes = [r for r in timed if r.get("verify_ratio") is not None]
    slow = [r for r in passes if r["verify_ratio"] > max(2.0, 1.5 * r["tokens"])]
    notes = []
    if wide:
        worst = max((r["high_s"] - r["low_s"]) / r["median_s"] for r in wide)
        notes.append(
            f"{len(wide)} of {len(timed)} times scatter by more than {WIDE:.0%} of their median "
            f"between the quartiles, the worst by {worst:.0%}: other work was running; measure "
            "again on a quiet machine, or with more --repeats"
        )
    if slow:
        worst_row = max(slow, key=lambda r: r["verify_ratio"] / r["tokens"])
        notes.append(
            f"{len(slow)} of {len(passes)} passes took over 1.5 times what as many passes of one "
            f"token take, the worst {worst_row['verify_ratio']:.1f} times for "
            f"{worst_row['tokens']} tokens: the times are not steady, measure again"
        )
    return notes


def _place(point: Mapping[str, Any]) -> tuple[Any, ...]:
    return point["batch"], point["context"], point["mode"]


FEWEST_SHOWN = 30  # trials below which the rate of a position is not shown


@dataclass(frozen=True)
class AcceptanceRow:
    """One draft at one temperature. requests, rounds, tokens_per_round: of real rounds, None
    without any; alpha_by_position: None where fewer than 30 tokens were tried; mean_overlap: along
    the target's own text; rounds_against_overlap: None below two requests; errors: once each."""

    draft: str
    temperature: float
    errors: tuple[str, ...]
    requests: int | None
    rounds: int | None
    tokens_per_round: float | None
    alpha_by_position: tuple[float | None, ...]
    mean_overlap: float | None
    rounds_against_overlap: Comparison | None


def acceptance_table(record: Record) -> list[AcceptanceRow]:
    """The rows of a record, in the order in which they were measured."""
    compared = compare_record(record)
    pairs = dict.fromkeys((p["draft"], p["temperature"]) for p in record.points if p.get("draft"))
    found = []
    for draft, temperature in pairs:
        own = [
            p for p in record.points if (p.get("draft"), p["temperature"]) == (draft, temperature)
        ]
        real = [p for p in own if p["type"] == "rounds" and "error" not in p]
        along = [x for p in own if p["type"] == "overlap" for x in p.get("overlap", [])]
        counts = None
        if any(p["accepted"] for p in real):
            counts = round_counts(
                [a for p in real for a in p["accepted"]], real[0]["drafted"],
                request=[f"{p['domain']} {p['request']}" for p in real for _ in p["accepted"]],
            )  # fmt: skip
        positions = [] if counts is None else zip(*counts.by_position(), strict=True)
        found.append(
            AcceptanceRow(
                draft, temperature, tuple(sorted({p["error"] for p in own if "error" in p})),
                None if counts is None else counts.requests,
                None if counts is None else counts.rounds,
                None if counts is None else 1.0 + float(counts.accepted.mean()),
                tuple(float(k / t) if t >= FEWEST_SHOWN else None for t, k in positions),
                float(np.mean(along)) if along else None,
                compared.get((draft, temperature, None)),
            )
        )  # fmt: skip
    return found


_Setting = tuple[str | None, str, int, int]


@dataclass(frozen=True)
class SweepRow:
    """One setting. blocks: those that it ran in; latency_s: mean of a batch of requests;
    speedup: mean plain latency over its mean latency in the same blocks; spread: its standard
    error, with blocks as the unit of chance, NaN for one block; tokens_per_round: None where none
    are counted."""

    draft: str | None
    method: str
    gamma: int
    batch: int
    blocks: int
    latency_s: float
    speedup: float
    spread: float
    tokens_per_round: float | None


def sweep_table(record: Record) -> list[SweepRow]:
    """The settings of a sweep, plain decoding first. Points with an error are left out."""
    times: dict[_Setting, dict[int, list[float]]] = defaultdict(lambda: defaultdict(list))
    counts: dict[_Setting, list[tuple[int, int]]] = defaultdict(list)
    for point in record.points:
        if "error" in point:
            continue
        setting = (point.get("draft"), point["method"], point["gamma"], point["batch"])
        times[setting][point["prompt"]].append(point["total_s"])
        if point.get("rounds"):
            rounds = point["rounds"]
            total = sum(rounds) if isinstance(rounds, list) else rounds
            counts[setting].append((total, sum(point["accepted"])))
    found = [_row(s, of, times, counts.get(s)) for s, of in times.items()]
    return sorted(
        (r for r in found if r is not None),
        key=lambda r: (r.batch, r.draft is not None, r.draft or "", r.method, r.gamma),
    )


def _row(
    setting: _Setting,
    blocks: dict[int, list[float]],
    times: dict[_Setting, dict[int, list[float]]],
    counts: list[tuple[int, int]] | None,
) -> SweepRow | None:
    draft, method, gamma, batch = setting
    plain = times.get((None, "plain", 0, batch), {})
    both = [b for b in blocks if b in plain]
    if not both:
        return None
    own = np.array([np.mean(blocks[b]) for b in both])
    base = np.array([np.mean(plain[b]) for b in both])
    speedup = float(base.sum() / own.sum())
    spread = float("nan")
    if len(both) > 1:
        share = (base - speedup * own) / own.mean()
        spread = float(np.std(share, ddof=1) / np.sqrt(len(both)))
    tokens = None
    if counts:
        rounds, accepted = np.sum(counts, axis=0)
        tokens = float(1.0 + accepted / rounds)
    return SweepRow(
        draft, method, gamma, batch, len(both), float(own.mean()), speedup, spread, tokens
    )
