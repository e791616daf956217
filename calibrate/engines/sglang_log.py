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
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import NamedTuple

import numpy as np

from ..stated import Floats, printed
from .completed import counts_as
from .counts import EngineCounts, Group, ratio
from .lines import Damage, Source, Speeds, first_ranks, service_of, without_colours
from .numbers import MOST_POSITIONS, NUMBER, number_list, survival_of, whole
from .sglang_server import SETTINGS, Settings, gamma_of, printed_rate

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


class _Batch(NamedTuple):
    """Sums of the lines with so many running requests; timed: lines that state a throughput."""

    batch: int
    lines: float
    length: float
    squares: float
    throughput: float
    timed: float


@dataclass
class _Sums:
    """Running sums of one scheduler, and the pairs of length and rate that it printed.

    by_batch: what `_Batch` names, of each batch.
    """

    by_batch: dict[int, Floats] = field(default_factory=dict)
    pairs: set[tuple[str, str]] = field(default_factory=set)
    low: float = math.inf
    high: float = 0.0

    @property
    def lines(self) -> int:
        """All lines."""
        return int(sum(part[0] for part in self.by_batch.values()))

    def add(self, batch: int, length: str, rate: str, times: int, speeds: Sequence[float]) -> None:
        """Add one set of digits that was printed ``times`` times. Raises ValueError."""
        value = float(length.replace(",", "."))
        if not 0.995 <= value < 1e6:
            raise ValueError(f"accept len must be >= 1, got {length}")
        if len(self.pairs) < _MOST_PAIRS:
            self.pairs.add((length, rate))
        part = np.array([times, times * value, times * value * value, *speeds])
        self.by_batch[batch] = self.by_batch.get(batch, 0.0) + part
        self.low, self.high = min(self.low, value), max(self.high, value)


class DecodeLog:
    """Means over the decode lines, by running requests.

    Any line of such a log can be a decode line, so they are tallied by their digits, which are
    worked out once. Ranks that share a batch print the same lines; only the first of them counts.
    """

    markers: tuple[bytes, ...] = (b"accept len", b"accepted len", b"accept_len:", b"speculative_",
                                  b"speculative-", b"sglang")  # fmt: skip

    def __init__(self) -> None:
        self.damage = Damage("Decode batch")
        self.tally: dict[_Key, int] = {}
        self.speeds: dict[tuple[Source, str], list[float]] = {}
        self.printed: dict[Source, Speeds] = {}
        self.sources: dict[Source, _Sums] = {}
        self.settings: Settings = {}
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
                self.settings.setdefault(name, set()).add(int(setting.group(1)))
        if release := _VERSION.search(line):
            self.version = release.group(1)

    def _fold(self) -> None:
        """Work out what was tallied and add it to the sums of its rank."""
        for (source, running, length, rate), times in self.tally.items():
            sums = self.sources.setdefault(source, _Sums())
            try:
                batch = whole(running, "#running-req")
                sums.add(batch, length, rate, times, self.speeds.get((source, running), (0.0, 0)))
            except ValueError as error:
                self.damage.add(str(error), times)
                continue
            self.speeds.pop((source, running), None)
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
        return _mean(self, [self.sources[n] for n in chosen], sum(speeds) or None, notes)


def _source(line: str, end: int) -> Source:
    """What "[2025-10-02 23:42:16 DP0 TP0] Decode batch" says behind the time, and the service."""
    if head := _HEAD.match(line):
        return "", head.group(1) or ""
    at = line.rfind("] ", max(end - 40, 0), end)
    ranks = line[max(at - 24, 0) : at].rpartition(":")[2].partition(" ")[2] if at > 0 else ""
    return service_of(line), ranks


def _mean(
    log: DecodeLog, ranks: list[_Sums], speed: float | None, notes: list[str]
) -> EngineCounts:
    notes.append("the log prints neither rounds nor drafted nor accepted tokens: null")
    survival = [s / log.placed for s in log.places]
    notes.append(
        "rates by position are conditional: survival is their product, a mean over the lines"
        if survival else "shares by position are not printed"
    )  # fmt: skip
    added: dict[int, Floats] = {}
    for rank in ranks:
        for batch, part in rank.by_batch.items():
            added[batch] = added.get(batch, 0.0) + part
    by_batch = [_Batch(b, *part.tolist()) for b, part in sorted(added.items())]
    lines = int(sum(e.lines for e in by_batch))
    weight = sum(max(e.batch, 1) * int(e.lines) for e in by_batch)
    length, error = sum(max(e.batch, 1) * e.length for e in by_batch) / weight, None
    if lines > 1:
        # Standard error of the weighted mean, from the scatter of the lines around it.
        scatter = sum(
            max(e.batch, 1) ** 2
            * max(e.squares - 2.0 * length * e.length + e.lines * length**2, 0.0)
            for e in by_batch
        )
        error = math.sqrt(scatter * lines / (lines - 1)) / weight
        notes.append(
            f"acceptance length is the mean of {lines} intervals weighted with their running "
            f"requests, which stand for their rounds; lines range from "
            f"{min(r.low for r in ranks):g} to {max(r.high for r in ranks):g}"
        )
    pairs = set[tuple[str, str]]().union(*(r.pairs for r in ranks))
    rates = [(printed(a), printed_rate(b)) for a, b in sorted(pairs) if b]
    gamma = gamma_of(log.settings, rates, notes) or len(survival) or None
    return counts_as(
        "sglang-decode-log",
        version=log.version,
        tokens_per_s=speed,
        gamma=gamma,
        acceptance_length=max(length, 1.0),
        survival=survival or None,
        survival_half_width=0.005 if survival else None,
        length_error=error,
        by_batch=tuple(
            Group(
                label=f"{e.batch} running requests",
                batch=e.batch,
                gamma=gamma,
                acceptance_length=e.length / e.lines,
                tokens_per_s=ratio(e.throughput, e.timed),
                intervals=int(e.lines),
            )
            for e in by_batch
        ),
        intervals=lines,
        notes=notes,
    )
