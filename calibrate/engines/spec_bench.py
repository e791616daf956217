"""Answer files of Spec-Bench and EAGLE: choices[0] with new_tokens and accept_lengths.

Whether accept_lengths count the bonus token depends on the method; new_tokens tell: they are the
sum of the lengths with it, and the sum plus one a step without.
"""

from __future__ import annotations

from typing import Any

from .completed import engine_counts
from .counts import EngineCounts
from .requests import count, number, whole_list

_LONGEST = 100_000


class SpecBench:
    """Adds up the answers."""

    engine = "spec-bench"
    keys = frozenset({"accept_lengths"})

    def __init__(self) -> None:
        self.requests = self.turns = self.tokens = self.given = self.steps = 0
        self.wall_s = 0.0
        self.histogram: dict[int, int] = {}
        self.unknown = False

    def take(self, entry: dict[str, Any], key: str) -> bool:
        """Take one answer."""
        lengths = entry.get("accept_lengths")
        if not isinstance(lengths, list):
            return False
        flat = [n for v in lengths for n in (v if isinstance(v, list) else [v])]
        found = whole_list(flat, "accept_lengths") or []
        tokens = entry.get("new_tokens")
        tokens = tokens if isinstance(tokens, list) else [tokens]
        new = [count(n, "new_tokens") for n in tokens]
        self.unknown |= None in new
        self.requests += 1
        self.turns += len(new)
        self.tokens += sum(n or 0 for n in new)
        self.given += sum(found)
        self.steps += len(found)
        for n in found:
            if n > _LONGEST:
                raise ValueError(f"accept_lengths must be at most {_LONGEST}, got {n}")
            self.histogram[n] = self.histogram.get(n, 0) + 1
        times = entry.get("wall_time")
        for t in times if isinstance(times, list) else [times]:
            self.wall_s += number(t, "wall_time") or 0.0
        return True

    def result(self) -> EngineCounts | None:
        """The rounds, where new_tokens decide about the bonus token."""
        if not self.requests:
            return None
        notes = ["how many tokens a step drafts is not stated: gamma and drafted null"]
        bonus = self._with_bonus()
        if bonus is None:
            notes.append(
                f"new_tokens ({self.tokens}) do not decide whether accept_lengths (sum "
                f"{self.given}, {self.steps} steps) count the bonus token: accepted and length null"
            )
            return self._counts(notes, rounds=self.steps)
        what = "with" if bonus else "without"
        notes.append(
            f"accept_lengths are {what} the bonus token: {self.tokens} new tokens, sum "
            f"{self.given} over {self.steps} steps"
        )
        shift = 1 if bonus else 0
        histogram = [0] * (max(self.histogram, default=0) + 1 - shift)
        for n, steps in self.histogram.items():
            histogram[n - shift] += steps
        return self._counts(notes, histogram=histogram)

    def _with_bonus(self) -> bool | None:
        """Whether the lengths count the bonus token, None where new_tokens leave it open."""
        if 0 in self.histogram:
            return False
        with_bonus = abs(self.tokens - self.given)
        without = abs(self.tokens - self.given - self.steps)
        near = 2 * self.turns + 0.02 * self.tokens
        if self.unknown or min(with_bonus, without) > near or abs(with_bonus - without) < 1:
            return None
        return with_bonus < without

    def _counts(self, notes: list[str], **known: Any) -> EngineCounts:
        return engine_counts(
            self.engine,
            "spec-bench",
            definition="Spec-Bench: accept_lengths by step, with or without the bonus by method",
            requests=self.requests,
            durations_s={"wall_s": self.wall_s} if self.wall_s else {},
            notes=notes,
            **known,
        )
