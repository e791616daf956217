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
    wanted = "total_length" if any(k == "total_length" for k, _ in gauges) else "length"
    found: dict[Labels, float] = {}
    for (kind, labels), value in gauges.items():
        if kind == wanted:
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
    if wanted == "length":
        notes.append(
            "the length is a gauge of the last interval or iteration, not of the whole run"
        )
    return value


def conditional_rates(gauges: Gauges, notes: list[str]) -> list[float] | None:
    """SGLang's rates by position: conditional, where vLLM's are shares of all rounds.

    Those since the start before those of the last interval; None where ranks differ or a position
    is missing. Raises ValueError outside [0, 1].
    """
    wanted = "conditional"
    if any(kind == "total_conditional" for kind, _ in gauges):
        wanted = "total_conditional"
    found: dict[int, set[float]] = {}
    for (kind, labels), value in gauges.items():
        place = dict(labels).get("position", "")
        if kind == wanted and place.isdecimal() and len(place) < 5 and math.isfinite(value):
            if not 0.0 <= value <= 1.0:
                raise ValueError(f"rate at position {place} must be in [0, 1], got {value:g}")
            found.setdefault(int(place), set()).add(value)
    if not found:
        return None
    if sorted(found) not in (list(range(len(found))), list(range(1, len(found) + 1))):
        notes.append("rates by position have gaps: survival null")
        return None
    if any(len(values) > 1 for values in found.values()):
        notes.append("rates by position of several schedulers differ: survival null")
        return None
    notes.append("rates by position are conditional: survival is their product")
    return [found[k].pop() for k in sorted(found)]


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
