"""Gauges of acceptance: what ranks agree on, and the gamma that length and rate imply."""

from __future__ import annotations

import math
from collections.abc import Mapping

Labels = tuple[tuple[str, str], ...]
_RANKS = ("tp_rank", "pp_rank", "moe_ep_rank", "engine_type", "rank")
Gauges = Mapping[tuple[str, Labels], float]


def gauge_length(gauges: Gauges, notes: list[str]) -> float | None:
    """The acceptance length that all ranks state; None, with the reason, where there is none.

    Raises ValueError for a length below 1.
    """
    found: dict[Labels, float] = {}
    for (kind, labels), value in gauges.items():
        if kind == "length":
            rest = tuple(p for p in labels if p[0] not in _RANKS)
            if not (math.isnan(value) and rest in found):
                found[rest] = value
    real = {k: v for k, v in found.items() if math.isfinite(v) and v > 0.0}
    if found and len(real) < len(found):
        notes.append(f"{len(found) - len(real)} gauges are NaN or 0: nothing was speculated yet")
    if not real:
        return None
    values = set(real.values())
    if len(values) > 1:
        shown = ", ".join(f"{v:g}" for v in sorted(values))
        notes.append(
            f"gauges of several engines differ ({shown}) and have no weights: length null, see "
            f"groups"
        )
        return None
    value = values.pop()
    if value < 1.0:
        raise ValueError(f"acceptance length with the bonus token must be >= 1, got {value:g}")
    notes.append("the length is a gauge of the last interval or iteration, not of the whole run")
    return value


def gauge_gamma(gauges: Gauges, notes: list[str]) -> int | None:
    """The whole number that length and rate of every label set imply, None where there is none."""
    lengths = {k[1]: v for k, v in gauges.items() if k[0] == "length"}
    pairs = [
        (lengths[labels], rate)
        for (kind, labels), rate in gauges.items()
        if kind == "rate" and labels in lengths and math.isfinite(rate) and 0 < rate <= 1
    ]
    if not pairs or not all(length > 1.0 for length, _ in pairs):
        return None
    new = _whole([(length - 1.0) / rate for length, rate in pairs])
    old = _whole([length / rate - 1.0 for length, rate in pairs])
    if new and not old:
        notes.append("gamma is (length - 1) / rate, a whole number (rate since PR #23530)")
        return new
    if old and not new:
        notes.append("gamma is length / rate - 1, a whole number (rate before PR #23530)")
        return old
    return None


def _whole(values: list[float]) -> int | None:
    """The whole number that all values are, None where they are not one."""
    found = {round(v) for v in values if math.isfinite(v)}
    if len(found) != 1 or any(not abs(v - round(v)) < 1e-6 for v in values if math.isfinite(v)):
        return None
    return found.pop() or None
