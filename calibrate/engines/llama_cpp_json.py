"""llama.cpp's server JSON: timings.draft_n and timings.draft_n_accepted (PR #12603).

The two counts of a request do not say in how many rounds they were drafted, so neither the length
nor shares by position follow: a log or the Prometheus text has them.
"""

from __future__ import annotations

from typing import Any

from .completed import engine_counts
from .counts import EngineCounts
from .latest import Latest
from .requests import count

_STREAM = "\n"  # the native stream of chunks without an id


class Timings:
    """Adds up requests; chunks of one stream replace each other, their counts run on."""

    engine = "llama.cpp"
    keys = frozenset({"timings", "draft_n", "draft_n_accepted"})

    def __init__(self) -> None:
        self.drafted = self.accepted = self.requests = self.without = 0
        self.latest: Latest[tuple[int, int]] = Latest(self._add, _grows)

    def _add(self, counts: tuple[int, int]) -> None:
        self.requests += 1
        self.drafted += counts[0]
        self.accepted += counts[1]

    def take(self, entry: dict[str, Any], key: str) -> bool:
        """Take a response that holds timings, or the timings themselves."""
        timings = entry.get("timings")
        if not isinstance(timings, dict):
            if key == "timings" or not {"draft_n", "draft_n_accepted"} & entry.keys():
                return False
            timings = entry
        if "draft_n" not in timings and "draft_n_accepted" not in timings:
            self.without += "predicted_n" in timings
            return "predicted_n" in timings
        drafted = count(timings.get("draft_n"), "draft_n")
        accepted = count(timings.get("draft_n_accepted"), "draft_n_accepted")
        if drafted is None or accepted is None:
            raise ValueError("timings must hold draft_n and draft_n_accepted, got only one")
        if accepted > drafted:
            raise ValueError(
                f"draft_n_accepted must be in [0, draft_n = {drafted}], got {accepted}"
            )
        stop = entry.get("stop")
        name = _STREAM if isinstance(stop, bool) else entry.get("id")
        self.latest.put(name, (drafted, accepted), last=stop is True)
        return True

    def result(self) -> EngineCounts | None:
        """The sums."""
        self.latest.close()
        if not self.requests:
            return None
        notes = [
            "draft_n and draft_n_accepted without a count of rounds determine neither rounds nor "
            "acceptance length nor survival; the server's log or /metrics has them"
        ]
        if self.latest.replaced:
            notes.append(
                f"{self.latest.replaced} chunks were followed by later counts of their request"
            )
        if self.without:
            notes.append(f"{self.without} responses drafted nothing or without speculation")
        return engine_counts(
            "llama.cpp",
            "llama.cpp-timings",
            definition="llama.cpp timings: draft_n generated, draft_n_accepted accepted tokens",
            drafted=self.drafted,
            accepted=self.accepted,
            requests=self.requests,
            notes=notes,
        )


def _grows(before: tuple[int, int], now: tuple[int, int]) -> bool:
    return now[0] >= before[0] and now[1] >= before[1]
