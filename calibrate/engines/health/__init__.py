"""Whether anything is broken, before any economics: one rule a file, each with its source thread.

A rule looks at a `Case` and is silent unless what it sees cannot be a healthy run. Thresholds are
bounds of intervals, so that few tokens say nothing.
"""

from __future__ import annotations

from collections.abc import Callable

from . import baseline, collapse, columns, gain, off, position, replicas
from .case import Case, Finding

RULES: tuple[Callable[[Case], Finding | None], ...] = (
    position.nothing_accepted,
    collapse.collapses,
    replicas.replicas_differ,
    columns.columns_disagree,
    baseline.baseline_differs,
    off.off_but_costs,
    gain.no_gain,
)

__all__ = ["RULES", "Case", "Finding", "findings"]


def findings(case: Case) -> tuple[Finding, ...]:
    """What the rules find, in their order: what is broken before what costs."""
    return tuple(f for f in (rule(case) for rule in RULES) if f is not None)
