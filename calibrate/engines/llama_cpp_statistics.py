"""llama.cpp's statistics line: counts since the start of the server, for each kind of draft.

Source: ggml-org/llama.cpp, common/speculative.cpp. Rounds are the accept calls, which the shares
and the mean length are divided by.
"""

from __future__ import annotations

import re
from dataclasses import dataclass, replace
from typing import Any

from .completed import engine_counts
from .counts import Check, EngineCounts, Group, compare
from .intervals import Interval, Total
from .lines import Source, service_of
from .numbers import NUMBER, Printed, number_list, printed, whole

_KIND = re.compile(r"statistics\s+([\w.-]+):")
_COUNTS = {
    name: re.compile(rf"#{name}\s*=\s*(\d+)")
    for name in ("gen drafts", "acc drafts", "gen tokens", "acc tokens")
}
_CALLS = re.compile(r"#calls\(b,g,a\)\s*=\s*(\d+)\s+(\d+)\s+(\d+)")
_MEAN = re.compile(rf"#mean acc len\s*=\s*({NUMBER})")
_RATES = re.compile(r"#acc rate/pos\s*=\s*\(([^)]*)\)")
_TIMES = re.compile(rf"dur\(b,g,a\)\s*=\s*({NUMBER}),\s+({NUMBER}),\s+({NUMBER})\s*ms")
_DEFINITION = (
    "llama.cpp statistics: counts since the start; rounds = accept calls; mean length = 1 + "
    "accepted / rounds (bonus counted); share by position over all rounds"
)


@dataclass(frozen=True)
class Statistics:
    """One line. rounds: the accept calls; any_accepted: drafts with an accepted first token."""

    kind: str
    rounds: int | None
    drafts: int
    any_accepted: int | None
    drafted: int
    accepted: int
    length: Printed | None
    rates: tuple[Printed, ...]
    draft_s: float | None
    accept_s: float | None
    counted_drafts: bool = False

    def interval(self) -> Interval:
        """The line as an interval whose rounds are known."""
        return Interval(self.accepted, self.drafted, self.length, self.rates, True, None)


class StatisticsLines:
    """Keeps the last line of each kind of draft; a fall of its counts is a restart."""

    def __init__(self) -> None:
        self.last: dict[Source, Statistics] = {}
        self.ended: list[Statistics] = []
        self.lines = 0

    def feed(self, line: str) -> None:
        """Take one line. Raises ValueError where it cannot be."""
        found = _read(line)
        self.lines += 1
        source = (service_of(line), found.kind)
        before = self.last.get(source)
        if before is not None and (
            found.drafted < before.drafted or found.accepted < before.accepted
        ):
            self.ended.append(before)
        self.last[source] = found

    def against(self, served: int, notes: list[str]) -> bool:
        """Whether the requests of the same log, which drafted ``served``, add up to them."""
        drafted = sum(p.drafted for p in (*self.ended, *self.last.values()))
        same = served == drafted
        notes.append(
            "the lines of the requests add up to the statistics"
            if same
            else f"the lines of the requests add up to {served} drafted tokens, the statistics to "
            f"{drafted}; the statistics are taken"
        )
        return same

    def result(self, stated: int | None, notes: list[str], **known: Any) -> EngineCounts:
        """The sum over kinds and restarts; stated: the longest draft of the log's settings."""
        parts = [*self.ended, *self.last.values()]
        total = Total()
        for part in parts:
            total.add(part.interval(), 1, None, known=part.rounds)
        if self.lines > len(parts):
            notes.append(f"counts run since the start: the last of {self.lines} lines is taken")
        if any(p.counted_drafts for p in parts):
            notes.append("rounds are the drafts that were generated: the line has no accept calls")
        if self.ended:
            notes.append(f"the counts fell {len(self.ended)} times: restarts are added up")
        return engine_counts(
            "llama.cpp",
            "llama.cpp-statistics",
            definition=_DEFINITION,
            gamma=_gamma(parts, stated, notes),
            acceptance_length=None if total.rounds else total.length(),
            groups=tuple(_group(p) for p in parts) if len(parts) > 1 else (),
            durations_s=_durations(parts),
            consistency=tuple(c for p in parts for c in _checks(p)),
            notes=notes,
            **total.known(),
            **known,
        )


def _read(line: str) -> Statistics:
    found = {name: pattern.search(line) for name, pattern in _COUNTS.items()}
    tokens, accepted, drafts = found["gen tokens"], found["acc tokens"], found["gen drafts"]
    if tokens is None or accepted is None or drafts is None:
        raise ValueError(f"needs #gen drafts, #gen tokens and #acc tokens, got {line[-160:]!r}")
    calls, kind, mean = _CALLS.search(line), _KIND.search(line), _MEAN.search(line)
    rates, times, some = _RATES.search(line), _TIMES.search(line), found["acc drafts"]
    part = Statistics(
        kind=kind.group(1) if kind else "draft",
        rounds=whole(calls.group(3), "accept calls") if calls else None,
        drafts=whole(drafts.group(1), "gen drafts"),
        any_accepted=whole(some.group(1), "acc drafts") if some else None,
        drafted=whole(tokens.group(1), "gen tokens"),
        accepted=whole(accepted.group(1), "acc tokens"),
        length=printed(mean.group(1)) if mean else None,
        rates=tuple(number_list(rates.group(1))) if rates else (),
        draft_s=printed(times.group(2)).value / 1e3 if times else None,
        accept_s=printed(times.group(3)).value / 1e3 if times else None,
    )
    part.interval().check("gen tokens")
    # Without the calls, a draft that was generated is one that was verified.
    if part.rounds is not None:
        return part
    return replace(part, rounds=part.drafts, counted_drafts=True)


def listed_gamma(depths: set[int], stated: int | None, notes: list[str]) -> int | None:
    """Drafted tokens of a full round: the positions that lines list, else what settings state.

    depths: numbers of positions that are listed; ``notes`` get the reason.
    """
    if len(depths) == 1:
        gamma = next(iter(depths))
        notes.append(f"gamma is the {gamma} positions that the lines list")
        if stated is not None and stated != gamma:
            notes.append(f"the settings allow drafts of {stated}, which no line lists")
        return gamma
    if stated is not None and stated >= max(depths, default=0):
        notes.append(f"gamma {stated} is the largest draft that the settings state")
        return stated
    shown = f" (lines list {', '.join(map(str, sorted(depths)))} positions)" if depths else ""
    notes.append(f"the log does not state how many tokens a round drafts{shown}: gamma null")
    return None


def _gamma(parts: list[Statistics], stated: int | None, notes: list[str]) -> int | None:
    """Of the settings where they say more: lines list no position that nothing was accepted at."""
    depths = {len(p.rates) for p in parts if p.rates}
    if stated is not None and stated > max(depths, default=0):
        depths = set()
    return listed_gamma(depths, stated, notes)


def _durations(parts: list[Statistics]) -> dict[str, float]:
    found = {}
    for name, times in (
        ("draft_s", [p.draft_s for p in parts]),
        ("accept_s", [p.accept_s for p in parts]),
    ):
        if any(t is not None for t in times):
            found[name] = sum(t for t in times if t is not None)
    return found


def _group(part: Statistics) -> Group:
    return Group(
        label=part.kind,
        rounds=part.rounds,
        drafted=part.drafted,
        accepted=part.accepted,
        acceptance_length=1.0 + part.accepted / part.rounds if part.rounds else None,
    )


def _checks(part: Statistics) -> list[Check]:
    if not part.rounds:
        return []
    found = []
    if part.length is not None:
        found.append(compare("acceptance length", part.length, 1.0 + part.accepted / part.rounds))
    if part.rates and part.any_accepted is not None:
        found.append(compare("share at position 1", part.rates[0], part.any_accepted / part.rounds))
    return found
