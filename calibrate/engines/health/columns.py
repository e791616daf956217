"""Columns that disagree: what a source says twice differs, so one side counts something else.

Source: vllm-project/speculators issue 1095 (positions of one of two replicas over the drafts of
both).
"""

from __future__ import annotations

from .case import Case, Finding

_ROUNDED = 0.02  # numbers that were rounded twice differ by less


def columns_disagree(case: Case) -> Finding | None:
    """A printed number more than 2 % away from what the counts give."""
    counts = case.counts
    for check in () if counts is None else counts.consistency:
        try:
            printed = float(check.printed.replace(",", "."))
        except ValueError:
            continue
        if check.agrees or abs(printed - check.recomputed) <= _ROUNDED * abs(check.recomputed):
            continue
        return Finding(
            "columns",
            "columns disagree",
            f"{check.quantity} is stated as {check.printed}, the counts give "
            f"{check.recomputed:.4g}",
            (
                "positions of one of several data-parallel replicas over the drafts of all",
                "counters that were scraped at different moments, or a restart between",
                "another definition: with or without the bonus token, of all or of tested tokens",
            ),
            "vllm-project/speculators issue 1095",
        )
    return None
