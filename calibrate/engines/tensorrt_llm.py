"""TensorRT-LLM's JSON: iteration statistics of /metrics and /perf_metrics of requests.

Iteration statistics (NVIDIA/TensorRT-LLM, executor/types.h): numRequestsWithDraftTokens requests
verified a draft in this iteration, each one round; acceptanceLength = (numAcceptedTokens +
numRequestsWithDraftTokens) / numRequestsWithDraftTokens, bonus counted. With attention data
parallelism every rank reports the same iteration: such duplicates are left out.
"""

from __future__ import annotations

import json
from typing import Any

from .counts import Check, EngineCounts, Group, engine_counts
from .requests import check_number, count, number

_DEFINITION = (
    "TensorRT-LLM: a round is one request with draft tokens in one iteration; acceptance length = "
    "(accepted + rounds) / rounds, bonus counted"
)
_NAMES = ("specDecodingStats", "spec_decoding_stats", "specDecStats")
_SNAKE = {
    "numDraftTokens": "num_draft_tokens",
    "numAcceptedTokens": "num_accepted_tokens",
    "numRequestsWithDraftTokens": "num_requests_with_draft_tokens",
    "acceptanceLength": "acceptance_length",
    "iterLatencyMS": "iter_latency_ms",
    "draftOverhead": "draft_overhead",
}


class _Batch:
    def __init__(self) -> None:
        self.iterations = self.rounds = self.drafted = self.accepted = self.timed = 0
        self.seconds = 0.0


class IterationStatistics:
    """Adds up the iterations, by the number of requests that drafted."""

    engine = "tensorrt-llm"

    def __init__(self) -> None:
        self.by_batch: dict[int, _Batch] = {}
        self.seen: set[str] = set()
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
        values = {name: stats.get(name, stats.get(_SNAKE[name])) for name in _SNAKE}
        if "iter" in entry:
            identity = json.dumps([entry["iter"], *values.values()], default=str)
            if identity in self.seen:
                self.duplicates += 1
                return True
            if len(self.seen) < 2_000_000:
                self.seen.add(identity)
        self._add(values, number(entry.get("iterLatencyMS"), "iterLatencyMS"))
        return True

    def _add(self, values: dict[str, Any], latency_ms: float | None) -> None:
        drafted = count(values["numDraftTokens"], "numDraftTokens")
        accepted = count(values["numAcceptedTokens"], "numAcceptedTokens")
        rounds = count(values["numRequestsWithDraftTokens"], "numRequestsWithDraftTokens")
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
        entry = self.by_batch.setdefault(rounds, _Batch())
        entry.iterations += 1
        entry.rounds += rounds
        entry.drafted += drafted
        entry.accepted += accepted
        self.per_request.add(drafted / rounds)
        if latency_ms is not None and latency_ms > 0:
            entry.seconds += latency_ms / 1e3
            entry.timed += 1
        self.draft_s += (number(values["iterLatencyMS"], "iterLatencyMS") or 0.0) / 1e3
        length = number(values["acceptanceLength"], "acceptanceLength")
        found = check_number("acceptance length", length, (accepted + rounds) / rounds)
        if len(self.checks) < 20:
            self.checks += [c for c in found if not c.agrees or self.iterations == 1]

    def result(self) -> EngineCounts | None:
        """The sums over iterations."""
        if not self.iterations:
            return None
        notes = []
        if self.duplicates:
            notes.append(
                f"{self.duplicates} entries repeat an iteration with the same counts (ranks of "
                f"data parallelism): left out"
            )
        if self.idle:
            notes.append(f"{self.idle} iterations had no request with draft tokens")
        drafted = sum(b.drafted for b in self.by_batch.values())
        if not drafted:
            notes.append("nothing was drafted; the PyTorch flow reported zeros before PR #17082")
        gamma = None
        if len(self.per_request) == 1 and next(iter(self.per_request)).is_integer():
            gamma = int(next(iter(self.per_request))) or None
            notes.append(
                f"gamma {gamma} is drafted tokens per request, the same in every iteration"
            )
        else:
            notes.append("the draft length is not stated and not the same throughout: gamma null")
        notes.append("accepted tokens by position are not reported: survival null")
        return engine_counts(
            "tensorrt-llm",
            "tensorrt-llm-iterations",
            definition=_DEFINITION,
            rounds=sum(b.rounds for b in self.by_batch.values()),
            drafted=drafted,
            accepted=sum(b.accepted for b in self.by_batch.values()),
            gamma=gamma,
            by_batch=tuple(
                Group(
                    label=f"{batch} requests with draft tokens",
                    batch=batch,
                    rounds=b.rounds,
                    drafted=b.drafted,
                    accepted=b.accepted,
                    acceptance_length=1.0 + b.accepted / b.rounds,
                    step_s=b.seconds / b.timed if b.timed else None,
                    intervals=b.iterations,
                )
                for batch, b in sorted(self.by_batch.items())
            ),
            intervals=self.iterations,
            durations_s={"draft_s": self.draft_s} if self.draft_s else {},
            consistency=tuple(self.checks),
            notes=notes,
        )


class RequestMetrics:
    """/perf_metrics: accepted and drafted tokens of each request."""

    engine = "tensorrt-llm"

    def __init__(self) -> None:
        self.requests = self.drafted = self.accepted = 0
        self.checks: list[Check] = []

    def take(self, entry: dict[str, Any], key: str) -> bool:
        """Take the speculative part of a request's metrics."""
        if not {"total_accepted_draft_tokens", "total_draft_tokens"} <= entry.keys():
            return False
        if isinstance(entry["total_draft_tokens"], dict):
            return False
        drafted = count(entry["total_draft_tokens"], "total_draft_tokens") or 0
        accepted = count(entry["total_accepted_draft_tokens"], "total_accepted_draft_tokens") or 0
        if accepted > drafted:
            raise ValueError(f"accepted must be in [0, {drafted}], got {accepted}")
        self.requests += 1
        self.drafted += drafted
        self.accepted += accepted
        rate = number(entry.get("acceptance_rate"), "acceptance_rate")
        if drafted and len(self.checks) < 20:
            found = check_number("drafted rate", rate, accepted / drafted)
            self.checks += [c for c in found if not c.agrees or self.requests == 1]
        return True

    def result(self) -> EngineCounts | None:
        """The sums over requests."""
        if not self.requests:
            return None
        return engine_counts(
            "tensorrt-llm",
            "tensorrt-llm-perf-metrics",
            definition="TensorRT-LLM perf_metrics: accepted / drafted tokens of a request",
            drafted=self.drafted,
            accepted=self.accepted,
            requests=self.requests,
            consistency=tuple(self.checks),
            notes=[
                "requests state no rounds: rounds, acceptance length and survival null",
                "the PyTorch flow reported zeros before PR #17082",
            ],
        )
