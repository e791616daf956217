"""JSON lines of ik_llama.cpp's spec-bench: an attempt a task and run, with its stages.

Source: ikawrakow/ik_llama.cpp, examples/spec-bench: {"row_type": "attempt", "task", "generated",
"stages": [{"type", "drafts", "draft_tokens", "accepted", "drafted_by_position",
"accepted_by_position"}]}. The summary that follows repeats the attempts, so it counts only alone.
"""

from __future__ import annotations

from typing import Any

from .completed import engine_counts
from .counts import EngineCounts, Group
from .requests import add_lists, added, count, number, whole_list


class SpecBenchRows:
    """Adds up the stages of every attempt."""

    engine = "ik_llama.cpp"
    keys = frozenset({"row_type"})

    def __init__(self) -> None:
        self.attempts: list[Group] = []
        self.tried: list[int] = []
        self.kept: list[int] = []
        self.whole = True
        self.tokens: int | None = None
        self.baseline = 0

    def take(self, entry: dict[str, Any], key: str) -> bool:
        """Take an attempt that drafted; summaries and plain attempts are passed over."""
        stages = entry.get("stages")
        if entry["row_type"] != "attempt":
            return entry["row_type"] == "summary" and "attempts" in entry
        if not isinstance(stages, list):
            inner = entry.get("speculative")
            stages = inner.get("stages") if isinstance(inner, dict) else None
        stages = [s for s in stages or () if isinstance(s, dict)]
        if not stages:
            self.baseline += 1
            return True
        tokens = entry.get("generated")
        if tokens is None and isinstance(entry.get("tokens"), dict):
            tokens = entry["tokens"].get("generated")
        made = count(tokens, "generated")
        first = not self.attempts
        rounds = sum(count(s.get("drafts", s.get("num_drafts")), "drafts") or 0 for s in stages)
        drafted = sum(count(s.get("draft_tokens"), "draft_tokens") or 0 for s in stages)
        accepted = sum(
            count(s.get("accepted", s.get("accepted_tokens")), "accepted") or 0 for s in stages
        )
        if accepted > drafted:
            raise ValueError(f"accepted must be in [0, draft_tokens = {drafted}], got {accepted}")
        for stage in stages:
            self._positions(stage)
        self.tokens = added(self.tokens, made, first)
        timing = entry.get("timing") if isinstance(entry.get("timing"), dict) else entry
        assert isinstance(timing, dict)
        self.attempts.append(
            Group(
                label=str(entry.get("task") or entry.get("task_name") or len(self.attempts) + 1),
                rounds=rounds,
                drafted=drafted,
                accepted=accepted,
                tokens=made,
                acceptance_length=1.0 + accepted / rounds if rounds else None,
                tokens_per_s=number(timing.get("decode_tps"), "decode_tps"),
            )
        )
        return True

    def _positions(self, stage: dict[str, Any]) -> None:
        tried = whole_list(stage.get("drafted_by_position"), "drafted_by_position")
        kept = whole_list(stage.get("accepted_by_position"), "accepted_by_position")
        if tried is None or kept is None or len(tried) != len(kept):
            self.whole = False
            return
        add_lists(self.tried, tried)
        add_lists(self.kept, kept)

    def result(self) -> EngineCounts | None:
        """The sum over attempts."""
        if not self.attempts:
            return None
        rounds = sum(g.rounds or 0 for g in self.attempts)
        drafted = sum(g.drafted or 0 for g in self.attempts)
        notes = []
        if self.baseline:
            notes.append(f"{self.baseline} attempts ran without drafts and are left out")
        full = rounds and self.tried and all(n == rounds for n in self.tried)
        gamma = len(self.tried) if full and drafted == rounds * len(self.tried) else None
        notes.append(
            f"gamma is the {gamma} positions that every round drafted"
            if gamma else "rounds draft different numbers of tokens: gamma null"
        )  # fmt: skip
        positions = self.kept if self.whole and self.kept and rounds else None
        return engine_counts(
            self.engine,
            "ik_llama-spec-bench",
            definition="spec-bench: acceptance length = 1 + accepted / drafts (bonus counted)",
            rounds=rounds,
            drafted=drafted,
            accepted=sum(g.accepted or 0 for g in self.attempts),
            tokens=self.tokens,
            gamma=gamma,
            per_position_accepted=positions,
            groups=tuple(self.attempts) if len(self.attempts) > 1 else (),
            requests=len(self.attempts),
            notes=notes,
        )
