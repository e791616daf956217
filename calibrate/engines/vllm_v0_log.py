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

from .completed import engine_counts
from .counts import Check, EngineCounts, compare
from .lines import Damage, process_of, without_colours
from .numbers import NUMBER, WHOLE, Printed, printed, whole

_FIELDS = {
    name: re.compile(rf"Number of {name} tokens(?: tokens)?:\s*({WHOLE})(?![.,]?\d)")
    for name in ("speculative", "accepted", "draft", "emitted")
}
_RATE = re.compile(rf"Draft acceptance rate:\s*({NUMBER})\s*(%?)")
_EFFICIENCY = re.compile(rf"System efficiency:\s*({NUMBER})")
_DEFINITION = (
    "vLLM V0: accepted = draft tokens that pass their own test, also behind a rejected one; "
    "emitted = tokens of the rounds; acceptance length = emitted / rounds"
)
_EARLY_V1 = (
    "vLLM V1 before 0.8.3: accepted = leading draft tokens kept; counts of one interval; rounds "
    "are not printed"
)


@dataclass(frozen=True)
class _Line:
    accepted: int
    drafted: int
    gamma: int | None
    emitted: int | None
    rate: Printed | None
    efficiency: Printed | None


class V0Log:
    """Takes the last line of each process; a fall of the counts is a restart, and is added."""

    engine = "vllm"
    needed: tuple[bytes, ...] = (b"Speculative metrics:",)
    markers: tuple[bytes, ...] = needed

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
        accepted = sum(p.accepted for p in self.intervals)
        drafted = sum(p.drafted for p in self.intervals)
        return engine_counts(
            "vllm",
            "vllm-v1-early-log",
            definition=_EARLY_V1,
            drafted=drafted,
            accepted=accepted,
            intervals=self.lines,
            consistency=tuple(c for p in self.intervals[:1] for c in _checks(p, None)),
            notes=[
                *self.damage.notes(),
                "neither rounds nor gamma are printed, so no length and no share by position "
                "follow",
            ],
        )


def _read(piece: str) -> _Line:
    found = {name: pattern.search(piece) for name, pattern in _FIELDS.items()}
    accepted, drafted = found["accepted"], found["draft"]
    if accepted is None or drafted is None:
        raise ValueError(
            f"needs Number of accepted and of draft tokens, got {piece.strip()[:120]!r}"
        )
    gamma, emitted = found["speculative"], found["emitted"]
    rate, efficiency = _RATE.search(piece), _EFFICIENCY.search(piece)
    share = printed(rate.group(1)).scaled(0.01 if rate.group(2) else 1.0) if rate else None
    line = _Line(
        accepted=whole(accepted.group(1), "Number of accepted tokens"),
        drafted=whole(drafted.group(1), "Number of draft tokens"),
        gamma=whole(gamma.group(1), "Number of speculative tokens") if gamma else None,
        emitted=whole(emitted.group(1), "Number of emitted tokens") if emitted else None,
        rate=share,
        efficiency=printed(efficiency.group(1)) if efficiency else None,
    )
    if line.accepted > line.drafted:
        raise ValueError(
            f"accepted must be in [0, draft tokens = {line.drafted}], got {line.accepted}"
        )
    if line.gamma == 0:
        raise ValueError("Number of speculative tokens must be >= 1, got 0")
    return line


def _checks(line: _Line, rounds: int | None) -> list[Check]:
    found = []
    if line.rate is not None and line.drafted:
        found.append(compare("drafted rate", line.rate, line.accepted / line.drafted))
    if line.efficiency is not None and line.emitted is not None and rounds and line.gamma:
        found.append(
            compare("system efficiency", line.efficiency, line.emitted / rounds / (line.gamma + 1))
        )
    return found


def _cumulative(parts: list[_Line], notes: list[str]) -> EngineCounts:
    gammas = {p.gamma for p in parts}
    gamma = parts[0].gamma if len(gammas) == 1 else None
    if gamma is None:
        notes.append("processes draft different numbers of tokens: gamma null")
    whole_rounds = all(p.gamma and p.drafted % p.gamma == 0 for p in parts)
    rounds = sum(p.drafted // (p.gamma or 1) for p in parts) if whole_rounds else None
    emitted = None
    if all(p.emitted is not None for p in parts):
        emitted = sum(p.emitted or 0 for p in parts)
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
    counts = engine_counts(
        "vllm",
        "vllm-v0-log",
        definition=_DEFINITION,
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
    return counts
