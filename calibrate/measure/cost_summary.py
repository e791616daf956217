"""A cost record in ratios: c of every draft, V(n) / V(1) of every model, rounds in plain steps."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

import numpy as np


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


def _place(point: Mapping[str, Any]) -> tuple[Any, ...]:
    return point["batch"], point["context"], point["mode"]
