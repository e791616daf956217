"""Rows that state acceptance, gamma and cost ratio: what a measurement of them shows."""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from functools import cache

from ...calibrate.learned.bundled import library_rows
from ...calibrate.learned.measured import Measured
from ...calibrate.learned.realisation import expected_measurement
from ...calibrate.learned.stated import ideal, passes, realised, usable, work
from ...calibrate.learned.stored import Realised
from .result import LEVEL, PLAIN, SDSL, Point, Test, plain_from_numbers, sdsl_speedup

NAME = "speed-up from stated acceptance, gamma and cost ratio"
SISTERS = 40  # rows of the study that are looked at, those of the same pair first


def stated_tests(rows: Iterable[Measured], *, name: str = NAME) -> tuple[Test, Test]:
    """Predict every row that states what is needed: from all that is known of others, and from
    other studies alone.

    Others of the row's study, of the file as of the library, count where they are another work.
    """
    chosen = [(r, realised(r)) for r in rows if usable(r)]
    both = (*_library(), *chosen)  # a file may hold rows of the library
    known = list({(r.study, work(r), r.speedup): (r, own) for r, own in both}.values())
    seen = [_point(r, own, _sisters(r, own, known)) for r, own in chosen]
    unseen = [_point(r, own, ()) for r, own in chosen]
    grown = sum(passes(r) is not None for r, _ in chosen)
    note = (
        f"passes and the work around them were predicted for {grown} of {len(chosen)} rows, and "
        "taken as those of a plain step in the others"
    )
    given = "acceptance or tokens per round, gamma, c; what other studies realise"
    more = f"{given}, and the study's other rows"
    return (
        Test(name, more, "relative", tuple(seen), notes=(note,)),
        Test(f"{name}, its study unseen", given, "relative", tuple(unseen)),
    )


def _sisters(
    row: Measured, own: Realised, known: Sequence[tuple[Measured, Realised]]
) -> tuple[Realised, ...]:
    """Other rows of its study, those of its pair first."""
    others = [o for r, o in known if r.study == row.study and work(r) != work(row)]
    return tuple(sorted(others, key=lambda other: other.pair != own.pair)[:SISTERS])


@cache
def _library() -> tuple[tuple[Measured, Realised], ...]:
    return tuple((r, realised(r)) for r in library_rows() if usable(r))


def _point(row: Measured, own: Realised, sisters: tuple[Realised, ...]) -> Point:
    found = expected_measurement(
        math.exp(ideal(row)[0]), variance=own.variance, study=own.study, pair=own.pair,
        task=own.task, sisters=sisters, level=LEVEL,
    )  # fmt: skip
    rivals = {
        PLAIN: plain_from_numbers(row.alpha, row.tau, row.gamma, row.cost_ratio),
        SDSL: sdsl_speedup(row.draft_params, row.target_params, row.gamma, row.cost_ratio),
    }
    return Point(row.label, row.speedup, found.estimate, found.low, found.high, rivals)
