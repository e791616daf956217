"""llama.cpp's server log: lines for each request, each round, or statistics since the start.

Source: ggml-org/llama.cpp, tools/server. "draft acceptance = 0.6 (167 accepted / 259 generated)"
closes a request, with the mean length and the shares by position from PR #24536 on; earlier "draft
acceptance rate = ...", whose denominator changed with PR #14104 from all tokens of a request to the
generated draft tokens. "eval time = .. / N tokens" states all its tokens, which bounds the rounds.
"accepted a/b draft tokens" is one round. Statistics (common/speculative.cpp) run on for each kind
of draft, their rounds being the accept calls, by which shares and mean length are divided; they are
preferred, then rounds.
"""

from __future__ import annotations

import math
import re
from dataclasses import dataclass
from typing import Any

from ..stated import printed
from .completed import counts_as
from .counts import Check, EngineCounts, Group, checks, ratio
from .intervals import Interval, Total, interval_of
from .lines import Damage, Digits, Intervals, Source, first, service_of, without_colours
from .numbers import MOST_POSITIONS, NUMBER, whole
from .row_sums import of_rounds

_GAMMA = re.compile(r"(?:--draft-max|--draft-n|--draft|--spec-draft-n-max|\bn_max)[ =]+(\d{1,4})\b")
_BUILD = re.compile(r"\bbuild(?:(?:_info)?:\s*| )(b?\d[\w.-]*)")
_TASK = re.compile(r"\btask\s+(\d+)")
_EVAL = re.compile(r"(?<!prompt )\beval time\s*=\s*([\d.]+)\s*ms\s*/\s*(\d+)\s*(?:tokens|runs)")
_ROUND = re.compile(r"accepted\s+(\d+)\s*/\s*(\d+)\s+draft tokens")
_REQUEST = re.compile(
    rf"draft acceptance(?: rate)?\s*=\s*({NUMBER})"
    r"\s*\(\s*(\d+)\s+accepted\s*/\s*(\d+)\s+generated\)"
    rf"(?:,\s*mean (?:acceptance length|len)\s*=\s*({NUMBER}))?"
    r"(?:,\s*acceptance rate per position\s*=\s*\(([^)]*)\)?)?"
)
_KIND = re.compile(r"statistics\s+([\w.-]+):")
_COUNTS = {
    name: re.compile(rf"#{name}\s*=\s*(\d+)")
    for name in ("gen drafts", "acc drafts", "gen tokens", "acc tokens")
}
_CALLS = re.compile(r"#calls\(b,g,a\)\s*=\s*\d+\s+\d+\s+(\d+)")
_MEAN = re.compile(rf"#mean acc len\s*=\s*({NUMBER})")
_RATES = re.compile(r"#acc rate/pos\s*=\s*\(([^)]*)\)")
_TIMES = re.compile(rf"dur\(b,g,a\)\s*=\s*({NUMBER}),\s+({NUMBER}),\s+({NUMBER})\s*ms")
_OPEN = 20_000


@dataclass(frozen=True)
class _Statistics:
    """A line of statistics; rounds: the accept calls, else the drafts that were generated.

    any_accepted: drafts with an accepted first token; times_s: of drafting and of accepting.
    """

    kind: str
    rounds: int
    counted_drafts: bool
    any_accepted: int | None
    interval: Interval
    times_s: tuple[float, float] | None

    def group(self) -> Group:
        """The counts of this kind of draft."""
        return Group.of(self.kind, self.rounds, self.interval.drafted, self.interval.accepted)

    def checks(self) -> list[Check]:
        """What is printed as a mean and as a share against the counts."""
        share = self.interval.rates[0] if self.interval.rates else None
        mean = ratio(self.interval.accepted, self.rounds, 1.0)
        return checks(
            ("acceptance length", self.interval.length, mean),
            ("share at position 1", share, ratio(self.any_accepted, self.rounds)),
        )


class _StatisticsLines:
    """Keeps the last line of each kind of draft; a fall of its counts is a restart."""

    def __init__(self) -> None:
        self.last: dict[Source, _Statistics] = {}
        self.ended: list[_Statistics] = []
        self.lines = 0

    def feed(self, line: str) -> None:
        """Take one line. Raises ValueError where it cannot be."""
        found = _statistics(line)
        self.lines += 1
        source = (service_of(line), found.kind)
        before = self.last.get(source, found)
        if (
            found.interval.drafted < before.interval.drafted
            or found.interval.accepted < before.interval.accepted
        ):
            self.ended.append(before)
        self.last[source] = found

    def against(self, served: int, notes: list[str]) -> bool:
        """Whether the requests of the same log, which drafted ``served``, add up to them."""
        drafted = sum(p.interval.drafted for p in (*self.ended, *self.last.values()))
        said = "the lines of the requests add up to "
        if served == drafted:
            notes.append(said + "the statistics")
            return True
        notes.append(
            f"{said}{served} drafted tokens, the statistics to {drafted}; the statistics are taken"
        )
        return False

    def known(self, stated: int | None, notes: list[str]) -> dict[str, Any]:
        """The sum over kinds and restarts; stated: the longest draft of the log's settings."""
        parts, total = [*self.ended, *self.last.values()], Total()
        for part in parts:
            total.add(part.interval, 1, None, known=part.rounds)
        if self.lines > len(parts):
            notes.append(f"counts run since the start: the last of {self.lines} lines is taken")
        if any(p.counted_drafts for p in parts):
            notes.append("rounds are the drafts that were generated: the line has no accept calls")
        if self.ended:
            notes.append(f"the counts fell {len(self.ended)} times: restarts are added up")
        depths = {len(p.interval.rates) for p in parts if p.interval.rates}
        # Lines list no position that nothing was accepted at.
        if stated is not None and stated > max(depths, default=0):
            depths = set()
        times = [p.times_s for p in parts if p.times_s is not None]
        names = ("draft_s", "accept_s") if times else ()
        return {
            "gamma": _listed_gamma(depths, stated, notes),
            "acceptance_length": None if total.rounds else total.length(),
            "groups": tuple(p.group() for p in parts) if len(parts) > 1 else (),
            "durations_s": {name: sum(t[k] for t in times) for k, name in enumerate(names)},
            "consistency": tuple(c for p in parts for c in p.checks()),
            **total.known(),
        }


def _statistics(line: str) -> _Statistics:
    found = {name: first(pattern, line) for name, pattern in _COUNTS.items()}
    tokens, accepted, drafts = found["gen tokens"], found["acc tokens"], found["gen drafts"]
    if tokens is None or accepted is None or drafts is None:
        raise ValueError(f"needs #gen drafts, #gen tokens and #acc tokens, got {line[-160:]!r}")
    calls, some, times = first(_CALLS, line), found["acc drafts"], _TIMES.search(line)
    # Without the calls, a draft that was generated is one that was verified.
    generated = whole(drafts, "gen drafts")
    rounds = whole(calls, "accept calls") if calls else generated
    any_accepted = whole(some, "acc drafts") if some else None
    names = ("acc tokens", "gen tokens")
    mean, rates = first(_MEAN, line), first(_RATES, line)
    interval = interval_of(accepted, tokens, mean, rates, None, names, whole_list=True)
    times_s = (printed(times[2]).value / 1e3, printed(times[3]).value / 1e3) if times else None
    kind = first(_KIND, line) or "draft"
    return _Statistics(kind, rounds, calls is None, any_accepted, interval, times_s)


def _listed_gamma(depths: set[int], stated: int | None, notes: list[str]) -> int | None:
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


class LlamaLog:
    """Adds up requests and rounds, hands statistics on; given: the longest draft, where stated."""

    markers: tuple[bytes, ...] = (b"draft acceptance", b"#gen tokens", b"| accepted ",
                                  b"draft-max", b"draft-n", b"n_max", b"build",
                                  b"eval time")  # fmt: skip

    def __init__(self, given: int | None = None) -> None:
        self.damage = Damage("draft acceptance or statistics")
        self.given = given
        # The list of positions is as long as the longest draft, so it bounds a round.
        self.requests = Intervals(_interval, self.damage, exact=False)
        self.statistics = _StatisticsLines()
        self.rounds: dict[tuple[int, int], int] = {}
        self.stated: set[int] = set()
        self.version: str | None = None
        self.tokens = self.unknown = 0
        self.decoding_ms = 0.0
        self._open: dict[str, str] = {}

    def feed(self, line: str) -> None:
        """Take one line."""
        line = without_colours(line)
        try:
            if "#gen tokens" in line:
                self.statistics.feed(line)
            elif "draft acceptance" in line:
                self._request(line)
            elif "eval time" in line:
                self._eval(line)
            elif "draft tokens" in line and (found := _ROUND.search(line)):
                self._round(whole(found.group(2), "drafted"), whole(found.group(1), "accepted"))
            elif found := _GAMMA.search(line):
                self.stated |= {int(found.group(1))} - {0}
            elif found := _BUILD.search(line):
                self.version = found.group(1)
        except ValueError as error:
            self.damage.add(str(error))

    def _eval(self, line: str) -> None:
        if found := _EVAL.search(line):
            self._open[first(_TASK, line) or ""] = found[2]
            self.tokens += whole(found[2], "tokens")
            self.decoding_ms += float(found[1])
            if len(self._open) > _OPEN:
                del self._open[next(iter(self._open))]

    def _request(self, line: str) -> None:
        """Take the requests of one line. Raises ValueError where one cannot be."""
        found = list(_REQUEST.finditer(line))
        if not found and "accepted" not in line and "generated" not in line:
            return  # a sentence of a script, see `summaries`
        if not found:
            raise ValueError(f"needs accepted / generated counts, got {line.strip()[-120:]!r}")
        for m in found:
            tokens = None
            if self._open:
                tokens = self._open.pop(first(_TASK, line) or "", None)
                tokens = self._open.pop("", None) if tokens is None else tokens
            self.unknown += tokens is None
            self.requests.add((*m.groups(), tokens))

    def _round(self, drafted: int, accepted: int) -> None:
        if not accepted <= (drafted or MOST_POSITIONS) <= MOST_POSITIONS:
            raise ValueError(f"accepted must be in [0, drafted = {drafted}], got {accepted}")
        self.rounds[drafted, accepted] = self.rounds.get((drafted, accepted), 0) + 1

    def result(self) -> EngineCounts | None:
        """Statistics where they are there, else the rounds, else the sum of the requests."""
        self.requests.settle()
        count = self.requests.lines
        self.damage.refuse_if_alone(count + self.statistics.lines + len(self.rounds))
        notes = self.damage.notes()
        if len(self.stated) > 1:
            shown = ", ".join(map(str, sorted(self.stated)))
            notes.append(f"the log states several longest drafts ({shown}): none is taken")
        stated = next(iter(self.stated)) if len(self.stated) == 1 else None
        tokens = self.tokens if self.tokens and not self.unknown else None
        if self.statistics.last:
            if not (count and self.statistics.against(self.requests.drafted, notes)):
                tokens = None
            form = "llama.cpp-statistics"
            found = self.statistics.known(stated, notes)
        elif self.rounds:
            form = "llama.cpp-rounds-log"
            notes.append("rounds are counted one by one: a line a round")
            found = of_rounds(self.rounds, stated, notes)
        elif count:
            form = "llama.cpp-request-log"
            found = self._of_requests(stated or self.given, notes)
        else:
            return None
        if self.decoding_ms > 0.0 and math.isfinite(self.decoding_ms):
            found["request_tokens_per_s"] = 1e3 * self.tokens / self.decoding_ms
        found |= {"version": self.version, "tokens": tokens, "requests": count or None}
        return counts_as(form, notes=notes, **found)

    def _of_requests(self, stated: int | None, notes: list[str]) -> dict[str, Any]:
        total = self.requests.total(stated)
        gamma = _listed_gamma(self.requests.depths, stated, notes)
        notes += total.notes()
        found, open_ = total.known(), self.requests.without_length
        if open_ and found["rounds"] is None:
            notes.append(
                "accepted and generated without a length do not determine rounds, acceptance "
                "length or survival"
            )
            notes.append("before PR #14104 generated counted every token of a request")
        length = None if open_ else total.length()
        checked = self.requests.checks()
        return {"gamma": gamma, "acceptance_length": length, "consistency": checked, **found}


class LlamaRounds(LlamaLog):
    """Rounds that were pasted without what stands before them in the server's log."""

    markers: tuple[bytes, ...] = (b" draft tokens", b"eval time", b"n-max", b"n_max")


def _interval(digits: Digits) -> Interval:
    """The interval of (rate, accepted, generated, mean length, list of shares, all tokens)."""
    rate, accepted, generated, length, shown, tokens = digits
    counted = None if tokens is None else whole(tokens, "tokens")
    return interval_of(
        accepted, generated, length, shown, printed(rate or ""), ("accepted", "generated"), counted
    )
