"""Draft tokens in the usage and statistics of a response: OpenAI's details, and LM Studio's.

OpenAI's schema, which exllamav3 and tabbyAPI fill as well (tabbyAPI PR #452):
usage.completion_tokens_details.{accepted_prediction_tokens, rejected_prediction_tokens} beside
usage.completion_tokens. LM Studio: stats.{totalDraftTokensCount, acceptedDraftTokensCount,
rejectedDraftTokensCount, ignoredDraftTokensCount}, also with underlines; ignored tokens were never
sent to the target, so they count as neither drafted nor rejected here.
"""

from __future__ import annotations

from typing import Any, NamedTuple

from .bounds import Request
from .completed import engine_counts
from .counts import EngineCounts
from .latest import Latest
from .llama_cpp_json import KEPT
from .requests import add_lists, added, count, whole_list

_ACCEPTED, _REJECTED = "accepted_prediction_tokens", "rejected_prediction_tokens"
_LM_STUDIO = ("acceptedDraftTokensCount", "accepted_draft_tokens_count")


class _Usage(NamedTuple):
    drafted: int
    accepted: int
    tokens: int | None
    ignored: int = 0


class _Adding:
    """Adds up requests; chunks of one stream replace each other."""

    def __init__(self) -> None:
        self.requests: list[Request] = []
        self.number = self.drafted = self.accepted = self.ignored = 0
        self.tokens: int | None = None
        self.latest: Latest[_Usage] = Latest(self._add, lambda a, b: b.drafted >= a.drafted)

    def _add(self, one: _Usage) -> None:
        first = self.number == 0
        self.number += 1
        self.drafted += one.drafted
        self.accepted += one.accepted
        self.ignored += one.ignored
        self.tokens = added(self.tokens, one.tokens, first)
        if len(self.requests) <= KEPT:
            self.requests.append(Request(one.drafted, one.accepted, one.tokens))

    def sums(self) -> dict[str, Any]:
        """The sums by the names of `engine_counts`."""
        return {
            "drafted": self.drafted,
            "accepted": self.accepted,
            "tokens": self.tokens,
            "requests": self.number,
            "per_request": tuple(self.requests) if len(self.requests) <= KEPT else (),
        }


_BOUNDED = (
    "rounds are not counted: tokens - accepted bounds them; --gamma, the longest draft, narrows "
    "them"
)


class UsageDetails(_Adding):
    """usage.completion_tokens_details of chat completions."""

    engine = "openai"
    keys = frozenset({"completion_tokens_details"})

    def __init__(self) -> None:
        super().__init__()
        self.idle = 0

    def take(self, entry: dict[str, Any], key: str) -> bool:
        """Take a usage object."""
        details = entry["completion_tokens_details"]
        if not isinstance(details, dict) or _ACCEPTED not in details:
            return False
        accepted = count(details[_ACCEPTED], _ACCEPTED) or 0
        rejected = count(details.get(_REJECTED), _REJECTED) or 0
        tokens = count(entry.get("completion_tokens"), "completion_tokens")
        if not accepted and not rejected:
            self.idle += 1
            return False
        self.latest.put(entry.get("id"), _Usage(accepted + rejected, accepted, tokens))
        return True

    def result(self) -> EngineCounts | None:
        """The sum over requests, None where none has draft tokens."""
        self.latest.close()
        if not self.number:
            return None
        notes = ["drafted = accepted + rejected prediction tokens", _BOUNDED]
        if self.idle:
            notes.append(f"{self.idle} responses state no prediction tokens and are left out")
        return engine_counts(
            self.engine,
            "openai-usage",
            definition="usage: accepted and rejected prediction tokens, of completion_tokens",
            notes=notes,
            **self.sums(),
        )


class LmStudioStats(_Adding):
    """LM Studio's stats of a prediction."""

    engine = "lm-studio"
    keys = frozenset({*_LM_STUDIO, "stats"})

    def take(self, entry: dict[str, Any], key: str) -> bool:
        """Take a stats object, or a response that holds one beside its usage."""
        stats, usage = entry.get("stats"), entry.get("usage")
        if isinstance(stats, dict):
            tokens = usage.get("completion_tokens") if isinstance(usage, dict) else None
            return self.take({"predictedTokensCount": tokens, **stats}, "stats")
        accepted = _either(entry, _LM_STUDIO[0])
        rejected = _either(entry, "rejectedDraftTokensCount")
        total = _either(entry, "totalDraftTokensCount")
        ignored = _either(entry, "ignoredDraftTokensCount")
        if accepted is None:
            return False
        if total is not None and ignored is not None and accepted + ignored > total:
            raise ValueError(
                f"accepted and ignored draft tokens must be at most the total, {total}, got "
                f"{accepted + ignored}"
            )
        if rejected is None and total is not None:
            rejected = max(total - accepted - (ignored or 0), 0)
        if ignored is None and total is not None and rejected is not None:
            ignored = max(total - accepted - rejected, 0)
        if rejected is None:
            return False
        tokens = _either(entry, "predictedTokensCount")
        self._add(_Usage(accepted + rejected, accepted, tokens, ignored or 0))
        return True

    def result(self) -> EngineCounts | None:
        """The sum over predictions."""
        if not self.number or not (self.drafted or self.ignored):
            return None
        notes = ["drafted = accepted + rejected draft tokens, those that the target saw", _BOUNDED]
        if self.ignored:
            notes.append(
                f"{self.ignored} draft tokens were ignored: drafted, and never sent to the target"
            )
        return engine_counts(
            self.engine,
            "lm-studio-stats",
            definition="LM Studio: accepted and rejected draft tokens, those ignored left out",
            notes=notes,
            **self.sums(),
        )


class Heads:
    """FastDeploy's speculate_metrics: tokens by head, the first of which is the target's own."""

    engine = "fastdeploy"
    keys = frozenset({"accepted_tokens_per_head"})

    def __init__(self) -> None:
        self.heads: list[int] = []
        self.requests = self.rejected = 0

    def take(self, entry: dict[str, Any], key: str) -> bool:
        """Take the metrics of one request."""
        heads = whole_list(entry["accepted_tokens_per_head"], "accepted_tokens_per_head")
        if not heads:
            return False
        add_lists(self.heads, heads)
        self.rejected += count(entry.get("rejected_tokens"), "rejected_tokens") or 0
        self.requests += 1
        return True

    def result(self) -> EngineCounts | None:
        """The sum over requests."""
        if not self.requests:
            return None
        rounds, *kept = self.heads
        return engine_counts(
            self.engine,
            "fastdeploy-speculate-metrics",
            definition="FastDeploy: tokens by head, the first being the target's own of each round",
            rounds=rounds,
            drafted=sum(kept) + self.rejected if self.rejected else None,
            per_position_accepted=kept,
            gamma=len(kept) or None,
            requests=self.requests,
            notes=["gamma is the heads that the metrics list, less the target's own"],
        )


def _either(entry: dict[str, Any], camel: str) -> int | None:
    """A count under its name with capitals or with underlines."""
    snake = "".join(f"_{c.lower()}" if c.isupper() else c for c in camel)
    value = entry.get(camel, entry.get(snake))
    return count(value, camel)
