"""vLLM's V0 log line "Speculative metrics: ...": counts since the start of the process.

There (vllm/spec_decode/metrics.py and spec_decode_base_sampler.py of the 0.3-0.9 releases)
"accepted" counts every draft token that passes its own test, also behind a rejected one, so it is
not the accepted prefix. Emitted tokens are what the rounds gave: emitted / rounds is the acceptance
length, and rounds = drafted / gamma, because a counted round always drafts gamma tokens there.
System efficiency = emitted / (rounds (gamma + 1)).
"""

from __future__ import annotations

import re
from dataclasses import dataclass

from ..stated import Stated, printed
from .completed import counts_as
from .counts import Check, EngineCounts, checks, ratio
from .lines import Damage, first, process_of, without_colours
from .numbers import NUMBER, WHOLE, total, whole

_FIELDS = {
    name: re.compile(rf"Number of {name} tokens(?: tokens)?:\s*({WHOLE})(?![.,]?\d)")
    for name in ("accepted", "draft", "speculative", "emitted")
}
_RATE = re.compile(rf"Draft acceptance rate:\s*({NUMBER})\s*(%?)")
_EFFICIENCY = re.compile(rf"System efficiency:\s*({NUMBER})")


@dataclass(frozen=True)
class _Line:
    accepted: int
    drafted: int
    gamma: int | None
    emitted: int | None
    rate: Stated | None
    efficiency: Stated | None


class V0Log:
    """Takes the last line of each process; a fall of the counts is a restart, and is added."""

    markers: tuple[bytes, ...] = (b"Speculative metrics:",)

    def __init__(self) -> None:
        self.damage = Damage("Speculative metrics")
        self.last: dict[str, _Line] = {}
        self.ended: list[_Line] = []
        self.intervals: list[_Line] = []
        self.lines = 0

    def feed(self, line: str) -> None:
        """Take one line."""
        line = without_colours(line)
        for piece in line.split("Speculative metrics:")[1:]:
            try:
                found = _read(piece)
            except ValueError as error:
                self.damage.add(str(error))
                continue
            self.lines += 1
            if found.gamma is None:
                self.intervals.append(found)
                continue
            process = process_of(line)
            before = self.last.get(process)
            if before is not None and found.drafted < before.drafted:
                self.ended.append(before)
            self.last[process] = found

    def result(self) -> EngineCounts | None:
        """Counts of all processes."""
        self.damage.refuse_if_alone(self.lines)
        if self.intervals and not self.last:
            return self._early_v1()
        if not self.last:
            return None
        notes = self.damage.notes()
        parts = [*self.ended, *self._processes(notes)]
        if self.lines > len(parts):
            notes.append(f"the counts run since the start: the last of {self.lines} lines is taken")
        if self.ended:
            notes.append(f"the counts fell {len(self.ended)} times: restarts are added up")
        if self.intervals:
            notes.append(f"{len(self.intervals)} lines without a number of speculative tokens")
        return _cumulative(parts, notes)

    def _processes(self, notes: list[str]) -> list[_Line]:
        """The last line of each process; the same counts in all of them are one engine's."""
        last = list(self.last.values())
        if len(last) < 2:
            return last
        if len(set(last)) == 1:
            notes.append(f"{len(last)} processes print the same counts: those of one are taken")
            return last[:1]
        notes.append(f"{len(last)} processes are added up")
        return last

    def _early_v1(self) -> EngineCounts:
        said = "neither rounds nor gamma are printed, so no length and no share by position follow"
        return counts_as(
            "vllm-v1-early-log",
            drafted=sum(p.drafted for p in self.intervals),
            accepted=sum(p.accepted for p in self.intervals),
            intervals=self.lines,
            consistency=tuple(_checks(self.intervals[0], None)),
            notes=[*self.damage.notes(), said],
        )


def _read(piece: str) -> _Line:
    found = {name: first(pattern, piece) for name, pattern in _FIELDS.items()}
    if found["accepted"] is None or found["draft"] is None:
        raise ValueError(
            f"needs Number of accepted and of draft tokens, got {piece.strip()[:120]!r}"
        )
    rate, efficiency = _RATE.search(piece), first(_EFFICIENCY, piece)
    share = printed(rate[1]).scaled(0.01 if rate[2] else 1.0) if rate else None
    accepted, drafted, gamma, emitted = (
        None if text is None else whole(text, f"Number of {name} tokens")
        for name, text in found.items()
    )
    assert accepted is not None
    assert drafted is not None
    shown = printed(efficiency) if efficiency else None
    if accepted > drafted:
        raise ValueError(f"accepted must be in [0, draft tokens = {drafted}], got {accepted}")
    if gamma == 0:
        raise ValueError("Number of speculative tokens must be >= 1, got 0")
    return _Line(accepted, drafted, gamma, emitted, share, shown)


def _checks(line: _Line, rounds: int | None) -> list[Check]:
    mean = ratio(line.emitted, rounds)
    efficiency = None if mean is None or line.gamma is None else mean / (line.gamma + 1)
    return checks(
        ("drafted rate", line.rate, ratio(line.accepted, line.drafted)),
        ("system efficiency", line.efficiency, efficiency),
    )


def _cumulative(parts: list[_Line], notes: list[str]) -> EngineCounts:
    gammas = {p.gamma for p in parts}
    gamma = parts[0].gamma if len(gammas) == 1 else None
    if gamma is None:
        notes.append("processes draft different numbers of tokens: gamma null")
    whole_rounds = all(p.gamma and p.drafted % p.gamma == 0 for p in parts)
    rounds = sum(p.drafted // (p.gamma or 1) for p in parts) if whole_rounds else None
    emitted = total([p.emitted for p in parts])
    if rounds is None:
        notes.append("drafted tokens do not divide by gamma: rounds null")
    else:
        notes.append("rounds = drafted / gamma: every counted round drafts gamma tokens")
    length = None
    if emitted is None:
        notes.append("emitted tokens are missing: no acceptance length follows from these counts")
    elif rounds:
        notes.append(
            "accepted counts draft tokens behind a rejected one too: 1 + accepted / rounds is no "
            "acceptance length here, emitted / rounds is"
        )
        length = emitted / rounds
        if length < 1.0 or (gamma is not None and length > gamma + 1):
            raise ValueError(
                f"emitted / rounds must be in [1, gamma + 1], got {length:g} "
                f"({emitted} emitted, {rounds} rounds)"
            )
    return counts_as(
        "vllm-v0-log",
        rounds=rounds,
        drafted=sum(p.drafted for p in parts),
        accepted=sum(p.accepted for p in parts),
        gamma=gamma,
        acceptance_length=length,
        accepted_is_prefix=False,
        consistency=tuple(
            c for p in parts for c in _checks(p, p.drafted // p.gamma if p.gamma else None)
        ),
        notes=notes,
    )
