"""Acceptance as a table: rounds, rates by position and overlap of every draft and temperature."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from ...theory.acceptance.counts import round_counts
from ..records import Record
from .acceptance import compare_record
from .walk import Comparison

FEWEST_SHOWN = 30  # trials below which the rate of a position is not shown


@dataclass(frozen=True)
class AcceptanceRow:
    """One draft at one temperature. requests, rounds, tokens_per_round: of real rounds, None
    without any; alpha_by_position: None where fewer than 30 tokens were tried; mean_overlap: along
    the target's own text; rounds_against_overlap: None below two requests; errors: once each."""

    draft: str
    temperature: float
    errors: tuple[str, ...]
    requests: int | None
    rounds: int | None
    tokens_per_round: float | None
    alpha_by_position: tuple[float | None, ...]
    mean_overlap: float | None
    rounds_against_overlap: Comparison | None


def acceptance_table(record: Record) -> list[AcceptanceRow]:
    """The rows of a record, in the order in which they were measured."""
    compared = compare_record(record)
    pairs = dict.fromkeys((p["draft"], p["temperature"]) for p in record.points if p.get("draft"))
    found = []
    for draft, temperature in pairs:
        own = [
            p for p in record.points if (p.get("draft"), p["temperature"]) == (draft, temperature)
        ]
        real = [p for p in own if p["type"] == "rounds" and "error" not in p]
        along = [x for p in own if p["type"] == "overlap" for x in p.get("overlap", [])]
        counts = None
        if any(p["accepted"] for p in real):
            counts = round_counts(
                [a for p in real for a in p["accepted"]], real[0]["drafted"],
                request=[f"{p['domain']} {p['request']}" for p in real for _ in p["accepted"]],
            )  # fmt: skip
        positions = [] if counts is None else zip(*counts.by_position(), strict=True)
        found.append(
            AcceptanceRow(
                draft, temperature, tuple(sorted({p["error"] for p in own if "error" in p})),
                None if counts is None else counts.requests,
                None if counts is None else counts.rounds,
                None if counts is None else 1.0 + float(counts.accepted.mean()),
                tuple(float(k / t) if t >= FEWEST_SHOWN else None for t, k in positions),
                float(np.mean(along)) if along else None,
                compared.get((draft, temperature, None)),
            )
        )  # fmt: skip
    return found
