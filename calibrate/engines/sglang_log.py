"""SGLang's log: the decode line of an interval, and the settings that the server prints.

Source: sgl-project/sglang @ 00eef542, srt/observability/scheduler_metrics_mixin.py. The length of
a decode line is (accepted + rounds) / rounds since the line before (decode_log_interval batches),
bonus counted; the counters then start again. The rate was that number over the drafted slots,
(accepted + rounds) / (rounds x num_draft_tokens), before PR #23530 (2026-04) and is accepted /
(rounds x drafted tokens) since. Rounds are not printed: of an interval they are the running
requests times the decode steps of the interval, so requests are the weights of a mean.
"""

from __future__ import annotations

import math
import re
from collections.abc import Iterable
from dataclasses import dataclass, field, replace

from .completed import engine_counts
from .counts import EngineCounts, Group
from .lines import Damage, Source, Speeds, first_ranks, service_of, without_colours
from .numbers import MOST_POSITIONS, NUMBER, number_list, printed, survival_of, whole
from .sglang_server import DEFINITION, SETTINGS, Settings, gamma_of, printed_rate

_HEAD = re.compile(r"\[\d{4}-\d\d-\d\d \d\d:\d\d:\d\d(?: ([^\]]*))?\] Decode batch")
_RUNNING = re.compile(r"#running-req:\s*(\d+)")
_LENGTH = re.compile(
    rf"accept(?:ed)?[ _]len(?:gth)?:\s*({NUMBER})"
    rf"(?:,\s*accept(?:ance)?[ _]rate:\s*({NUMBER})(%?))?"
)
_RATE = re.compile(rf"accept(?:ance)?[ _]rate:\s*({NUMBER})(%?)")
_PLACES = re.compile(
    r"accept(?:ance)? rates?[ /_-](?:per|by|at)?[ /_-]?pos[^:\[]*:?\s*\[([^\]]*)\]"
)
_SPEED = re.compile(rf"gen throughput \(token/s\):\s*({NUMBER})")
_SETTINGS = {
    name: re.compile(rf"{key.replace('_', '[_-]')}\"?[=: ]+(\d{{1,5}})\b")
    for name, key in SETTINGS.items()
}
_VERSION = re.compile(r"\bsglang(?:==|[ -]?version[:= ]+|\s+v)(\d+\.\d+[\w.+-]*)", re.IGNORECASE)
_MOST_TALLIED = 50_000
_MOST_PAIRS = 100_000
_Key = tuple[Source, str, str, str]


@dataclass
class _Batch:
    lines: int = 0
    length: float = 0.0
    squares: float = 0.0
    throughput: float = 0.0
    timed: int = 0


@dataclass
class _Sums:
    """Running sums of one scheduler, and the pairs of length and rate that it printed."""

    by_batch: dict[int, _Batch] = field(default_factory=dict)
    pairs: set[tuple[str, str]] = field(default_factory=set)
    lines: int = 0
    low: float = math.inf
    high: float = 0.0

    def add(self, batch: int, length: str, rate: str, times: int) -> None:
        """Add one set of digits that was printed ``times`` times. Raises ValueError."""
        value = float(length.replace(",", "."))
        if not 0.995 <= value < 1e6:
            raise ValueError(f"accept len must be >= 1, got {length}")
        if len(self.pairs) < _MOST_PAIRS:
            self.pairs.add((length, rate))
        entry = self.by_batch.setdefault(batch, _Batch())
        entry.lines += times
        entry.length += times * value
        entry.squares += times * value * value
        self.lines += times
        self.low, self.high = min(self.low, value), max(self.high, value)


class DecodeLog:
    """Means over the decode lines, by running requests.

    Any line of such a log can be a decode line, so they are tallied by their digits, which are
    worked out once. Ranks that share a batch print the same lines; only the first of them counts.
    """

    engine = "sglang"
    needed: tuple[bytes, ...] = (b"accept len", b"accepted len", b"accept_len:")
    markers: tuple[bytes, ...] = (*needed, b"speculative_", b"speculative-", b"sglang")

    def __init__(self) -> None:
        self.damage = Damage("Decode batch")
        self.tally: dict[_Key, int] = {}
        self.speeds: dict[tuple[Source, str], list[float]] = {}
        self.printed: dict[Source, Speeds] = {}
        self.sources: dict[Source, _Sums] = {}
        self.settings = Settings()
        self.version: str | None = None
        self.places: list[float] = []
        self.placed = 0.0

    def feed(self, line: str) -> None:
        """Take one line."""
        if "\x1b" in line:
            line = without_colours(line)
        at = line.find("accept len")
        if at < 0:
            at = line.find("accepted len")
        if at < 0 and "Decode batch" in line:  # forks of SGLang
            at = line.find("accept_len:")
        if at < 0:
            self._setting(line)
            return
        start = line.rfind("#running-req", 0, at)
        running = _RUNNING.match(line, start) if start >= 0 else None
        found = _LENGTH.match(line, at)
        if running is None and "Decode" not in line:
            return  # a sentence of a script, see `summaries`
        if running is None or found is None:
            self.damage.add(f"needs #running-req and accept len, got {line.strip()[-120:]!r}")
            return
        length, rate, percent = found.groups()
        if rate is None and (later := _RATE.search(line, at)):
            rate, percent = later.groups()
        source, batch = _source(line, start), running.group(1)
        key = (source, batch, length, rate + percent if rate else "")
        self.tally[key] = self.tally.get(key, 0) + 1
        if len(batch) < 10 and line.find("pos", at) >= 0 and (places := _PLACES.search(line, at)):
            self._by_position(max(int(batch), 1), places.group(1))
        at = line.find("gen throughput", at)
        if at >= 0 and (speed := _SPEED.match(line, at)):
            sums, value = self.speeds.setdefault((source, batch), [0.0, 0]), speed.group(1)
            rate = float(value.replace(",", "."))
            sums[0] += rate
            sums[1] += 1
            self.printed.setdefault(source, Speeds()).add("", rate)
        if len(self.tally) > _MOST_TALLIED:
            self._fold()

    def _by_position(self, weight: int, listed: str) -> None:
        """Add the shares of a line, whose rates are of the rounds that reached a position."""
        shares = survival_of([r.value for r in number_list(listed)])
        if not all(0.0 <= s <= 1.0 for s in shares) or len(shares) > MOST_POSITIONS:
            self.damage.add(f"rates by position must be in [0, 1], got [{listed[:60]}]")
            return
        self.places += [0.0] * (len(shares) - len(self.places))
        self.placed += weight
        for k, share in enumerate(shares):
            self.places[k] += weight * share

    def _setting(self, line: str) -> None:
        for name, pattern in _SETTINGS.items():
            if setting := pattern.search(line):
                self.settings.add(name, int(setting.group(1)))
        if release := _VERSION.search(line):
            self.version = release.group(1)

    def _fold(self) -> None:
        """Work out what was tallied and add it to the sums of its rank."""
        for (source, running, length, rate), times in self.tally.items():
            try:
                batch = whole(running, "#running-req")
                self.sources.setdefault(source, _Sums()).add(batch, length, rate, times)
            except ValueError as error:
                self.damage.add(str(error), times)
                continue
            total, lines = self.speeds.pop((source, running), (0.0, 0))
            entry = self.sources[source].by_batch[batch]
            entry.throughput, entry.timed = entry.throughput + total, entry.timed + int(lines)
        self.tally.clear()

    def result(self) -> EngineCounts | None:
        """The mean length, and the means by batch."""
        self._fold()
        self.damage.refuse_if_alone(sum(r.lines for r in self.sources.values()))
        notes = self.damage.notes()
        chosen = first_ranks([name for name, s in self.sources.items() if s.lines], notes)
        if not chosen:
            return None
        speeds = [s.total() or 0.0 for n in chosen if (s := self.printed.get(n)) is not None]
        found = _mean(self, [self.sources[name] for name in chosen], notes)
        return replace(found, tokens_per_s=sum(speeds) or None)


def _source(line: str, end: int) -> Source:
    """What "[2025-10-02 23:42:16 DP0 TP0] Decode batch" says behind the time, and the service."""
    if head := _HEAD.match(line):
        return "", head.group(1) or ""
    at = line.rfind("] ", max(end - 40, 0), end)
    ranks = line[max(at - 24, 0) : at].rpartition(":")[2].partition(" ")[2] if at > 0 else ""
    return service_of(line), ranks


def _by_batch(ranks: Iterable[_Sums]) -> dict[int, _Batch]:
    found: dict[int, _Batch] = {}
    for rank in ranks:
        for batch, part in rank.by_batch.items():
            total = found.setdefault(batch, _Batch())
            total.lines += part.lines
            total.length += part.length
            total.squares += part.squares
            total.throughput += part.throughput
            total.timed += part.timed
    return dict(sorted(found.items()))


def _mean(log: DecodeLog, ranks: list[_Sums], notes: list[str]) -> EngineCounts:
    notes.append("the log prints neither rounds nor drafted nor accepted tokens: null")
    survival = [s / log.placed for s in log.places]
    notes.append(
        "rates by position are conditional: survival is their product, a mean over the lines"
        if survival else "shares by position are not printed"
    )  # fmt: skip
    by_batch, lines = _by_batch(ranks), sum(r.lines for r in ranks)
    weight = sum(max(b, 1) * e.lines for b, e in by_batch.items())
    length = sum(max(b, 1) * e.length for b, e in by_batch.items()) / weight
    error = None
    if lines > 1:
        error = _error(by_batch, length, weight)
        notes.append(
            f"acceptance length is the mean of {lines} intervals weighted with their running "
            f"requests, which stand for their rounds; lines range from "
            f"{min(r.low for r in ranks):g} to {max(r.high for r in ranks):g}"
        )
    pairs = set[tuple[str, str]]().union(*(r.pairs for r in ranks))
    rates = [(printed(a), printed_rate(b)) for a, b in sorted(pairs) if b]
    gamma = gamma_of(log.settings, rates, notes) or len(survival) or None
    return engine_counts(
        "sglang",
        "sglang-decode-log",
        definition=DEFINITION,
        version=log.version,
        gamma=gamma,
        acceptance_length=max(length, 1.0),
        survival=survival or None,
        survival_half_width=0.005 if survival else None,
        length_error=error,
        by_batch=tuple(_group(batch, part, gamma) for batch, part in by_batch.items()),
        intervals=lines,
        notes=notes,
    )


def _error(by_batch: dict[int, _Batch], length: float, weight: int) -> float:
    """Standard error of the weighted mean, from the scatter of the lines around it."""
    lines = sum(e.lines for e in by_batch.values())
    scatter = sum(
        max(b, 1) ** 2 * max(e.squares - 2.0 * length * e.length + e.lines * length**2, 0.0)
        for b, e in by_batch.items()
    )
    return math.sqrt(scatter * lines / (lines - 1)) / weight


def _group(batch: int, part: _Batch, gamma: int | None) -> Group:
    return Group(
        label=f"{batch} running requests",
        batch=batch,
        gamma=gamma,
        acceptance_length=part.length / part.lines,
        tokens_per_s=part.throughput / part.timed if part.timed else None,
        intervals=part.lines,
    )
