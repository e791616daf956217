"""vLLM's log line of the V1 engine, one for each interval.

Source: vllm-project/vllm @ ee4ceaae, v1/spec_decode/metrics.py. Acceptance length = 1 + accepted /
drafts, share by position over all drafts, the rate in per cent; all of one interval, after which
the counters start again. Drafts (rounds) are not printed: they follow from the digits.
"""

from __future__ import annotations

import re
from dataclasses import dataclass

from .counts import Check, EngineCounts, compare, engine_counts
from .lines import Damage, without_colours
from .printed import (
    NUMBER,
    WHOLE,
    Printed,
    counts_behind,
    number_list,
    printed,
    prints_rates,
    whole,
    whole_numbers_between,
)

_ACCEPTED = re.compile(rf"\bAccepted:\s*({WHOLE})\s*tokens\b")
_DRAFTED = re.compile(rf"\bDrafted:\s*({WHOLE})\s*tokens\b")
_LENGTH = re.compile(rf"\bMean acceptance length:\s*({NUMBER})")
_RATES = re.compile(r"\bPer-position acceptance rate:\s*([^A-Za-z]*)")
_RATE = re.compile(rf"\b[Dd]raft acceptance rate:\s*({NUMBER})\s*(%?)")
_VERSION = re.compile(r"(?:LLM engine \(v|API server version[: ]+v?)(\d+\.\d+[\w.+-]*)")
_GAMMA = re.compile(r"num[_-]spec(?:ulative)?[_-]tokens\\?[\"']?\s*[=: ]\s*(\d{1,4})\b")
_ROUND_SEARCH = 20_000


@dataclass(frozen=True)
class Interval:
    """One V1 line. rates: share by position; whole_list: the list was not cut off."""

    accepted: int
    drafted: int
    length: Printed | None
    rates: tuple[Printed, ...]
    whole_list: bool
    rate: Printed | None

    def rounds_range(self, gamma: int | None) -> tuple[float, float]:
        """The rounds that print as this length, between drafted / gamma and drafted."""
        low, high = self.drafted / (gamma or self.drafted or 1), float(self.drafted)
        if self.length is not None and self.accepted:
            low = max(low, self.accepted / max(self.length.high - 1.0, 1e-12))
            if self.length.low > 1.0:
                high = min(high, self.accepted / (self.length.low - 1.0))
        return low, high

    def rounds(self, gamma: int | None) -> tuple[int | None, str]:
        """The rounds, and how they follow: "full", "digits" or "" where they do not."""
        low, high = self.rounds_range(gamma)
        if not self.drafted:
            return 0, "digits"
        if gamma and self.drafted % gamma == 0:
            full = self.drafted // gamma
            if low <= full * (1 + 1e-9) and full <= high * (1 + 1e-9) and self._fits(full):
                return full, "full"
        fitting = whole_numbers_between(low, high, _ROUND_SEARCH)
        if self.length is None or len(fitting) > _ROUND_SEARCH:
            return None, ""
        fitting = [n for n in fitting if self._fits(n)]
        return (fitting[0], "digits") if len(fitting) == 1 else (None, "")

    def _fits(self, rounds: int) -> bool:
        if not prints_rates(self.rates, rounds):
            return False
        counts = counts_behind(self.rates, rounds) if self.whole_list and self.rates else None
        return counts is None or sum(counts) == self.accepted


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
    if found.accepted > found.drafted:
        raise ValueError(
            f"Accepted must be in [0, Drafted = {found.drafted}], got {found.accepted}"
        )
    for r in found.rates:
        if not -1e-9 <= r.value <= 1.0:
            raise ValueError(f"Per-position acceptance rate must be in [0, 1], got {r.text}")
    if found.length is not None and not found.length.high >= 1.0:
        raise ValueError(f"Mean acceptance length must be >= 1, got {found.length.text}")
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
    total = _Total()
    for part, times in parts.items():
        total.add(part, times, gamma if gamma else (len(part.rates) or None))
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
        consistency=_checks(parts),
        notes=notes,
    )


class _Total:
    """Running sums over intervals. open: lines whose rounds the digits leave open."""

    def __init__(self) -> None:
        self.rounds = self.drafted = self.accepted = self.open = self.full = self.by_digits = 0
        self.low = self.high = self.middle = 0.0
        self.positions: list[int] | None = []
        self.shares: list[float] = []
        self.shared = 0.0
        self.cut = False

    def add(self, part: Interval, times: int, gamma: int | None) -> None:
        """Add one line that stands ``times`` times."""
        self.drafted += times * part.drafted
        self.accepted += times * part.accepted
        rounds, how = part.rounds(gamma)
        low, high = part.rounds_range(gamma) if rounds is None else (rounds, rounds)
        weight = 0.5 * (low + high)
        if part.length is not None and part.accepted and part.length.value > 1.0:
            weight = min(max(part.accepted / (part.length.value - 1.0), low), high)
        self.low, self.high = self.low + times * low, self.high + times * high
        self.middle += times * weight
        if rounds is None:
            self.open += times
        else:
            self.rounds += times * rounds
            self.full += times * (how == "full")
            self.by_digits += times * (how == "digits" and rounds > 0)
        self._add_positions(part, times, rounds, weight)

    def _add_positions(self, part: Interval, times: int, rounds: int | None, weight: float) -> None:
        known = part.whole_list and bool(part.rates) and rounds is not None
        counts = counts_behind(part.rates, rounds) if known and rounds is not None else None
        if not part.drafted:
            counts = []
        if counts is None or (part.drafted and sum(counts) != part.accepted):
            self.positions = None
        if self.positions is not None and counts is not None:
            wider = [0] * (len(counts) - len(self.positions))
            self.positions += wider
            for k, n in enumerate(counts):
                self.positions[k] += times * n
        self.cut = self.cut or not part.whole_list
        if not part.rates:
            return
        self.shares += [0.0] * (len(part.rates) - len(self.shares))
        self.shared += times * weight
        for k, rate in enumerate(part.rates):
            self.shares[k] += times * weight * rate.value

    def survival(self) -> list[float] | None:
        """Printed shares, weighted with the rounds; None where not every line has them."""
        if not self.shares or self.shared < self.middle * (1.0 - 1e-9):
            return None
        found = [min(1.0, s / self.shared) for s in self.shares]
        return [min(found[: k + 1]) for k in range(len(found))]

    def length(self) -> float | None:
        """Tokens per round from the sums, to the digits where rounds are open."""
        if self.open == 0:
            return 1.0 + self.accepted / self.rounds if self.rounds else None
        wide = self.high > 1.25 * self.low + 1.0
        return None if wide or not self.middle else 1.0 + self.accepted / self.middle

    def notes(self, gamma: int | None) -> list[str]:
        """How the rounds follow, or why they do not."""
        said = []
        if self.full:
            said.append(
                f"rounds = drafted / gamma where the line prints {gamma} positions or the log "
                f"states gamma, drafted divides by it and the printed digits agree "
                f"({self.full} lines): every round drafted its full length"
            )
        if self.by_digits:
            said.append(
                f"rounds are the only whole number that prints the digits ({self.by_digits} lines)"
            )
        if self.open:
            low, high = math_range(self.low, self.high)
            said.append(
                f"rounds are not printed and {self.open} lines leave them open: the sum is in "
                f"[{low}, {high}], so rounds is null; lengths and shares hold to the printed digits"
            )
        if self.cut:
            said.append("the list of positions is cut off by an ellipsis: survival is its start")
        return said


def math_range(low: float, high: float) -> tuple[int, int]:
    """Whole numbers around a range."""
    return int(-(-low // 1)), int(high // 1)


def _checks(parts: dict[Interval, int]) -> tuple[Check, ...]:
    """Printed rates against accepted / drafted: one check, or every line that disagrees."""
    found = []
    for part in parts:
        if part.rate is not None and part.drafted:
            found.append(compare("drafted rate", part.rate, part.accepted / part.drafted))
        rounds, _ = part.rounds(len(part.rates) or None)
        if part.length is not None and rounds:
            found.append(compare("acceptance length", part.length, 1.0 + part.accepted / rounds))
    wrong = [c for c in found if not c.agrees]
    return tuple(wrong[:20]) if wrong else tuple(found[:2])
