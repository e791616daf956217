"""vLLM's log line of the V1 engine, one for each interval.

Source: vllm-project/vllm @ ee4ceaae, v1/spec_decode/metrics.py. Acceptance length = 1 + accepted /
drafts, share by position over all drafts, the rate in per cent; all of one interval, after which
the counters start again. Drafts (rounds) are not printed: they follow from the digits.
"""

from __future__ import annotations

import re

from .counts import EngineCounts, engine_counts
from .intervals import Interval, Total, interval_checks
from .lines import Damage, without_colours
from .printed import NUMBER, WHOLE, number_list, printed, whole

_ACCEPTED = re.compile(rf"\bAccepted:\s*({WHOLE})\s*tokens\b")
_DRAFTED = re.compile(rf"\bDrafted:\s*({WHOLE})\s*tokens\b")
_LENGTH = re.compile(rf"\bMean acceptance length:\s*({NUMBER})")
_RATES = re.compile(r"\bPer-position acceptance rate:\s*([^A-Za-z]*)")
_RATE = re.compile(rf"\b[Dd]raft acceptance rate:\s*({NUMBER})\s*(%?)")
_VERSION = re.compile(r"(?:LLM engine \(v|API server version[: ]+v?)(\d+\.\d+[\w.+-]*)")
_GAMMA = re.compile(r"num[_-]spec(?:ulative)?[_-]tokens\\?[\"']?\s*[=: ]\s*(\d{1,4})\b")


class V1Log:
    """Sums the lines "SpecDecoding metrics: ..." of the V1 engine."""

    engine = "vllm"
    needed: tuple[bytes, ...] = (b"SpecDecoding metrics",)
    markers: tuple[bytes, ...] = (*needed, b"LLM engine (v", b"API server version", b"num_spec")

    def __init__(self) -> None:
        self.damage = Damage("SpecDecoding metrics")
        self.version: str | None = None
        self.stated_gamma: int | None = None
        self.parts: dict[Interval, int] = {}

    def feed(self, line: str) -> None:
        """Take one line."""
        line = without_colours(line)
        if "SpecDecoding metrics" in line:
            for piece in line.split("SpecDecoding metrics")[1:]:
                self._metrics(piece)
            return
        if found := _VERSION.search(line):
            self.version = found.group(1)
        if found := _GAMMA.search(line):
            self.stated_gamma = int(found.group(1)) or None

    def _metrics(self, piece: str) -> None:
        accepted, drafted = _ACCEPTED.search(piece), _DRAFTED.search(piece)
        if not (accepted and drafted):
            self.damage.add(f"needs Accepted: and Drafted: tokens, got {piece.strip()[:120]!r}")
            return
        try:
            part = _interval(piece, accepted.group(1), drafted.group(1))
        except ValueError as error:
            self.damage.add(str(error))
            return
        self.parts[part] = self.parts.get(part, 0) + 1

    def result(self) -> EngineCounts | None:
        """The sum over the lines."""
        self.damage.refuse_if_alone(len(self.parts))
        if not self.parts:
            return None
        return _sum_intervals(self)


def _interval(piece: str, accepted: str, drafted: str) -> Interval:
    length, rates, rate = _LENGTH.search(piece), _RATES.search(piece), _RATE.search(piece)
    shown = rates.group(1) if rates else ""
    share = None
    if rate is not None:
        share = printed(rate.group(1))
        # The V1 engine prints per cent; a line of its first weeks could be a fraction.
        share = share.scaled(0.01) if rate.group(2) else share
    found = Interval(
        accepted=whole(accepted, "Accepted"),
        drafted=whole(drafted, "Drafted"),
        length=printed(length.group(1)) if length else None,
        rates=tuple(number_list(shown)),
        whole_list=not re.search(r"…|\.\.\.", shown),
        rate=share,
    )
    found.check("Drafted")
    return found


_V1_DEFINITION = (
    "vLLM V1: acceptance length = 1 + accepted / drafts (bonus counted); accepted = leading draft "
    "tokens kept; share by position over all drafts, unconditional"
)


def _sum_intervals(log: V1Log) -> EngineCounts:
    """Add up the intervals; each distinct line is worked out once."""
    parts, notes = log.parts, log.damage.notes()
    depths = {len(p.rates) for p in parts if p.rates and p.whole_list}
    gamma = next(iter(depths)) if len(depths) == 1 else None
    if len(depths) > 1:
        shown = ", ".join(map(str, sorted(depths)))
        notes.append(f"the number of draft positions changes between lines ({shown}): gamma null")
    elif gamma is None and log.stated_gamma is not None:
        gamma = log.stated_gamma
        notes.append(f"gamma {gamma} is num_speculative_tokens as the log states it")
    total = Total()
    for part, times in parts.items():
        total.add(part, times, gamma or part.depth)
    notes += total.notes(gamma)
    lines = sum(parts.values())
    if lines > 1:
        notes.append(f"{lines} lines of one interval each are added up")
    rounds = total.rounds if total.open == 0 else None
    positions = total.positions if rounds is not None else None
    return engine_counts(
        "vllm",
        "vllm-v1-log",
        definition=_V1_DEFINITION,
        version=log.version,
        rounds=rounds,
        drafted=total.drafted,
        accepted=total.accepted,
        gamma=gamma,
        survival=None if positions else total.survival(),
        per_position_accepted=positions,
        acceptance_length=total.length(),
        intervals=lines,
        consistency=interval_checks(parts),
        notes=notes,
    )
