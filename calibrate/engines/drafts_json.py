"""Requests that state drafted and accepted tokens as JSON, most of them without their rounds.

llama.cpp's timings (PR #12603): draft_n, draft_n_accepted, and predicted_n, all tokens; mlx-vlm's
add draft_rounds. OpenAI's usage, which exllamav3 and tabbyAPI fill as well (tabbyAPI PR #452):
completion_tokens_details.{accepted_prediction_tokens, rejected_prediction_tokens} beside
completion_tokens. LM Studio: stats.{totalDraftTokensCount, acceptedDraftTokensCount,
rejectedDraftTokensCount, ignoredDraftTokensCount}, also with underlines; ignored tokens were never
sent to the target, so they count as neither drafted nor rejected here. FastDeploy (PR #5952):
speculate_metrics with tokens by head, the first of which is the target's own.
"""

from __future__ import annotations

from typing import Any

from .completed import counts_as
from .counts import EngineCounts
from .numbers import add_lists, count, snake, whole_list
from .requests import Sums

_STREAM = "\n"  # the native stream of chunks without an id
_ACCEPTED, _REJECTED = "accepted_prediction_tokens", "rejected_prediction_tokens"
_LM_STUDIO = ("acceptedDraftTokensCount", "accepted_draft_tokens_count")
_BOUNDED = (
    "rounds are not counted: tokens - accepted bounds them; --gamma, the longest draft, narrows "
    "them"
)


class Timings(Sums):
    """Timings of llama.cpp's server, and mlx-vlm's."""

    keys = frozenset({"timings", "draft_n", "draft_n_accepted"})
    bounds_rounds = True
    without = idle = 0

    def take(self, entry: dict[str, Any], key: str) -> bool:
        """Take a response that holds timings, or the timings themselves."""
        timings = entry.get("timings")
        if not isinstance(timings, dict):
            if key == "timings" or not {"draft_n", "draft_n_accepted"} & entry.keys():
                return False
            timings = entry
        tokens = count(timings.get("predicted_n"), "predicted_n")
        if "draft_n" not in timings and "draft_n_accepted" not in timings:
            self.without += tokens is not None
            self.idle += tokens or 0
            return tokens is not None
        drafted = count(timings.get("draft_n"), "draft_n")
        accepted = count(timings.get("draft_n_accepted"), "draft_n_accepted")
        rounds = count(timings.get("draft_rounds"), "draft_rounds")
        if drafted is None or accepted is None:
            raise ValueError("timings must hold draft_n and draft_n_accepted, got only one")
        if accepted > drafted:
            raise ValueError(
                f"draft_n_accepted must be in [0, draft_n = {drafted}], got {accepted}"
            )
        stop = entry.get("stop")
        name = _STREAM if isinstance(stop, bool) else entry.get("id")
        self.put(
            name,
            {"drafted": drafted, "accepted": accepted, "tokens": tokens, "rounds": rounds},
            last=stop is True,
        )
        return True

    def result(self) -> EngineCounts | None:
        """The sums."""
        if not self.ended():
            return None
        mlx, notes = self.totals["rounds"] is not None, list[str]()
        if self.without:
            notes.append(f"{self.without} responses drafted nothing or without speculation")
        notes.append(
            "draft_rounds are the rounds" if mlx else
            "draft_n and draft_n_accepted without a count of rounds determine neither length nor "
            "survival; predicted_n bounds the rounds, and --gamma, the longest draft, narrows "
            "them; the server's log or /metrics has them"
        )  # fmt: skip
        tokens = self.totals["tokens"]
        return self.counts(
            "mlx-vlm-timings" if mlx else "llama.cpp-timings",
            notes,
            tokens=None if tokens is None else tokens + self.idle,
            gamma=self.whole_draft() if mlx else None,
        )


class UsageDetails(Sums):
    """usage.completion_tokens_details of chat completions."""

    keys = frozenset({"completion_tokens_details"})
    bounds_rounds = True
    without = 0

    def take(self, entry: dict[str, Any], key: str) -> bool:
        """Take a usage object."""
        details = entry["completion_tokens_details"]
        if not isinstance(details, dict) or _ACCEPTED not in details:
            return False
        accepted = count(details[_ACCEPTED], _ACCEPTED) or 0
        rejected = count(details.get(_REJECTED), _REJECTED) or 0
        tokens = count(entry.get("completion_tokens"), "completion_tokens")
        if not accepted and not rejected:
            self.without += 1
            return False
        counts = {"drafted": accepted + rejected, "accepted": accepted, "tokens": tokens}
        self.put(entry.get("id"), counts)
        return True

    def result(self) -> EngineCounts | None:
        """The sum over requests, None where none has draft tokens."""
        if not self.ended():
            return None
        notes = ["drafted = accepted + rejected prediction tokens", _BOUNDED]
        if self.without:
            notes.append(f"{self.without} responses state no prediction tokens and are left out")
        return self.counts("openai-usage", notes)


class LmStudioStats(Sums):
    """LM Studio's stats of a prediction."""

    keys = frozenset({*_LM_STUDIO, "stats"})
    bounds_rounds = True
    ignored = 0

    def take(self, entry: dict[str, Any], key: str) -> bool:
        """Take a stats object, or a response that holds one beside its usage."""
        stats, usage = entry.get("stats"), entry.get("usage")
        if isinstance(stats, dict):
            tokens = usage.get("completion_tokens") if isinstance(usage, dict) else None
            return self.take({"predictedTokensCount": tokens, **stats}, "stats")
        accepted, rejected, total, ignored = (
            _either(entry, f"{name}DraftTokensCount")
            for name in ("accepted", "rejected", "total", "ignored")
        )
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
        self.ignored += ignored or 0
        self.add(drafted=accepted + rejected, accepted=accepted, tokens=tokens)
        return True

    def result(self) -> EngineCounts | None:
        """The sum over predictions."""
        if not self.requests or not (self.totals["drafted"] or self.ignored):
            return None
        notes = ["drafted = accepted + rejected draft tokens, those that the target saw", _BOUNDED]
        if self.ignored:
            notes.append(
                f"{self.ignored} draft tokens were ignored: drafted, and never sent to the target"
            )
        return self.counts("lm-studio-stats", notes)


class Heads:
    """FastDeploy's speculate_metrics, and spec_decode of MLC LLM's metrics since its start."""

    keys = frozenset({"accepted_tokens_per_head", "accept_count"})

    def __init__(self) -> None:
        self.heads: list[int] = []
        self.requests = self.rejected = 0
        self.drafted: int | None = None

    def take(self, entry: dict[str, Any], key: str) -> bool:
        """Take the metrics of one request, or of MLC LLM's last ones."""
        if "accepted_tokens_per_head" not in entry:
            given = [entry.get(n) for n in ("accept_count", "draft_count")]
            kept, tried = (whole_list(v, key) if isinstance(v, list) else None for v in given)
            if kept and tried:
                self.heads, self.drafted = kept, sum(tried[1:])
            return bool(kept and tried)
        heads = whole_list(entry["accepted_tokens_per_head"], "accepted_tokens_per_head")
        if not heads:
            return False
        add_lists(self.heads, heads)
        self.rejected += count(entry.get("rejected_tokens"), "rejected_tokens") or 0
        self.requests += 1
        return True

    def result(self) -> EngineCounts | None:
        """The sum over requests."""
        if not self.heads:
            return None
        rounds, *kept = self.heads
        mlc = self.drafted is not None
        return counts_as(
            "mlc-llm-metrics" if mlc else "fastdeploy-speculate-metrics",
            rounds=rounds,
            drafted=self.drafted if mlc or not self.rejected else sum(kept) + self.rejected,
            per_position_accepted=kept,
            gamma=len(kept) or None,
            requests=self.requests or None,
            notes=["gamma is the heads that the metrics list, less the target's own"],
        )


def _either(entry: dict[str, Any], camel: str) -> int | None:
    """A count under its name with capitals or with underlines."""
    return count(entry.get(camel, entry.get(snake(camel))), camel)
