"""What an engine reported, in one schema: rounds, drafted and accepted tokens, by position.

Words: a round drafts tokens and verifies them once; gamma is the drafted tokens of a round, the
bonus token not counted; the acceptance length is the tokens of a round with the bonus token;
survival is the share of all rounds in which the k-th draft token was accepted. A step of the target
is one of its passes over a sequence: a round, or a step that drafted nothing (look-up without a
match, a draft below its threshold). What the source does not determine is None, and the notes say
why.
"""

from __future__ import annotations

import csv
import math
from collections.abc import Mapping
from dataclasses import dataclass, fields
from functools import cache
from pathlib import Path
from typing import Any, NamedTuple

from ..stated import Stated
from .counted import Check, Counted, Group, ratio

__all__ = ["Check", "EngineCounts", "Group", "checks", "format_of", "formats", "kind_of", "ratio"]

ENGINES = ("vllm", "sglang", "llama.cpp", "tensorrt-llm", "transformers", "aiperf")


@dataclass(frozen=True)
class EngineCounts(Counted):
    """Statistics of one source; build with `completed.counts_as`, which checks and completes them.

    Its fields, and what follows from them, are those of `counted.Counted`.
    """

    def to_json(self) -> dict[str, Any]:
        """The fields, and what follows from them, as plain JSON values; None where unknown.

        "alpha" is the interval of `alpha_interval` at 95 %, None where it is not determined.
        """
        from .alpha import interval_or_none  # SciPy is only needed here

        found = {f.name: _plain(getattr(self, f.name)) for f in fields(self)}
        del found["per_request"]
        return {
            **found,
            "tokens_per_round": self.acceptance_length,
            "target_steps": self.target_steps,
            "tokens_per_target_step": self.tokens_per_target_step,
            "coverage": _plain(self.coverage),
            "alpha": interval_or_none(self),
        }


def _plain(value: Any) -> Any:
    if isinstance(value, Check | Group):
        return {f.name: _plain(getattr(value, f.name)) for f in fields(value)}
    if isinstance(value, tuple):
        return [_plain(v) for v in value]
    if isinstance(value, Mapping):
        return {k: _plain(v) for k, v in value.items()}
    return None if isinstance(value, float) and not math.isfinite(value) else value


def checks(*stated: tuple[str, Stated | float | None, float | None]) -> list[Check]:
    """Checks of (quantity, as stated, as it follows from the counts), where both are known.

    A number from JSON carries all its digits, or is rounded to some; what is printed as NaN agrees
    with nothing.
    """
    return [
        Check(name, *_compared(value, counted))
        for name, value, counted in stated
        if value is not None and counted is not None
    ]


def _compared(value: Stated | float, counted: float) -> tuple[str, float, bool]:
    if isinstance(value, Stated):
        return value.text, counted, value.covers(counted)
    text = repr(value)
    digits = len(text.split(".")[1]) if "." in text and "e" not in text else 0
    half = 0.5 * 10.0**-digits if 0 < digits < 12 else 1e-9
    return text, counted, abs(value - counted) <= half + 1e-9


class Format(NamedTuple):
    """One format. names: those that a summary of it prints; last: of several the last is taken."""

    name: str
    engine: str
    definition: str
    names: frozenset[str]
    last: bool


@cache
def formats() -> tuple[Format, ...]:
    """All of them; one that is printed under several sets of names comes several times."""
    with Path(__file__).with_name("formats.csv").open(newline="", encoding="utf-8") as file:
        return tuple(
            Format(row["format"], row["engine"], row["definition"], frozenset(names.split()),
                   bool(row["of several"]))
            for row in csv.DictReader(file) for names in row["printed names"].split("|")
        )  # fmt: skip


@cache
def format_of(name: str) -> Format:
    """The format of a name."""
    return {f.name: f for f in formats()}[name]


def kind_of(names: set[str]) -> Format:
    """The format of a summary that prints these names."""
    printed = (f for f in formats() if f.names and f.names <= names)
    return next(printed, None) or format_of("summary")
