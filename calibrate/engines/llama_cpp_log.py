"""llama.cpp's server log: lines for each request, each round, or statistics since the start.

Source: ggml-org/llama.cpp, tools/server. "draft acceptance = 0.6 (167 accepted / 259 generated)"
closes a request, with the mean length and the shares by position from PR #24536 on; earlier "draft
acceptance rate = ...", whose denominator changed with PR #14104 from all tokens of a request to the
generated draft tokens. "eval time = .. / N tokens" states all its tokens, which bounds the rounds.
"accepted a/b draft tokens" is one round. Statistics run on (see `llama_cpp_statistics`) and are
preferred, then rounds.
"""

from __future__ import annotations

import math
import re
from typing import Any

from .completed import engine_counts
from .counts import EngineCounts
from .intervals import Interval, interval_of
from .lines import Damage, Digits, Intervals, without_colours
from .llama_cpp_statistics import StatisticsLines, listed_gamma
from .numbers import MOST_POSITIONS, NUMBER, printed, whole
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
_DEFINITION = (
    "llama.cpp requests: accepted / generated draft tokens; mean length = 1 + accepted / rounds "
    "(bonus counted) and shares by position over all rounds, where printed"
)
_OPEN = 20_000


class LlamaLog:
    """Adds up requests and rounds, and hands statistics on.

    given: the longest draft, where the caller states it.
    """

    engine = "llama.cpp"
    needed: tuple[bytes, ...] = (b"draft acceptance", b"#gen tokens", b"| accepted ")
    markers: tuple[bytes, ...] = (*needed, b"draft-max", b"draft-n", b"n_max", b"build",
                                  b"eval time")  # fmt: skip

    def __init__(self) -> None:
        self.damage = Damage("draft acceptance or statistics")
        self.given: int | None = None
        # The list of positions is as long as the longest draft, so it bounds a round.
        self.requests = Intervals(_interval, self.damage, exact=False)
        self.statistics = StatisticsLines()
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
        found = _EVAL.search(line)
        if found is None:
            return
        task = _TASK.search(line)
        self._open[task.group(1) if task else ""] = found.group(2)
        self.tokens += whole(found.group(2), "tokens")
        self.decoding_ms += float(found.group(1))
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
                task = _TASK.search(line)
                tokens = self._open.pop(task.group(1) if task else "", None)
                tokens = self._open.pop("", None) if tokens is None else tokens
            self.unknown += tokens is None
            self.requests.add((*m.groups(), tokens))

    def _round(self, drafted: int, accepted: int) -> None:
        if not accepted <= drafted <= MOST_POSITIONS:
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
        known: dict[str, Any] = {"version": self.version, "requests": count or None}
        if self.decoding_ms > 0.0 and math.isfinite(self.decoding_ms):
            known["request_tokens_per_s"] = 1e3 * self.tokens / self.decoding_ms
        tokens = self.tokens if self.tokens and not self.unknown else None
        if self.statistics.last:
            same = self.statistics.against(self.requests.drafted, notes) if count else False
            known["tokens"] = tokens if same else None
            return self.statistics.result(stated, notes, **known)
        if self.rounds:
            return _of_rounds(self.rounds, stated, notes, tokens=tokens, **known)
        if not count:
            return None
        return self._of_requests(stated or self.given, notes, tokens=tokens, **known)

    def _of_requests(self, stated: int | None, notes: list[str], **known: Any) -> EngineCounts:
        total = self.requests.total(stated)
        gamma = listed_gamma(self.requests.depths, stated, notes)
        notes += total.notes()
        found = total.known()
        if self.requests.without_length and found["rounds"] is None:
            notes.append(
                "accepted and generated without a length do not determine rounds, acceptance "
                "length or survival"
            )
            notes.append("before PR #14104 generated counted every token of a request")
        return engine_counts(
            "llama.cpp",
            "llama.cpp-request-log",
            definition=_DEFINITION,
            gamma=gamma,
            acceptance_length=None if self.requests.without_length else total.length(),
            consistency=self.requests.checks(),
            notes=notes,
            **found,
            **known,
        )


class LlamaRounds(LlamaLog):
    """Rounds that were pasted without what stands before them in the server's log."""

    needed: tuple[bytes, ...] = (b" draft tokens",)
    markers: tuple[bytes, ...] = (*needed, b"eval time", b"n-max", b"n_max")


def _interval(digits: Digits) -> Interval:
    """The interval of (rate, accepted, generated, mean length, list of shares, all tokens)."""
    rate, accepted, generated, length, shown, tokens = digits
    counted = None if tokens is None else whole(tokens, "tokens")
    names = ("accepted", "generated")
    return interval_of(accepted, generated, length, shown, printed(rate or ""), names, counted)


def _of_rounds(
    rounds: dict[tuple[int, int], int], stated: int | None, notes: list[str], **known: Any
) -> EngineCounts:
    """Counts of the rounds (drafted, accepted) that a log prints one by one."""
    return engine_counts(
        "llama.cpp",
        "llama.cpp-rounds-log",
        definition='llama.cpp: a line "accepted a/b draft tokens" is one round of b draft tokens',
        notes=[*notes, "rounds are counted one by one: a line a round"],
        **of_rounds(rounds, stated, notes),
        **known,
    )
