"""From Prometheus series of one engine to its counts: sums over labels, gauges, groups."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, TypeVar

from .completed import counts_as
from .counts import EngineCounts, Group
from .numbers import survival_of

Labels = tuple[tuple[str, str], ...]
Gauges = Mapping[tuple[str, Labels], float]
Key = tuple[str, Labels]
_N = TypeVar("_N", int, float)
_RANKS = ("tp_rank", "pp_rank", "moe_ep_rank", "engine_type", "rank")


@dataclass
class Series:
    """Series of one engine: counters and gauges by name and labels.

    gammas: draft lengths of configuration series.
    """

    engine: str
    counters: dict[Key, int] = field(default_factory=dict)
    gauges: dict[Key, float] = field(default_factory=dict)
    gammas: set[int] = field(default_factory=set)


def counts_of(series: Series, counters: Mapping[Key, int], notes: list[str]) -> EngineCounts:
    """The counts of one engine: ``counters`` added up over labels, gauges where they agree.

    Raises ValueError for positions with gaps and counts that cannot be.
    """
    sums = totals(counters)
    ladder, rounds = by_position(counters), sums.get("rounds")
    if rounds is not None and ladder is None:
        ladder = _above(counters, rounds)
    gamma = _gamma(series, ladder, rounds, notes, counters)
    early = "emitted" in sums and rounds is None
    if rounds is None and not early and counters:
        notes.append("the counters do not hold the rounds: rounds and survival null")
    rates = conditional_rates(series.gauges, notes) if ladder is None else None
    if rates is not None and gamma is None:
        gamma = len(rates)
    if early:
        notes.append(
            "counters of the V0 engine: accepted counts tokens behind a rejected one too, and "
            "emitted / rounds needs gamma, which they do not hold"
        )
    return counts_as(
        f"{series.engine}-prometheus",
        rounds=rounds,
        drafted=sums.get("drafted"),
        accepted=sums.get("accepted"),
        tokens=sums.get("tokens"),
        gamma=gamma,
        per_position_accepted=ladder,
        survival=None if rates is None else survival_of(rates),
        acceptance_length=None
        if rounds and "accepted" in sums
        else gauge_length(series.gauges, notes),
        accepted_is_prefix=not early,
        groups=_groups(series, counters),
        notes=notes,
    )


def totals(counters: Mapping[Key, int]) -> dict[str, int]:
    """Counters by their kind, added up over labels; those by position stand apart."""
    found: dict[str, int] = {}
    for (kind, _), n in counters.items():
        if kind not in ("position", "at_most"):
            found[kind] = found.get(kind, 0) + n
    return found


def _of(series: Mapping[Key, _N], kind: str) -> list[tuple[dict[str, str], _N]]:
    """(labels, value) of the series of one kind."""
    return [(dict(labels), value) for (own, labels), value in series.items() if own == kind]


def by_position(counters: Mapping[Key, int]) -> list[int] | None:
    """Accepted tokens by position, None without such series."""
    positions: dict[int, int] = {}
    for labels, n in _of(counters, "position"):
        place = labels.get("position", "")
        if not place.isdecimal() or int(place) > 4096:
            raise ValueError(f"position must be a whole number in [0, 4096], got {place!r}")
        positions[int(place)] = positions.get(int(place), 0) + n
    if sorted(positions) != list(range(len(positions))):
        raise ValueError("positions must be without gaps from 0 on, as the engine writes them")
    return [positions[k] for k in sorted(positions)] or None


def _above(counters: Mapping[Key, int], rounds: int) -> list[int] | None:
    """Accepted tokens by position from buckets of rounds that accepted at most so many."""
    most: dict[int, int] = {}
    for labels, n in _of(counters, "at_most"):
        edge = labels.get("le", "").removesuffix(".0")
        if edge.isdecimal() and len(edge) < 5:
            most[int(edge)] = most.get(int(edge), 0) + n
    if len(most) < 2 or sorted(most) != list(range(len(most))):
        return None
    return [rounds - most[k] for k in range(len(most) - 1)]


def _gamma(
    series: Series,
    ladder: list[int] | None,
    rounds: int | None,
    notes: list[str],
    counters: Mapping[Key, int],
) -> int | None:
    if len(series.gammas) == 1:
        gamma = next(iter(series.gammas))
        notes.append(f"gamma {gamma} is stated in the configuration series")
        return gamma or None
    sets = Counter(without(labels, "position") for kind, labels in counters if kind == "position")
    depths = set(sets.values())
    if ladder and len(depths) > 1:
        shown = ", ".join(map(str, sorted(depths)))
        notes.append(f"label sets have different numbers of positions ({shown}): gamma null")
        return None
    if ladder:
        notes.append(f"gamma is the {len(ladder)} positions that have a counter")
        return len(ladder)
    found = _steps(series.gauges, notes) or gauge_gamma(series.gauges, notes)
    if found is None:
        notes.append("the series do not state how many tokens a round drafts: gamma null")
    return found


def _steps(gauges: Gauges, notes: list[str]) -> int | None:
    """SGLang's steps of drafting where they are a chain: a slot each, and one for the root."""
    steps, slots = ({v for (kind, _), v in gauges.items() if kind == own}
                    for own in ("steps", "slots"))  # fmt: skip
    if len(steps) != 1 or slots - {v + 1.0 for v in steps} or not (found := int(steps.pop())):
        return None
    notes.append(f"gamma {found} is spec_num_steps, the drafts of a chain now")
    return found


def without(labels: Labels, *names: str) -> Labels:
    """Labels but for some."""
    return tuple(p for p in labels if p[0] not in names)


def increase(now: Mapping[Key, int], before: Mapping[Key, int], notes: list[str]) -> dict[Key, int]:
    """What was counted between two scrapes; a server that was started again counts from zero."""
    stems = {without(key[1], "position") for key, n in now.items() if n < before.get(key, 0)}
    found = {
        key: n if without(key[1], "position") in stems else n - before.get(key, 0)
        for key, n in now.items()
    }
    if stems:
        notes.append(
            f"counters of {len(stems)} label sets fell since the scrape before: the server was "
            f"started again, and they count from zero"
        )
    gone = [key for key in before if key not in now]
    if gone:
        notes.append(f"{len(gone)} series of the scrape before are missing now")
    notes.append("counts are those between the two scrapes")
    return found


def _groups(series: Series, counters: Mapping[Key, int]) -> tuple[Group, ...]:
    """One group a label set, where there are several."""
    sets: dict[Labels, dict[str, Any]] = {}
    for (kind, labels), value in (*counters.items(), *series.gauges.items()):
        if kind in ("rounds", "drafted", "accepted", "length", "tokens"):
            sets.setdefault(labels, {})[kind] = value
    drafting = {k: v for k, v in sets.items() if v.keys() - {"tokens"}}
    if len(drafting) < 2:
        return ()
    return tuple(
        Group.of(
            ", ".join(f"{k}={v}" for k, v in labels),
            *(held.get(name) for name in ("rounds", "drafted", "accepted")),
            tokens=held.get("tokens"),
            acceptance_length=length if math.isfinite(length := held.get("length") or math.inf)
            else None,
        )
        for labels, held in drafting.items()
    )  # fmt: skip


def gauge_length(gauges: Gauges, notes: list[str]) -> float | None:
    """The acceptance length that all ranks state; None, with the reason, where there is none.

    Raises ValueError for a length below 1.
    """
    wanted = "total_length" if any(k == "total_length" for k, _ in gauges) else "length"
    found: dict[Labels, float] = {}
    for (kind, labels), value in gauges.items():
        rest = without(labels, *_RANKS)
        if kind == wanted and not (math.isnan(value) and rest in found):
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
    for labels, value in _of(gauges, wanted):
        place = labels.get("position", "")
        if place.isdecimal() and len(place) < 5 and math.isfinite(value):
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
    new = _only_whole([(length - 1.0) / rate for length, rate in pairs])
    old = _only_whole([length / rate - 1.0 for length, rate in pairs])
    if bool(new) == bool(old):
        return None
    how, since = ("(length - 1) / rate", "since") if new else ("length / rate - 1", "before")
    notes.append(f"gamma is {how}, a whole number (rate {since} PR #23530)")
    return new or old


def _only_whole(values: list[float]) -> int | None:
    """The whole number that all values are, None where they are not one."""
    found = {round(v) for v in values if math.isfinite(v)}
    if len(found) != 1 or any(not abs(v - round(v)) < 1e-6 for v in values if math.isfinite(v)):
        return None
    return found.pop() or None
