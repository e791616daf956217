"""TensorRT-LLM's iteration statistics, as /metrics returns them, and trtllm-bench's report.

NVIDIA/TensorRT-LLM, executor/types.h: numRequestsWithDraftTokens requests
verified a draft in this iteration, each one round; acceptanceLength = (numAcceptedTokens +
numRequestsWithDraftTokens) / numRequestsWithDraftTokens, bonus counted. With attention data
parallelism every rank reports the same iteration: such duplicates are left out.
"""

from __future__ import annotations

import math
import re
from collections.abc import Iterable
from dataclasses import dataclass
from itertools import islice
from typing import Any

from ..stated import printed
from .completed import counts_as
from .counts import Check, EngineCounts, Group, checks, ratio
from .lines import without_colours
from .numbers import NUMBER, WHOLE, count, number, snake, whole, whole_numbers_between

_NAMES = ("specDecodingStats", "spec_decoding_stats", "specDecStats")
_RANKS = ("attentionDpRank", "attention_dp_rank", "dpRank", "rank")
_REMEMBERED = 250_000
# Names of the statistics, with capitals and with underlines.
_STATED = {
    name: snake(name)
    for name in ("numDraftTokens", "numAcceptedTokens", "numRequestsWithDraftTokens",
                 "acceptanceLength", "iterLatencyMS", "draftOverhead")
}  # fmt: skip


@dataclass
class _Batch:
    """Sums of the iterations with so many drafting requests; timed: those that state a time."""

    iterations: int = 0
    drafted: int = 0
    accepted: int = 0
    seconds: float = 0.0
    timed: int = 0


class _Seen:
    """Iterations that were reported already; at least the latest 250,000 are remembered."""

    def __init__(self) -> None:
        self._now: set[int] = set()
        self._before: set[int] = set()
        self._last: dict[Any, int] = {}
        self._starts = 0

    def again(self, number: Any, rank: Any, values: Iterable[Any]) -> bool:
        """Whether another rank, or an overlapping answer, reported the same iteration."""
        if isinstance(number, int) and rank is not None:
            # A rank whose iterations begin again belongs to a server that was started again.
            self._starts += number < self._last.get(str(rank), number)
            self._last[str(rank)] = number
        identity = hash((self._starts, str(number), *map(str, values)))
        if identity in self._now or identity in self._before:
            return True
        self._now.add(identity)
        if len(self._now) >= _REMEMBERED:
            self._before, self._now = self._now, set()
        return False


class IterationStatistics:
    """Adds up the iterations, by the number of requests that drafted."""

    keys = frozenset({*_NAMES, "numDraftTokens"})

    def __init__(self) -> None:
        self.by_batch: dict[int, _Batch] = {}
        self.seen = _Seen()
        self.duplicates = self.idle = self.iterations = 0
        self.per_request: set[float] = set()
        self.draft_s = 0.0
        self.checks: list[Check] = []

    def take(self, entry: dict[str, Any], key: str) -> bool:
        """Take one iteration, or the statistics object alone."""
        stats = next((entry[n] for n in _NAMES if isinstance(entry.get(n), dict)), None)
        if stats is None:
            if key in _NAMES or not {"numDraftTokens", "numAcceptedTokens"} <= entry.keys():
                return any(n in entry for n in _NAMES)
            stats = entry
        values = {n: stats.get(n, stats.get(other)) for n, other in _STATED.items()}
        if "iter" in entry:
            rank = next((entry[n] for n in _RANKS if n in entry), None)
            if self.seen.again(entry["iter"], rank, values.values()):
                self.duplicates += 1
                return True
        self._add(values, number(entry.get("iterLatencyMS"), "iterLatencyMS"))
        return True

    def _add(self, values: dict[str, Any], latency_ms: float | None) -> None:
        drafted, accepted, rounds = [count(values[n], n) for n in islice(_STATED, 3)]
        if drafted is None or accepted is None or rounds is None:
            raise ValueError(
                "specDecodingStats must hold numDraftTokens, numAcceptedTokens and "
                "numRequestsWithDraftTokens"
            )
        if accepted > drafted:
            raise ValueError(f"numAcceptedTokens must be in [0, {drafted}], got {accepted}")
        self.iterations += 1
        if rounds == 0:
            self.idle += 1
            if drafted:
                raise ValueError(f"numDraftTokens must be 0 without requests, got {drafted}")
            return
        part = self.by_batch.setdefault(rounds, _Batch())
        part.iterations += 1
        part.drafted += drafted
        part.accepted += accepted
        if len(self.per_request) < 2:
            self.per_request.add(drafted / rounds)
        if latency_ms is not None and latency_ms > 0:
            part.seconds += latency_ms / 1e3
            part.timed += 1
        self.draft_s += (number(values["iterLatencyMS"], "iterLatencyMS") or 0.0) / 1e3
        length = (accepted + rounds) / rounds
        stated = number(values["acceptanceLength"], "acceptanceLength")
        if (stated != length or self.iterations == 1) and len(self.checks) < 20:
            found = checks(("acceptance length", stated, length))
            self.checks += [c for c in found if not c.agrees or self.iterations == 1]

    def _notes(self) -> list[str]:
        notes = []
        if self.duplicates:
            notes.append(
                f"{self.duplicates} entries repeat an iteration with the same counts (ranks of "
                f"data parallelism): left out"
            )
        if self.idle:
            notes.append(f"{self.idle} iterations had no request with draft tokens")
        if not any(b.drafted for b in self.by_batch.values()):
            notes.append("nothing was drafted; the PyTorch flow reported zeros before PR #17082")
        return notes

    def _gamma(self, notes: list[str]) -> int | None:
        each = next(iter(self.per_request), 0.0)
        if len(self.per_request) != 1 or not each or not each.is_integer():
            notes.append("the draft length is not stated and not the same throughout: gamma null")
            return None
        notes.append(
            f"gamma {int(each)} is drafted tokens per request, the same in every iteration"
        )
        return int(each)

    def result(self) -> EngineCounts | None:
        """The sums over iterations."""
        if not self.iterations:
            return None
        notes = self._notes()
        gamma = self._gamma(notes)
        notes.append("accepted tokens by position are not reported: survival null")
        parts = sorted(self.by_batch.items())
        counted = [(n * b.iterations, b.drafted, b.accepted) for n, b in parts]
        rounds, drafted, accepted = (sum(part[k] for part in counted) for k in range(3))
        return counts_as(
            "tensorrt-llm-iterations",
            rounds=rounds,
            drafted=drafted,
            accepted=accepted,
            gamma=gamma,
            by_batch=tuple(
                Group.of(
                    f"{n} requests with draft tokens", *counts, batch=n,
                    step_s=ratio(b.seconds, b.timed), intervals=b.iterations,
                )
                for (n, b), counts in zip(parts, counted, strict=True)
            ),
            intervals=self.iterations,
            durations_s={"draft_s": self.draft_s} if self.draft_s else {},
            consistency=tuple(self.checks),
            notes=notes,
        )  # fmt: skip


_REPORT = {
    "drafted": "num_draft_tokens_percentiles",
    "accepted": "num_accepted_draft_tokens_percentiles",
    "rate": "draft_acceptance_rate_percentiles",
    "length": "acceptance_length_percentiles",
}
_PRINTED = {"DT": "drafted", "ADT": "accepted", "DAR": "rate", "AL": "length"}
_AVERAGE = re.compile(rf"\[(DT|ADT|DAR|AL)\] AVERAGE\s*:\s*({NUMBER})")
_REQUESTS = re.compile(rf"Number of requests:\s*({WHOLE})\s*$")
_OUTPUT = re.compile(rf"Average Output Length \(tokens\):\s*({NUMBER})")


class BenchReport:
    """decoding_stats of trtllm-bench's report, as JSON or printed: averages over requests."""

    markers: tuple[bytes, ...] = (b"] AVERAGE", b"Number of requests:", b"Average Output Length")
    keys = frozenset({"decoding_stats", *_REPORT.values()})

    def __init__(self) -> None:
        self.averages: dict[str, float] = {}
        self.requests: int | None = None
        self.output: float | None = None
        self.half = 0.0  # of the last printed digit

    def take(self, entry: dict[str, Any], key: str) -> bool:
        """Take the whole report, or its decoding_stats alone."""
        stats = entry.get("decoding_stats", entry)
        if not isinstance(stats, dict) or not stats.keys() & set(_REPORT.values()):
            return False
        for name, field in _REPORT.items():
            held = stats.get(field)
            value = held.get("average") if isinstance(held, dict) else None
            if (found := number(value, field)) is not None:
                self.averages[name] = found
        info = entry.get("request_info")
        if isinstance(info, dict):
            self.requests = count(info.get("num_requests"), "num_requests")
            self.output = number(info.get("avg_output_length"), "avg_output_length")
        return True

    def feed(self, line: str) -> None:
        """Take one line of the report as it is printed."""
        line = without_colours(line)
        if found := _AVERAGE.search(line):
            self.averages[_PRINTED[found[1]]] = printed(found[2]).value
            self.half = 0.005
        elif found := _REQUESTS.search(line):
            self.requests = whole(found[1], "Number of requests")
        elif found := _OUTPUT.search(line):
            self.output = printed(found[1]).value

    def result(self) -> EngineCounts | None:
        """Averages times requests where they are whole numbers; the length as stated."""
        if not self.averages:
            return None
        notes = [
            "averages over requests: the acceptance length is a mean of the requests' own lengths, "
            "not of all rounds"
        ]
        totals: dict[str, Any] = {
            name: self._total(self.averages.get(name)) for name in ("drafted", "accepted")
        }
        length, rate = self.averages.get("length"), self.averages.get("rate")
        return counts_as(
            "trtllm-bench-report",
            tokens=self._total(self.output),
            acceptance_length=length,
            stated_rate=None if rate is None or self.half else printed(repr(rate)),
            gamma=self._gamma(length, notes),
            requests=self.requests,
            notes=notes,
            **totals,
        )

    def _total(self, average: float | None) -> int | None:
        if average is None or not self.requests:
            return None
        slack = max(1e-6 * average, self.half) * self.requests
        found = whole_numbers_between(
            average * self.requests - slack, average * self.requests + slack
        )
        return found[0] if len(found) == 1 else None

    def _gamma(self, length: float | None, notes: list[str]) -> int | None:
        """Drafted tokens of a round where the averages leave one whole number."""
        drafted, accepted = self.averages.get("drafted"), self.averages.get("accepted")
        if length is None or not drafted or not accepted or length <= 1.0:
            notes.append("the report does not state the draft length: gamma null")
            return None
        each = drafted * (length - 1.0) / accepted
        if not math.isfinite(each) or abs(each - round(each)) > 0.02 * each:
            notes.append(f"rounds draft {each:.3g} tokens on average: gamma null")
            return None
        notes.append(f"gamma {round(each)} is drafted x (length - 1) / accepted, to the digits")
        return round(each)
