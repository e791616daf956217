"""Cost records as laws: passes that were timed by themselves, draws and the rejection rule."""

from __future__ import annotations

import numpy as np

from ...theory.costs import TablePass
from ..records import Record


def pass_law(record: Record, model: str, *, mode: str = "eager") -> TablePass:
    """The median pass times of a model as a law over tokens, batch and context [s].

    Points that could not be measured (an error in place of times) narrow the grid: batches and
    contexts at which any number of tokens is missing are left out. Raises ValueError where the
    record has no pass of the model in this mode.
    """
    times: dict[tuple[int, int], dict[int, float]] = {}
    for p in record.points:
        own = p["operation"] == "pass" and p["model"] == model and p["mode"] == mode
        if own and p.get("times_s"):
            place = (p["batch"], p["context"])
            times.setdefault(place, {})[p["tokens"]] = float(np.median(p["times_s"]))
    if not times:
        known = sorted({str(p["model"]) for p in record.points if p["operation"] == "pass"})
        raise ValueError(
            f"model must have {mode} passes in the record, known: {', '.join(known)}; got {model}"
        )
    widest = max(times.values(), key=len)
    tokens = sorted(widest)
    whole = [place for place, t in times.items() if set(tokens) <= set(t)]
    batches = sorted({b for b, _ in whole})
    contexts = sorted({c for _, c in whole if all((b, c) in whole for b in batches)})
    grid = [[[times[b, c][n] for c in contexts] for b in batches] for n in tokens]
    return TablePass(
        np.array(tokens, dtype=float),
        np.array(grid),
        batches=np.array(batches, dtype=float),
        contexts=np.array(contexts, dtype=float),
    )


def operation_s(
    record: Record, operation: str, model: str, *, temperature: float, batch: int = 1
) -> dict[int, float]:
    """Median time of ``draw`` or ``verify`` by its tokens [s]; temperatures above 0 are alike."""
    wanted = 1.0 if temperature > 0 else 0.0
    return {
        p["tokens"]: float(np.median(p["times_s"]))
        for p in record.points
        if p["operation"] == operation
        and p.get("model") == model
        and p.get("batch") == batch
        and p.get("temperature") == wanted
        and p.get("times_s")
    }
