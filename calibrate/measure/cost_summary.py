"""A cost record in ratios: c of every draft, V(n) / V(1) of every model, rounds in plain steps."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

import numpy as np

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
        row = {k: point[k] for k in ("model", "tokens", "batch", "context", "mode")}
        if "times_s" not in point:
            rows.append(row | {"error": point.get("error", "no times")})
            continue
        low, median, high = (float(q) for q in np.quantile(point["times_s"], (0.25, 0.5, 0.75)))
        row |= {"median_s": median, "low_s": low, "high_s": high}
        beside = medians.get((target, point["tokens"], *_place(point)))
        single = medians.get((point["model"], 1, *_place(point)))
        row["cost_ratio"] = median / beside if beside else None
        row["verify_ratio"] = median / single if single else None
        rows.append(row)
    return rows


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
    for point in found:
        if point["operation"] == "step":
            continue
        row = {"draft": point["model"], "target": point["target"], "gamma": point["tokens"]}
        row |= {k: point[k] for k in ("batch", "context", "mode")}
        if "times_s" not in point:
            rows.append(row | {"error": point.get("error", "no times")})
            continue
        low, median, high = (float(q) for q in np.quantile(point["times_s"], (0.25, 0.5, 0.75)))
        step = steps.get((point["model"], *_place(point)))
        row |= {"median_s": median, "low_s": low, "high_s": high}
        rows.append(row | {"plain_steps": median / step if step else None})
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
