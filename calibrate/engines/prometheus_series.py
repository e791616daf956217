"""Series of one engine in Prometheus text: counters with restarts, gauges, and what gauges say."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass, field

Labels = tuple[tuple[str, str], ...]
_RANKS = ("tp_rank", "pp_rank", "moe_ep_rank", "engine_type", "rank")
Gauges = Mapping[tuple[str, Labels], float]
Key = tuple[str, Labels]


@dataclass
class Scrape:
    """Series of one engine: counters and gauges by name and labels.

    gammas: draft lengths of configuration series; repeated, fallen: series that stand more than
    once, and counters among them that fell, which are added up.
    """

    counters: dict[Key, int] = field(default_factory=dict)
    gauges: dict[Key, float] = field(default_factory=dict)
    gammas: set[int] = field(default_factory=set)
    repeated: int = 0
    fallen: dict[Key, int] = field(default_factory=dict)

    def keep_counter(self, key: Key, value: int) -> None:
        """Take a counter; one that fell belongs to a server that was started again."""
        before = self.counters.get(key)
        if before is not None:
            self.repeated += 1
            ended = self.fallen.get(key, 0)
            if value < before - ended:
                ended = self.fallen[key] = before
            value += ended
        self.counters[key] = value

    def keep_gauge(self, key: Key, value: float) -> None:
        """Take a gauge; of several values the last."""
        self.repeated += key in self.gauges
        self.gauges[key] = value

    def notes(self) -> list[str]:
        """What to know of series that stand more than once."""
        said = []
        if self.repeated:
            said.append(
                f"{self.repeated} series stand more than once: the last value is taken; an "
                f"earlier scrape belongs in --before"
            )
        if self.fallen:
            said.append(
                f"{len(self.fallen)} counters fell within the source: the server was started "
                f"again, and what it counted before is added"
            )
        return said

    def models(self) -> set[str]:
        """The models that the labels name."""
        found = set()
        for _, labels in (*self.counters, *self.gauges):
            found |= {v for k, v in labels if k in ("model_name", "model") and v}
        return found

    def of_model(self, model: str) -> Scrape:
        """Only the series of a model. Raises ValueError where it has none."""
        if model not in self.models():
            named = ", ".join(sorted(self.models())) or "none"
            raise ValueError(f"--model must be one of the labels ({named}), got {model!r}")

        def keep(key: Key) -> bool:
            return any(k in ("model_name", "model") and v == model for k, v in key[1])

        return Scrape(
            {k: v for k, v in self.counters.items() if keep(k)},
            {k: v for k, v in self.gauges.items() if keep(k)},
            self.gammas,
            self.repeated,
            {k: v for k, v in self.fallen.items() if keep(k)},
        )


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
