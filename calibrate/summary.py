"""A record in a few rows: medians and counts by what was varied. For reading, not for fitting."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass, fields
from statistics import fmean, median
from typing import Any

from .records.points import Point
from .records.record import Record

Row = dict[str, Any]


@dataclass(frozen=True)
class Summary:
    """columns: names with units, in order; rows: one dict a group, None where nothing is known."""

    columns: tuple[str, ...]
    rows: tuple[Row, ...]


def summarise(record: Record) -> Summary:
    """The record's points in groups; those of a sweep, measured in random order, sorted.

    costs: by operation, model, mode, batch and context, the median time of each number of tokens
    (in the dict ``median_s_by_tokens``) and the median range of the times of a point, in medians
    (spread); acceptance: by type, draft, domain and temperature; sweep:
    by draft, method, gamma and batch; serving: by configuration and batch.
    """
    if record.kind == "serving":
        return _serving(record)
    make = {"costs": _costs, "acceptance": _acceptance, "sweep": _sweep}[record.kind]
    return make(record.points)


def _serving(record: Record) -> Summary:
    from .serving.compare import Level, levels_of

    names = [f.name for f in fields(Level) if f.name != "survival"]
    rows = [{n: getattr(level, n) for n in names} for level in levels_of(record)]
    return Summary(tuple(names), tuple(rows))


def _groups(points: Iterable[Point], names: tuple[str, ...]) -> list[tuple[Row, list[Point]]]:
    found: dict[tuple[Any, ...], list[Point]] = {}
    for point in points:
        found.setdefault(tuple(point.get(n) for n in names), []).append(point)
    return [(dict(zip(names, key, strict=True)), group) for key, group in found.items()]


def _failed(group: list[Point]) -> int:
    return sum("error" in point for point in group)


def _costs(points: tuple[Point, ...]) -> Summary:
    names = ("operation", "model", "mode", "batch", "context")
    rows = []
    for row, group in _groups(points, names):
        times = {p.get("tokens"): median(p["times_s"]) for p in group if p.get("times_s")}
        spread = [
            (max(p["times_s"]) - min(p["times_s"])) / median(p["times_s"])
            for p in group
            if p.get("times_s") and median(p["times_s"]) > 0
        ]
        rows.append(
            {
                **row,
                "points": len(group),
                "failed": _failed(group),
                "repeats": median(len(p["times_s"]) for p in group if p.get("times_s"))
                if times
                else None,
                "spread": median(spread) if spread else None,
                "median_s_by_tokens": times,
            }
        )
    more = ("points", "failed", "repeats", "spread", "median_s_by_tokens")
    return Summary((*names, *more), tuple(rows))


def _acceptance(points: tuple[Point, ...]) -> Summary:
    names = ("type", "draft", "domain", "temperature")
    rows = []
    for row, group in _groups(points, names):
        accepted = [a for p in group for a in p.get("accepted") or ()]
        overlap = [v for p in group for v in p.get("overlap") or ()]
        rows.append(
            {
                **row,
                "requests": len(group),
                "failed": _failed(group),
                "rounds": len(accepted) if accepted else None,
                "tokens_per_round": 1.0 + fmean(accepted) if accepted else None,
                "positions": len(overlap) if overlap else None,
                "mean_overlap": fmean(overlap) if overlap else None,
            }
        )
    more = ("requests", "failed", "rounds", "tokens_per_round", "positions", "mean_overlap")
    return Summary((*names, *more), tuple(rows))


def _sweep(points: tuple[Point, ...]) -> Summary:
    names = ("draft", "method", "gamma", "batch")
    rows = []
    for row, group in _groups(points, names):
        sound = [p for p in group if "error" not in p]
        tokens, rounds = _total(sound, "tokens"), _total(sound, "rounds")
        rows.append(
            {
                **row,
                "points": len(group),
                "failed": _failed(group),
                "median_total_s": _median(sound, lambda p: p.get("total_s")),
                "median_decode_s_per_token": _median(sound, _decode_s_per_token),
                "tokens": tokens,
                "tokens_per_round": tokens / rounds if tokens and rounds else None,
            }
        )
    more = ("points", "failed", "median_total_s", "median_decode_s_per_token", "tokens")
    rows.sort(key=lambda r: (r["draft"] or "", r["method"], r["batch"], r["gamma"]))
    return Summary((*names, *more, "tokens_per_round"), tuple(rows))


def _median(points: list[Point], value: Callable[[Point], float | None]) -> float | None:
    known = [v for v in map(value, points) if v is not None]
    return median(known) if known else None


def _decode_s_per_token(point: Point) -> float | None:
    """Time of a token of one sequence: rows of a batch decode side by side."""
    time_s, tokens = point.get("decode_s"), _count(point, "tokens")
    if time_s is None or not tokens:
        return None
    return float(time_s * point["batch"] / tokens)


def _count(point: Point, name: str) -> int:
    value = point.get(name) or 0
    return sum(value) if isinstance(value, list) else int(value)


def _total(points: list[Point], name: str) -> int:
    return sum(_count(point, name) for point in points)
