"""The speeds of a run and of plain decoding at the same load, from records of `howspec measure`."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np

from ...calibrate.engines.numbers import Stated
from ...calibrate.serving.laws import BETWEEN_STARTS
from ...calibrate.serving.served import Served, Wave


@dataclass(frozen=True)
class ServedRun:
    """One measured run of a server.

    served: its waves alone, beside plain ones; gamma, batch: its own; plain, fast: tokens/s of all
    sequences together, plain None where plain decoding was not measured at the batch; note: what
    was taken, in words.
    """

    served: Served
    gamma: int
    batch: float
    plain: Stated | None
    fast: Stated
    note: str


def served_run(
    served: Served, *, draft: str | None = None, gamma: int | None = None, batch: float = 1.0
) -> ServedRun:
    """The run of a draft at a gamma and a batch, each of which may be left open where it is one.

    Raises ValueError where several were measured and none of them is named.
    """
    runs = served.of_draft(draft)
    g = _one("gamma", gamma, sorted(runs))
    levels = runs[g]
    only = next(iter(levels)) if len(levels) == 1 and batch == 1.0 else None
    b = _one("batch", batch if only is None else only, sorted(levels))
    waves, before = levels[b], served.plain().get(b)
    kept = {id(w.point) for w in (*waves, *(before or ()))}
    own = ((r, tuple(p for p in r.points if id(p) in kept)) for r in served.records)
    records = tuple(replace(r, points=points) for r, points in own if points)
    beside = f", and of {len(before)} of plain decoding" if before else ""
    return ServedRun(
        Served(records), g, float(b), speed(before) if before else None, speed(waves),
        f"speeds are of {len(waves)} measured waves of {served.engine} at gamma {g} and batch {b}"
        f"{beside}",
    )  # fmt: skip


def _one(name: str, given: float | None, known: Sequence[int]) -> int:
    if given is None and len(known) == 1:
        return known[0]
    if given is None or given not in known:
        listed = ", ".join(map(str, known))
        shown = "none" if given is None else f"{given:g}"
        raise ValueError(f"{name} must be one that was measured, {listed}, got {shown}")
    return int(given)


def speed(waves: Sequence[Wave]) -> Stated:
    """Tokens/s of all sequences while whole waves decode; its error: of waves and of starts."""
    total = sum(w.window_tokens for w in waves) / sum(w.window_s for w in waves)
    logs = np.log([w.window_tokens / w.window_s for w in waves])
    spread = float(logs.std(ddof=1)) / math.sqrt(logs.size) if logs.size > 1 else 0.0
    return Stated(total, error=total * math.hypot(spread, BETWEEN_STARTS))
