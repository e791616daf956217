"""llama.cpp's server JSON: timings.draft_n and timings.draft_n_accepted (PR #12603).

The two counts of a request do not say in how many rounds they were drafted, so neither the length
nor shares by position follow: a log or the Prometheus text has them.
"""

from __future__ import annotations

from typing import Any

from .counts import EngineCounts, engine_counts
from .requests import count


class Timings:
    """Adds up requests; chunks of one stream replace each other, their counts run on."""

    engine = "llama.cpp"

    def __init__(self) -> None:
        self.latest: dict[str, tuple[int, int]] = {}
        self.streamed = 0
        self.plain = 0

    def take(self, entry: dict[str, Any], key: str) -> bool:
        """Take a response that holds timings, or the timings themselves."""
        timings = entry.get("timings")
        if not isinstance(timings, dict):
            if key == "timings" or not {"draft_n", "draft_n_accepted"} & entry.keys():
                return False
            timings = entry
        if "draft_n" not in timings and "draft_n_accepted" not in timings:
            return "predicted_n" in timings and self._without()
        drafted = count(timings.get("draft_n"), "draft_n")
        accepted = count(timings.get("draft_n_accepted"), "draft_n_accepted")
        if drafted is None or accepted is None:
            raise ValueError("timings must hold draft_n and draft_n_accepted, got only one")
        if accepted > drafted:
            raise ValueError(
                f"draft_n_accepted must be in [0, draft_n = {drafted}], got {accepted}"
            )
        name = entry.get("id")
        if entry.get("stop") is False:
            name = "\nstream"
        elif entry.get("stop") is True and "\nstream" in self.latest:
            del self.latest["\nstream"]
        if not isinstance(name, str):
            name, self.plain = f"\n{self.plain}", self.plain + 1
        self.streamed += name in self.latest
        self.latest[name] = (drafted, accepted)
        return True

    def _without(self) -> bool:
        return True

    def result(self) -> EngineCounts | None:
        """The sums."""
        if not self.latest:
            return None
        notes = [
            "draft_n and draft_n_accepted without a count of rounds determine neither rounds nor "
            "acceptance length nor survival; the server's log or /metrics has them"
        ]
        if self.streamed:
            notes.append(f"{self.streamed} chunks were followed by later counts of their request")
        return engine_counts(
            "llama.cpp",
            "llama.cpp-timings",
            definition="llama.cpp timings: draft_n generated, draft_n_accepted accepted tokens",
            drafted=sum(d for d, _ in self.latest.values()),
            accepted=sum(a for _, a in self.latest.values()),
            requests=len(self.latest),
            notes=notes,
        )
