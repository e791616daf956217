"""llama.cpp's server JSON: timings of a request (PR #12603), and mlx-vlm's, which add the rounds.

draft_n and draft_n_accepted do not say in how many rounds they were drafted; predicted_n, all
tokens of the request, bounds them: rounds <= predicted_n - draft_n_accepted.
"""

from __future__ import annotations

from typing import Any, NamedTuple

from .bounds import Request
from .completed import engine_counts
from .counts import EngineCounts
from .latest import Latest
from .requests import added, count

_STREAM = "\n"  # the native stream of chunks without an id
KEPT = 20_000


class _Timing(NamedTuple):
    drafted: int
    accepted: int
    tokens: int | None
    rounds: int | None


class Timings:
    """Adds up requests; chunks of one stream replace each other, their counts run on."""

    engine = "llama.cpp"
    keys = frozenset({"timings", "draft_n", "draft_n_accepted"})

    def __init__(self) -> None:
        self.drafted = self.accepted = self.requests = self.without = self.idle = 0
        self.tokens: int | None = None
        self.rounds: int | None = None
        self.per_round: set[float] = set()
        self.each: list[Request] = []
        self.latest: Latest[_Timing] = Latest(self._add, _grows)

    def _add(self, one: _Timing) -> None:
        first = self.requests == 0
        self.requests += 1
        self.drafted += one.drafted
        self.accepted += one.accepted
        self.tokens = added(self.tokens, one.tokens, first)
        self.rounds = added(self.rounds, one.rounds, first)
        if one.rounds and len(self.per_round) < 2:
            self.per_round.add(one.drafted / one.rounds)
        if len(self.each) <= KEPT:
            self.each.append(Request(one.drafted, one.accepted, one.tokens))

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
        self.latest.put(name, _Timing(drafted, accepted, tokens, rounds), last=stop is True)
        return True

    def result(self) -> EngineCounts | None:
        """The sums."""
        self.latest.close()
        if not self.requests:
            return None
        notes = []
        if self.latest.replaced:
            notes.append(
                f"{self.latest.replaced} chunks were followed by later counts of their request"
            )
        if self.without:
            notes.append(f"{self.without} responses drafted nothing or without speculation")
        mlx = self.rounds is not None
        each = next(iter(self.per_round), 0.0)
        gamma = int(each) if mlx and len(self.per_round) == 1 and each.is_integer() else None
        if mlx:
            notes.append("draft_rounds are the rounds")
        else:
            notes.append(
                "draft_n and draft_n_accepted without a count of rounds determine neither length "
                "nor survival; predicted_n bounds the rounds, and --gamma, the longest draft, "
                "narrows them; the server's log or /metrics has them"
            )
        return engine_counts(
            "mlx-vlm" if mlx else "llama.cpp",
            "mlx-vlm-timings" if mlx else "llama.cpp-timings",
            definition="timings: draft_n generated, draft_n_accepted accepted draft tokens",
            rounds=self.rounds,
            drafted=self.drafted,
            accepted=self.accepted,
            tokens=None if self.tokens is None else self.tokens + self.idle,
            gamma=gamma or None,
            requests=self.requests,
            per_request=() if mlx or len(self.each) > KEPT else tuple(self.each),
            notes=notes,
        )


def _grows(before: _Timing, now: _Timing) -> bool:
    return now.drafted >= before.drafted and now.accepted >= before.accepted
