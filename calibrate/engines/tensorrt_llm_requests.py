"""TensorRT-LLM's /perf_metrics: accepted and drafted tokens of each request."""

from __future__ import annotations

from typing import Any

from .completed import engine_counts
from .counts import Check, EngineCounts
from .requests import check_number, count, number


class RequestMetrics:
    """Adds up the requests."""

    engine = "tensorrt-llm"
    keys = frozenset({"total_accepted_draft_tokens"})

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
