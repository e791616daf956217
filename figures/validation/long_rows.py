"""Files with one number a row, columns ``metric`` and ``value``, as rows of speed-ups.

What was measured of one pair under one load at one gamma is put together: tokens per round,
acceptance, and a speed-up or the speeds from which it follows. A row without draft and method is
plain decoding, and the baseline of what its source measured of the same work.
"""

from __future__ import annotations

import math
from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace

from ...calibrate.library.load import model_name, study_of
from ...calibrate.models.drafters import drafter_kind
from ...calibrate.prior.acceptance_library import metric_name
from ...calibrate.tables import columns
from ...calibrate.tables.cells import Cells, number, plain_name
from .unmeasured import counted_ids

_TOKENS, _RATE = "tau_mean_tokens_per_round", "alpha"
# The ratio before times of decoding, and these before the throughput of a run with its prefill.
_SPEEDS = ("speedup", "time", "rate")
_WORK = ("target", "engine", "hardware", "task", "batch")
_PAIR = ("draft", "method", "gamma", "temperature", "precision")

Row = Mapping[str, str]


@dataclass(frozen=True)
class Number:
    """One number of a file: column of `rows.COLUMNS`, or kind of speed, and its row."""

    kind: str
    value: float
    row: Row


def is_long(cells: Cells) -> bool:
    """Whether a file has one number a row, with what it is beside it."""
    return {"metric", "value"} <= set(cells.names)


def split(cells: Cells) -> tuple[Cells, Cells, tuple[str, ...]]:
    """(rows of acceptance, rows of speed-ups, why rows are neither).

    The rows of speed-ups have the columns of `rows.COLUMNS`; acceptance is in both.
    """
    numbers: list[Number] = []
    acceptance: list[Row] = []
    skipped: dict[str, list[str]] = defaultdict(list)
    for i, row in enumerate(cells.rows):
        kind, value = _number(row)
        if kind:
            numbers.append(Number(kind, value, _named(row)))
        else:
            skipped[row.get("metric") or "a metric"].append(row.get("id") or f"row {i + 1}")
        if kind and kind not in _SPEEDS:
            acceptance.append(row)
    rows = tuple(_together(numbers))
    names = tuple(dict.fromkeys(name for row in rows for name in row))
    told = tuple(
        f"{counted_ids(ids)}: {m} is not known: not predicted" for m, ids in skipped.items()
    )
    speeds = replace(cells, names=names, rows=rows, dropped=(), lines=())
    return replace(cells, rows=tuple(acceptance), lines=()), speeds, told


def _number(row: Row) -> tuple[str, float]:
    """What the number of a row is, and the number; times as the speed that they mean."""
    metric = plain_name(row.get("metric", ""))
    measure = columns.measure_of((metric,))
    if measure is not None:
        value = columns.value_of(row.get("value", ""))
        if measure.kind == "time":
            value = 1.0 / (value * measure.factor) if value > 0.0 else math.nan
        return measure.kind, value
    if metric in columns.TOKENS or metric_name(metric) == "tau_with_bonus":
        return _TOKENS, number(row.get("value", ""))
    if any(word in metric for word in ("accept", "alpha", "overlap", "agreement")):
        return _RATE, number(row.get("value", ""))
    return "", math.nan


def _named(row: Row) -> Row:
    """The conditions of a row: a head by its kind where its name tells no model and no kind."""
    known = {k: v for k, v in row.items() if k not in ("value", "speedup", "cost_ratio_c")}
    draft, method = row.get("draft", ""), row.get("method", "")
    if not (model_name(draft) or drafter_kind(draft)) and drafter_kind(method):
        known["draft"] = method
    if "draft" not in known and not method:
        known |= {"draft": "none", "gamma": "0"}
    return known


def _together(numbers: Iterable[Number]) -> Iterable[Row]:
    """One row for each pair, load and gamma; speeds of one kind, which plain decoding has too."""
    by_work: dict[tuple[str, ...], list[Number]] = defaultdict(list)
    for n in numbers:
        by_work[(study_of(n.row.get("source", "")), *_of(n.row, _WORK))].append(n)
    for some in by_work.values():
        by_pair: dict[tuple[str, ...], list[Number]] = defaultdict(list)
        for n in some:
            by_pair[_of(n.row, _PAIR)].append(n)
        plain = {n.kind for n in some if _is_plain(n.row)}
        speeds = tuple(k for k in _SPEEDS if k == "speedup" or k in plain)
        yield from (_row(mine, speeds) for mine in by_pair.values())


def _of(row: Row, names: Sequence[str]) -> tuple[str, ...]:
    return tuple(row.get(name, "") for name in names)


def _is_plain(row: Row) -> bool:
    return row.get("gamma") == "0" and row.get("draft", "none") == "none"


def _row(numbers: Sequence[Number], speeds: Sequence[str]) -> Row:
    """The means of what was measured of one pair under one load at one gamma."""
    means: dict[str, float] = {}
    for kind in {n.kind for n in numbers}:
        values = [n.value for n in numbers if n.kind == kind and math.isfinite(n.value)]
        if values:
            means[kind] = math.fsum(values) / len(values)
    first = numbers[0].row
    rates = [n.row["metric"] for n in numbers if n.kind == _RATE]
    found = {k: v for k, v in first.items() if k != "metric"}
    found |= {"source": study_of(first.get("source", "")), "alpha_kind": (*rates, "")[0]}
    found |= {k: repr(v) for k, v in means.items() if k in (_TOKENS, _RATE)}
    speed = next((k for k in speeds if k in means), None)
    if speed == "speedup":
        found["speedup"] = f"{means[speed]:.6g}"
    elif speed is not None:
        found["tokens_per_s_spec"] = repr(means[speed])
    return found
