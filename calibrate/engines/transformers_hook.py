"""Rounds of transformers' assisted generation, as `howspec.calibrate.measure` writes them.

transformers itself reports nothing. The hook writes one JSON line a round, {"request", "round",
"drafted", "accepted"}, and one with a summary that names the version and the totals.
"""

from __future__ import annotations

from typing import Any

from .completed import engine_counts
from .counts import EngineCounts
from .requests import count
from .round_trace import of_rounds


class HookRounds:
    """Adds up the rounds, by draft length and accepted tokens."""

    engine = "transformers"
    keys = frozenset({"transformers", "drafted"})

    def __init__(self) -> None:
        self.rounds: dict[tuple[int, int], int] = {}
        self.names: set[Any] = set()
        self.summary: dict[str, Any] = {}

    def take(self, entry: dict[str, Any], key: str) -> bool:
        """Take a round or the summary."""
        if "transformers" in entry and "rounds" in entry:
            self.summary = entry
            return True
        if not ({"drafted", "accepted"} <= entry.keys() and "round" in entry):
            return False
        drafted, accepted = count(entry["drafted"], "drafted"), count(entry["accepted"], "accepted")
        if drafted is None or accepted is None:
            raise ValueError("a round must hold drafted and accepted, got null")
        if accepted > drafted:
            raise ValueError(f"accepted must be in [0, drafted = {drafted}], got {accepted}")
        if drafted > 4096:
            raise ValueError(f"drafted tokens of a round must be in [0, 4096], got {drafted}")
        self.rounds[drafted, accepted] = self.rounds.get((drafted, accepted), 0) + 1
        if isinstance(entry.get("request"), int | str):
            self.names.add(entry["request"])
        return True

    def result(self) -> EngineCounts | None:
        """The sum over rounds, or the summary alone."""
        stated = {k: count(self.summary.get(k), k) for k in ("rounds", "drafted", "accepted")}
        version = self.summary.get("transformers")
        known: dict[str, Any] = {"version": version if isinstance(version, str) else None}
        notes = []
        if not self.rounds:
            if not self.summary:
                return None
            notes.append("only the totals are there: survival and gamma null")
            return _counts(notes, requests=count(self.summary.get("requests"), "requests"),
                           **known, **stated)  # fmt: skip
        counted = {
            "rounds": sum(self.rounds.values()),
            "drafted": sum(d * n for (d, _), n in self.rounds.items()),
            "accepted": sum(a * n for (_, a), n in self.rounds.items()),
        }
        for name, n in counted.items():
            if stated[name] is not None and stated[name] != n:
                notes.append(
                    f"the summary states {stated[name]} {name}, the rounds add up to {n}: lines "
                    f"are missing or were added"
                )
        return _counts(
            notes,
            requests=len(self.names) or None,
            rounds=counted["rounds"],
            accepted=counted["accepted"],
            **known,
            **of_rounds(self.rounds, None, notes),
        )


def _counts(notes: list[str], **known: Any) -> EngineCounts:
    return engine_counts(
        "transformers",
        "transformers-hook",
        definition="assisted generation: accepted = tokens a round emitted before its last one",
        notes=notes,
        **known,
    )
