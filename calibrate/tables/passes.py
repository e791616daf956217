"""Costs from a table of measured passes: a CSV with one pass a row.

    pass,batch,tokens,time_ms        pass: target or draft; tokens: of each sequence in the pass
    target,1,1,7.1                   context: optional column, cached tokens of each sequence
    target,1,4,7.3                   time_s: instead of time_ms
    draft,1,1,0.9

The target needs every combination of its batches, tokens and contexts; a draft, measured at one
token, takes one pass for each draft token.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np

from ...theory.costs import SequentialDraftCost, TablePass
from .cells import read_bytes
from .read import parse_table
from .schema import Rule, Schema, number, text

PASSES = Schema(
    "passes",
    key=("pass", "tokens", "batch", "context"),
    rules=(
        Rule("time_ms", "must be given, or time_s",
             lambda row: row["time_ms"] is not None or row["time_s"] is not None),
    ),
    closed=False,
)  # fmt: skip


def read_pass_table(path: str | Path, *, overhead_s: float = 0.0) -> SequentialDraftCost:
    """The cost law of a table of passes; overhead_s: of a round beyond its passes, >= 0.

    Lines that begin with # are passed over. Between measured points as in
    `howspec.theory.costs.TablePass`; outside them the law refuses. Raises ValueError naming the
    line where the table is not one.
    """
    lines = read_bytes(path).split(b"\n")
    data = b"\n".join(b"" if line.startswith(b"#") else line for line in lines)
    points: dict[str, dict[tuple[float, float, float], float]] = {"target": {}, "draft": {}}
    for row in parse_table(data, str(path), PASSES).rows:
        context = number(row, "context") if row["context"] is not None else 0.0
        unit, factor = ("time_s", 1.0) if row["time_ms"] is None else ("time_ms", 1e-3)
        at = (number(row, "tokens"), number(row, "batch"), context)
        points[text(row, "pass")][at] = number(row, unit) * factor
    for kind, held in points.items():
        if not held:
            raise ValueError(f"{path}: no row with pass {kind}")
    return SequentialDraftCost(
        _table(points["target"], f"{path}, target"),
        _table(points["draft"], f"{path}, draft"),
        overhead_s,
    )


def _table(points: dict[tuple[float, float, float], float], where: str) -> TablePass:
    tokens, batches, contexts = (sorted({p[i] for p in points}) for i in range(3))
    lacking = [
        (t, b, c) for t in tokens for b in batches for c in contexts if (t, b, c) not in points
    ]
    if lacking:
        t, b, c = lacking[0]
        raise ValueError(f"{where}: no time at tokens {t:g}, batch {b:g}, context {c:g}")
    times = np.array([[[points[t, b, c] for c in contexts] for b in batches] for t in tokens])
    if len(tokens) == 1:  # a draft pass is only asked for one token; the second point is the same
        tokens, times = _twice(tokens), np.repeat(times, 2, axis=0)
    try:
        return TablePass(tokens, times, batches, contexts)
    except ValueError as error:
        raise ValueError(f"{where}: {error}") from None


def _twice(tokens: Sequence[float]) -> list[float]:
    return [tokens[0], tokens[0] + 1.0]


def table_limits(cost: SequentialDraftCost) -> tuple[int, int]:
    """(largest gamma, largest batch) that the table covers."""
    assert isinstance(cost.target, TablePass)
    assert isinstance(cost.draft, TablePass)
    tokens = float(np.max(np.asarray(cost.target.tokens)))
    batch = min(float(np.max(np.asarray(p.batches))) for p in (cost.target, cost.draft))
    return int(tokens) - 1, int(batch)


def table_contexts(cost: SequentialDraftCost) -> tuple[float, float]:
    """(least, most) cached tokens that both passes of the table cover."""
    spans = []
    for part in (cost.target, cost.draft):
        assert isinstance(part, TablePass)
        held = np.zeros(1) if part.contexts is None else np.asarray(part.contexts, dtype=float)
        spans.append((float(held.min()), float(held.max())))
    return max(low for low, _ in spans), min(high for _, high in spans)
