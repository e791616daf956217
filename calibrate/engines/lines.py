"""What every reader shares: lines that were cut, ranks, streams, and lines alike counted once."""

from __future__ import annotations

import re
import statistics
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import Protocol

from .counts import Check, EngineCounts, checks, ratio
from .intervals import Interval, Total

_ANSI = re.compile(r"\x1b\[[0-9;?]*[ -/]*[@-~]")
_RANK = re.compile(r"(?:\b|_)(DP|PP|TP|rank)[ _=]?(\d{1,5})(?!\d)")
_SERVICE = re.compile(r"(?:\[pod/([^\]\s]+)\]|([\w./-]+)\s*\|)\s")
_PROCESS = re.compile(r"\b(?:pid=|pid |rank |TP|DP|PP)(\d+)\b")
Source = tuple[str, str]


class LineTaker(Protocol):
    """Takes the lines that hold one of its markers, bytes."""

    markers: tuple[bytes, ...]

    def feed(self, line: str) -> None:
        """Take one line."""
        ...


class LineReader(LineTaker, Protocol):
    """Gives the counts of its lines in the end."""

    def result(self) -> EngineCounts | None:
        """The counts, or None where no line was this reader's. ValueError where none was whole."""
        ...


class NoWholeLineError(ValueError):
    """Lines of a log that lack what their reader needs, all of them."""


@dataclass
class Damage:
    """Lines that carry a reader's marker and cannot be read: how many, and the first reason."""

    label: str
    lines: int = 0
    reason: str = ""

    def add(self, reason: str, lines: int = 1) -> None:
        """Count a line, or several alike."""
        self.lines += lines
        self.reason = self.reason or reason

    def refuse_if_alone(self, whole: int) -> None:
        """Raise ValueError where lines are damaged and none is whole; its kind where they lack."""
        if self.lines and not whole:
            kind = NoWholeLineError if self.reason.startswith("needs") else ValueError
            raise kind(f"{self.label}: no line can be read; the first: {self.reason}")

    def notes(self) -> list[str]:
        """One sentence where lines were left out."""
        if not self.lines:
            return []
        noun = "line was" if self.lines == 1 else "lines were"
        return [f"{self.lines} {self.label} {noun} left out; the first: {self.reason}"]


def without_colours(line: str) -> str:
    """The line without the escape sequences of a terminal."""
    return _ANSI.sub("", line) if "\x1b" in line else line


def first(pattern: re.Pattern[str], text: str) -> str | None:
    """The first group of a pattern where a text holds it."""
    found = pattern.search(text)
    return found[1] if found else None


def service_of(prefix: str) -> str:
    """The service that docker compose or kubectl put before a line, "" where there is none."""
    if prefix.startswith("[pod/") or " | " in prefix[:80] or "| " in prefix[:80]:
        found = _SERVICE.match(prefix)
        return (found.group(1) or found.group(2)) if found else ""
    return ""


def process_of(line: str) -> str:
    """The service, process and ranks that a log prefix names, "" where it names none."""
    found = [service_of(line), *(m.group(0) for m in _PROCESS.finditer(line[:200]))]
    return "/".join(part for part in found if part)


def source_of(prefix: str) -> Source:
    """(service, ranks) of the prefix of a line, such as ("vllm-1", "DP0 TP1")."""
    if "P" not in prefix and "rank" not in prefix:
        return service_of(prefix), ""
    ranks = " ".join(kind + number for kind, number in _RANK.findall(prefix[-160:]))
    return service_of(prefix), ranks


def first_ranks(sources: Iterable[Source], notes: list[str]) -> list[Source]:
    """Of several sources those whose lines count; ``notes`` say what is left out or added up.

    Ranks of tensor and pipeline parallelism work on one batch and repeat each other, those of data
    parallelism have batches of their own: of each DP rank the lowest PP and TP rank counts.
    """
    best: dict[Source, tuple[tuple[int, int], Source]] = {}
    sources = list(sources)
    for service, ranks in sources:
        found: dict[str, str] = dict(_RANK.findall(ranks))
        order = (int(found.get("PP", "0")), int(found.get("TP", found.get("rank", "0"))))
        group = (service, found.get("DP", "DP") if found else "")
        if group not in best or order < best[group][0]:
            best[group] = (order, (service, ranks))
    chosen = [source for _, source in best.values()]
    if len(chosen) < len(sources):
        left = ", ".join(sorted({" ".join(s).strip() for s in set(sources) - set(chosen)}))
        notes.append(f"ranks that share a batch repeat its lines: those of {left} are left out")
    services = sorted({service for service, _ in chosen})
    if len(services) > 1:
        shown = ", ".join(s or "no service" for s in services)
        notes.append(f"lines of several services are taken together: {shown}")
    return chosen


class Speeds:
    """Speeds of generation that lines print, by who prints them; at most 4,096 of each are kept."""

    def __init__(self) -> None:
        self._seen: dict[str, list[float]] = {}
        self._stride: dict[str, tuple[int, int]] = {}

    def add(self, who: str, speed: float) -> None:
        """Take one, of an interval in which something was generated."""
        every, count = self._stride.get(who, (1, 0))
        self._stride[who] = every, count + 1
        kept = self._seen.setdefault(who, [])
        if speed > 0.0 and count % every == 0:
            kept.append(speed)
            if len(kept) >= 4096:
                del kept[::2]
                self._stride[who] = 2 * every, count + 1

    def total(self) -> float | None:
        """The sum of the medians, which the first and last interval of a burst do not move."""
        medians = [statistics.median(kept) for kept in self._seen.values() if kept]
        return sum(medians) if medians else None


_MOST_DISTINCT = 50_000
_MOST_WRONG = 20
Digits = tuple[str | None, ...]


class Intervals:
    """Lines of one log with their sums.

    read: the interval behind the digits, ValueError where it cannot be; exact: every full round
    drafts as many tokens as positions are printed, not only at most. Beyond 50,000 distinct sets
    they are worked out at once, so that memory does not grow with the log. What is counted here
    holds after `settle`.
    """

    def __init__(
        self, read: Callable[[Digits], Interval], damage: Damage, *, exact: bool = True
    ) -> None:
        self.exact = exact
        self.lines = self.drafted = self.without_length = 0
        self.depths: set[int] = set()
        self._read, self._damage = read, damage
        self._tally: dict[Digits, int] = {}
        self._parts: list[tuple[Interval, int]] = []
        self._total = Total()
        self._right: list[Check] = []
        self._wrong: list[Check] = []

    def add(self, digits: Digits, times: int = 1) -> None:
        """Take one line, or several alike."""
        self._tally[digits] = self._tally.get(digits, 0) + times
        if len(self._tally) > _MOST_DISTINCT:
            self.settle()
            self._sum(None)

    def join(self, other: Intervals) -> None:
        """Take the lines of another log of the same kind, such as of another rank."""
        other.settle()
        self._parts += other._parts
        self._total.join(other._total)
        self._right, self._wrong = self._right + other._right, self._wrong + other._wrong
        self.lines += other.lines
        self.drafted += other.drafted
        self.without_length += other.without_length
        self.depths |= other.depths

    def settle(self) -> None:
        """Read what was tallied."""
        for digits, times in self._tally.items():
            try:
                part = self._read(digits)
            except ValueError as error:
                self._damage.add(str(error), times)
                continue
            self._parts.append((part, times))
            self.lines += times
            self.drafted += times * part.drafted
            self.without_length += times * (part.length is None)
            if part.depth is not None:
                self.depths.add(part.depth)
        self._tally.clear()

    def total(self, stated: int | None) -> Total:
        """The sums; stated: drafted tokens of a round, for lines that print no whole list."""
        self.settle()
        only = next(iter(self.depths)) if len(self.depths) == 1 else None
        self._sum(only or stated)
        return self._total

    def checks(self) -> tuple[Check, ...]:
        """Printed rates against the sums: two of them, or those that disagree, after `total`."""
        return tuple(self._wrong or self._right[:2])

    def _sum(self, gamma: int | None) -> None:
        for part, times in self._parts:
            rounds = self._total.add(part, times, part.depth or gamma, exact=self.exact)
            for check in checks(
                ("drafted rate", part.rate, ratio(part.accepted, part.drafted)),
                ("acceptance length", part.length, ratio(part.accepted, rounds, 1.0)),
            ):
                kept = self._right if check.agrees else self._wrong
                if len(kept) < _MOST_WRONG:
                    kept.append(check)
        self._parts.clear()
