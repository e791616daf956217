"""Formats by name: the engine, and what its numbers mean there, as formats.csv says."""

from __future__ import annotations

import csv
from functools import cache
from pathlib import Path
from typing import Any, NamedTuple

from .completed import engine_counts
from .counts import EngineCounts


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


def counts_as(name: str, **known: Any) -> EngineCounts:
    """`engine_counts` of a format; engine, definition: where they differ from the table's."""
    found = format_of(name)
    known = {"definition": found.definition, **known}
    return engine_counts(known.pop("engine", found.engine), name, **known)
