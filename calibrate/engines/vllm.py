"""vLLM: the log line of the V1 engine, one for each interval, and the JSON of `vllm bench serve`.

Source: vllm-project/vllm @ ee4ceaae, v1/spec_decode/metrics.py. Acceptance length = 1 + accepted /
drafts, share by position over all drafts, the rate in per cent; all of one interval, after which
the counters start again. Drafts (rounds) are not printed: they follow from the digits.
"""

from __future__ import annotations

import re
from typing import Any

from ..stated import printed
from .completed import counts_as
from .counts import EngineCounts
from .intervals import Interval, interval_of
from .lines import (
    Damage,
    Digits,
    Intervals,
    Source,
    Speeds,
    first,
    first_ranks,
    source_of,
    without_colours,
)
from .numbers import MOST_POSITIONS, NUMBER, WHOLE, count, number
from .row_sums import counts_of_rows
from .rows import COUNTS, Row

# Accepted and drafted tokens, acceptance length, shares by position, rate with its per cent sign.
_FIELDS = (
    re.compile(rf"\bAccepted:\s*({WHOLE})\s*tokens\b"),
    re.compile(rf"\bDrafted:\s*({WHOLE})\s*tokens\b"),
    re.compile(rf"\bMean acceptance length:\s*({NUMBER})"),
    re.compile(r"\bPer-position acceptance rate:\s*([^A-Za-z]*)"),
    re.compile(rf"\b[Dd]raft acceptance rate:\s*((?:{NUMBER})\s*%?)"),
)
_RATES = [re.compile(rf"\b{n} throughput:\s*(\d+(?:\.\d+)?)") for n in ("Accepted", "Drafted")]
_USUAL, _PAUSE = 10.0, 15.0  # seconds from one line to the next, and what no digits make of them
_SPEED = re.compile(r"generation throughput:\s*(\d+(?:\.\d+)?)\s*tok")
_ENGINE = re.compile(r"\bEngine (\d+)")
_VERSION = re.compile(r"(?:LLM engine \(v|API server version[: ]+v?)(\d+\.\d+[\w.+-]*)")
_GAMMA = re.compile(r"num[_-]spec(?:ulative)?[_-]tokens\\?[\"']?\s*[=: ]\s*(\d{1,4})\b")


class V1Log:
    """Sums the lines "SpecDecoding metrics: ..." of the V1 engine.

    Ranks that share a batch print the same lines; only those of the first count.
    """

    markers: tuple[bytes, ...] = (b"SpecDecoding metrics", b"LLM engine (v",
                                  b"API server version", b"num_spec")  # fmt: skip
    follows = (b"SpecDecoding metrics", b"generation throughput:")

    def __init__(self) -> None:
        self.damage = Damage("SpecDecoding metrics")
        self.version: str | None = None
        self.stated: set[int] = set()
        self.sources: dict[Source, Intervals] = {}
        self.throughput = _Throughput()
        self.speeds = Speeds()

    def behind(self, line: str) -> None:
        """Take the line before one of metrics, which states the throughput of the same interval."""
        speed = first(_SPEED, line)
        self.throughput.speed = None if speed is None else float(speed)
        if self.throughput.speed is not None:
            self.speeds.add(first(_ENGINE, line) or "", self.throughput.speed)

    def feed(self, line: str) -> None:
        """Take one line."""
        line = without_colours(line)
        if "SpecDecoding metrics" in line:
            before, *pieces = line.split("SpecDecoding metrics")
            for piece in pieces:
                self._metrics(piece, source_of(before))
            return
        self.version = first(_VERSION, line) or self.version
        self.stated |= {int(first(_GAMMA, line) or 0)} - {0}

    def _metrics(self, piece: str, source: Source) -> None:
        found = [m[1] if (m := p.search(piece)) else None for p in _FIELDS]
        accepted, drafted = found[:2]
        if not (accepted or drafted or piece.startswith(":")):
            return  # words on such lines
        if not (accepted and drafted):
            self.damage.add(f"needs Accepted: and Drafted: tokens, got {piece.strip()[:120]!r}")
            return
        if source not in self.sources:
            self.sources[source] = Intervals(_interval, self.damage)
        if self.throughput.speed is not None:
            self.throughput.add(piece, accepted, drafted)
        self.sources[source].add(tuple(found))

    def result(self) -> EngineCounts | None:
        """The sum over the lines."""
        for lines in self.sources.values():
            lines.settle()
        self.damage.refuse_if_alone(sum(s.lines for s in self.sources.values()))
        notes = self.damage.notes()
        read = [source for source, lines in self.sources.items() if lines.lines]
        chosen = [self.sources[source] for source in first_ranks(read, notes)]
        if not chosen:
            return None
        for other in chosen[1:]:
            chosen[0].join(other)
        parts, pair = chosen[0], self.throughput if len(chosen) == 1 else _Throughput()
        gamma = _gamma(parts.depths, self.stated, notes)
        total = parts.total(next(iter(self.stated)) if len(self.stated) == 1 else None)
        notes += total.notes()
        if parts.lines > 1:
            notes.append(f"{parts.lines} lines of one interval each are added up")
        return counts_as(
            "vllm-v1-log",
            version=self.version,
            gamma=gamma,
            acceptance_length=total.length(),
            tokens=pair.total(parts.lines, total.accepted, total.middle, notes),
            tokens_per_s=self.speeds.total(),
            intervals=parts.lines,
            consistency=parts.checks(),
            notes=notes,
            **total.known(),
        )


def _interval(digits: Digits) -> Interval:
    """The interval of (accepted, drafted, length, list of shares, rate)."""
    accepted, drafted, length, shown, rate = digits
    share = None
    if rate is not None:
        # The V1 engine prints per cent; a line of its first weeks could be a fraction.
        share = printed(rate.rstrip("% ")).scaled(0.01 if rate.endswith("%") else 1.0)
    return interval_of(accepted, drafted, length, shown, share, ("Accepted", "Drafted"))


class _Throughput:
    """All tokens of the intervals whose throughput stands in the line before.

    An interval lasts accepted tokens over accepted throughput (drafted over drafted); the
    throughput of generation times that are its tokens, to the printed digits. After a pause the
    drafts' interval begins with the last draft, that of generation with the last line, 10 s before:
    a longer one is left out where 10 s of generation give the tokens of the rounds.
    """

    def __init__(self) -> None:
        self.speed: float | None = None
        self.lines = self.accepted = self.paused = 0
        self.tokens = 0.0

    def add(self, piece: str, *counts: str) -> None:
        """Take one line of metrics, accepted and drafted, and forget the line before it."""
        speed, self.speed = self.speed or 0.0, None
        for tokens, pattern in zip(counts, _RATES, strict=True):
            rate = float(first(pattern, piece) or 0.0)
            count = int(tokens.replace(",", "")) if len(tokens) < 19 else 0
            if count and rate > 0.0:
                kept, length = int(counts[0].replace(",", "")), float(first(_FIELDS[2], piece) or 1)
                made = kept / (1.0 - 1.0 / length) if length > 1.0 else float(kept)
                if count / rate > _PAUSE and _USUAL * (speed + 0.05) > 0.95 * made:
                    self.paused += 1
                    return
                self.tokens += speed * count / rate
                self.accepted += kept
                self.lines += 1
                return

    def total(self, lines: int, accepted: int, rounds: float, notes: list[str]) -> int | None:
        """All tokens, where nine of ten lines or more state them; more than accepted + rounds."""
        if self.lines + self.paused < 0.9 * lines or self.lines < 0.5 * lines or not self.accepted:
            return None
        found = round(self.tokens * accepted / self.accepted)
        notes.append("tokens are the printed throughput of generation times the intervals' lengths")
        # The digits of a throughput are too few to tell a step or two.
        return found if found > 1.02 * (accepted + rounds) else None


def _gamma(depths: set[int], stated: set[int], notes: list[str]) -> int | None:
    if len(depths) == 1:
        return next(iter(depths))
    shown = ", ".join(map(str, sorted(depths or stated))) or "not stated"
    if depths:
        notes.append(f"the number of draft positions changes between lines ({shown}): gamma null")
    elif len(stated) == 1:
        notes.append(f"gamma {shown} is num_speculative_tokens as the log states it")
        return next(iter(stated))
    else:
        notes.append(f"the number of draft positions is {shown}: gamma null")
    return None


_PREFIX = "spec_decode_"
_ROLES = {"rounds": "num_drafts", "drafted": "draft_tokens", "accepted": "accepted_tokens",
          "rate": "acceptance_rate", "length": "acceptance_length"}  # fmt: skip


class VllmBench:
    """Runs of the benchmark; several are added up."""

    keys = frozenset({f"{_PREFIX}num_drafts", f"{_PREFIX}acceptance_length"})

    def __init__(self) -> None:
        self.rows: list[Row] = []

    def take(self, entry: dict[str, Any], key: str) -> bool:
        """Take a run."""
        if isinstance(entry.get(f"{_PREFIX}acceptance_length"), dict):
            return False
        row = Row(f"run {len(self.rows) + 1}")
        for role, name in _ROLES.items():
            value = entry.get(_PREFIX + name)
            value = count(value, name) if role in COUNTS else number(value, name)
            if value is not None:
                row.put(role, f"{value!r}{'%' if role == 'rate' else ''}", name)
        shares = entry.get(f"{_PREFIX}per_position_acceptance_rates")
        for share in shares[:MOST_POSITIONS] if isinstance(shares, list) else ():
            value = number(share, "per-position acceptance rate")
            if value is not None:
                near = -1e-12 <= value <= 1.0 + 1e-12
                row.put("0", repr(min(max(value, 0.0), 1.0) if near else value))
        row.close()
        self.rows.append(row)
        return True

    def result(self) -> EngineCounts | None:
        """The sums over runs."""
        if not self.rows:
            return None
        many = len(self.rows)
        return counts_of_rows(self.rows, "vllm-bench-serve", [], intervals=many)
