"""From Prometheus series of one engine to its counts: sums over labels, gauges, groups."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import TYPE_CHECKING

from .completed import engine_counts
from .counts import EngineCounts, Group
from .numbers import survival_of
from .sglang_server import DEFINITION as SGLANG_DEFINITION

if TYPE_CHECKING:
    from .prometheus import Scrape

Labels = tuple[tuple[str, str], ...]
Gauges = Mapping[tuple[str, Labels], float]
Key = tuple[str, Labels]
_RANKS = ("tp_rank", "pp_rank", "moe_ep_rank", "engine_type", "rank")


DEFINITIONS = {
    "vllm": (
        "vLLM counters: drafts, drafted and accepted leading tokens, accepted by position; "
        "acceptance length = 1 + accepted / drafts (bonus counted)"
    ),
    "llama.cpp": (
        "llama.cpp counters (names of vLLM): drafts, drafted and accepted tokens, accepted by "
        "position; acceptance length = 1 + accepted / drafts (bonus counted)"
    ),
    "tensorrt-llm": (
        "TensorRT-LLM counters: drafted and accepted tokens; acceptance length = (accepted + "
        "requests with drafts) / requests with drafts, a gauge of the last iteration"
    ),
    "tgi": (
        "TGI: a round is a step of a request, those that drafted nothing included; skipped tokens "
        "are the draft tokens that it kept"
    ),
    "sglang": SGLANG_DEFINITION
    + "; gauges of the last interval; rates by position are conditional "
    "(vLLM's are shares of all rounds)",
}


def counts_of(
    engine: str, scrape: Scrape, counters: Mapping[Key, int], notes: list[str]
) -> EngineCounts:
    """The counts of one engine: ``counters`` added up over labels, gauges where they agree.

    Raises ValueError for positions with gaps and counts that cannot be.
    """
    totals: dict[str, int] = {}
    for (kind, _), n in counters.items():
        if kind not in ("position", "at_most"):
            totals[kind] = totals.get(kind, 0) + n
    ladder = by_position(counters)
    rounds, accepted = totals.get("rounds"), totals.get("accepted")
    if rounds is not None and ladder is None:
        ladder = _above(counters, rounds)
    gamma = _gamma(scrape, ladder, rounds, notes, _depths(counters))
    if rounds is None and "emitted" not in totals and counters:
        notes.append("the counters do not hold the rounds: rounds and survival null")
    early = "emitted" in totals and rounds is None
    rates = conditional_rates(scrape.gauges, notes) if ladder is None else None
    if rates is not None and gamma is None:
        gamma = len(rates)
    if early:
        notes.append(
            "counters of the V0 engine: accepted counts tokens behind a rejected one too, and "
            "emitted / rounds needs gamma, which they do not hold"
        )
    return engine_counts(
        engine,
        f"{engine}-prometheus",
        definition=DEFINITIONS[engine],
        rounds=rounds,
        drafted=totals.get("drafted"),
        accepted=accepted,
        tokens=totals.get("tokens"),
        gamma=gamma,
        per_position_accepted=ladder,
        survival=None if rates is None else survival_of(rates),
        acceptance_length=gauge_length(scrape.gauges, notes) if rounds is None else None,
        accepted_is_prefix=not early,
        groups=_groups(scrape, counters),
        notes=notes,
    )


def by_position(counters: Mapping[Key, int]) -> list[int] | None:
    """Accepted tokens by position, None without such series."""
    positions: dict[int, int] = {}
    for (kind, labels), n in counters.items():
        if kind == "position":
            place = dict(labels).get("position", "")
            if not place.isdecimal() or int(place) > 4096:
                raise ValueError(f"position must be a whole number in [0, 4096], got {place!r}")
            positions[int(place)] = positions.get(int(place), 0) + n
    if not positions:
        return None
    ladder = [positions.get(k, 0) for k in range(max(positions) + 1)]
    if len(positions) != len(ladder):
        raise ValueError("positions must be without gaps from 0 on, as the engine writes them")
    return ladder


def _above(counters: Mapping[Key, int], rounds: int) -> list[int] | None:
    """Accepted tokens by position from buckets of rounds that accepted at most so many."""
    most: dict[int, int] = {}
    for (kind, labels), n in counters.items():
        edge = dict(labels).get("le", "").removesuffix(".0")
        if kind == "at_most" and edge.isdecimal() and len(edge) < 5:
            most[int(edge)] = most.get(int(edge), 0) + n
    if len(most) < 2 or sorted(most) != list(range(len(most))):
        return None
    return [rounds - most[k] for k in range(len(most) - 1)]


def _depths(counters: Mapping[Key, int]) -> set[int]:
    """Numbers of positions that the label sets count."""
    found: dict[Labels, int] = {}
    for kind, labels in counters:
        if kind == "position":
            rest = tuple(p for p in labels if p[0] != "position")
            found[rest] = found.get(rest, 0) + 1
    return set(found.values())


def _gamma(
    scrape: Scrape,
    ladder: list[int] | None,
    rounds: int | None,
    notes: list[str],
    depths: set[int],
) -> int | None:
    if len(scrape.gammas) == 1:
        gamma = next(iter(scrape.gammas))
        notes.append(f"gamma {gamma} is stated in the configuration series")
        return gamma or None
    if ladder and len(depths) > 1:
        shown = ", ".join(map(str, sorted(depths)))
        notes.append(f"label sets have different numbers of positions ({shown}): gamma null")
        return None
    if ladder:
        notes.append(f"gamma is the {len(ladder)} positions that have a counter")
        return len(ladder)
    found = gauge_gamma(scrape.gauges, notes) if rounds is None else None
    if found is None:
        notes.append("the series do not state how many tokens a round drafts: gamma null")
    return found


def _groups(scrape: Scrape, counters: Mapping[Key, int]) -> tuple[Group, ...]:
    """One group a label set, where there are several."""
    sets: dict[Labels, dict[str, float]] = {}
    for (kind, labels), value in (*counters.items(), *scrape.gauges.items()):
        if kind in ("rounds", "drafted", "accepted", "length", "tokens"):
            sets.setdefault(labels, {})[kind] = value
    drafting = {k: v for k, v in sets.items() if v.keys() - {"tokens"}}
    if len(drafting) < 2:
        return ()
    return tuple(_group(labels, values) for labels, values in drafting.items())


def _group(labels: Labels, values: dict[str, float]) -> Group:
    rounds, drafted = _whole(values.get("rounds")), _whole(values.get("drafted"))
    accepted, length = _whole(values.get("accepted")), values.get("length")
    if rounds and accepted is not None:
        length = 1.0 + accepted / rounds
    return Group(
        label=", ".join(f"{k}={v}" for k, v in labels),
        rounds=rounds,
        drafted=drafted,
        accepted=accepted,
        tokens=_whole(values.get("tokens")),
        acceptance_length=length if length and math.isfinite(length) else None,
    )


def _whole(value: float | None) -> int | None:
    return None if value is None else int(value)


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
    new = _only_whole([(length - 1.0) / rate for length, rate in pairs])
    old = _only_whole([length / rate - 1.0 for length, rate in pairs])
    if new and not old:
        notes.append("gamma is (length - 1) / rate, a whole number (rate since PR #23530)")
        return new
    if old and not new:
        notes.append("gamma is length / rate - 1, a whole number (rate before PR #23530)")
        return old
    return None


def _only_whole(values: list[float]) -> int | None:
    """The whole number that all values are, None where they are not one."""
    found = {round(v) for v in values if math.isfinite(v)}
    if len(found) != 1 or any(not abs(v - round(v)) < 1e-6 for v in values if math.isfinite(v)):
        return None
    return found.pop() or None
