"""Acceptance of pairs that were not measured: the library with a family left out, a file's rows.

Of rows that state acceptance, gamma and cost ratio: what a measurement of them shows.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping, Sequence
from functools import cache
from typing import Any

import numpy as np

from ...calibrate.learned.bundled import TOKENS, library_rows
from ...calibrate.learned.measured import Measured
from ...calibrate.learned.realisation import expected_measurement
from ...calibrate.learned.stated import ideal, passes, realised, usable, work
from ...calibrate.learned.stored import Realised
from ...calibrate.prior.acceptance_library import metric_name
from ...calibrate.prior.acceptance_validation import (
    leave_one_family_out,
    predict_rows,
    summary,
)
from ...calibrate.tables.cells import number
from .result import LEVEL, PLAIN, SDSL, Point, Test, plain_from_numbers, sdsl_speedup
from .rows import percentages

_SESSIONS = 5  # simulated with the pair itself, of each measurement


def families_test(*, seed: int = 0) -> tuple[Test, Test]:
    """(alpha without the family, alpha after 200 tokens of the pair itself) over the library."""
    held = leave_one_family_out(np.random.default_rng([seed, 37]))
    numbers = summary(held)
    points = tuple(
        Point(
            f"{h.pair}, {h.task or 'any task'}",
            h.observed,
            h.predicted,
            h.low,
            h.high,
            dict(h.rivals),
        )
        for h in held
    )
    after = tuple(
        Point(f"{p.label}, session {i + 1}", p.observed, middle, low, high)
        for p, h in zip(points, held, strict=True)
        for i, (middle, low, high) in enumerate(h.sessions[:_SESSIONS].tolist())
    )
    note = (
        f"means over pairs and tasks: error {numbers['error']:.3f}, "
        f"coverage {numbers['coverage_90']:.2f}, after 200 tokens {numbers['error_after']:.3f}"
    )
    return (
        Test(
            "acceptance of unmeasured pairs: alpha, family left out",
            "sizes, task and temperature of the pair; the other families: the prior of `predict`, "
            "fitted without them, and the size of the measured sample",
            "absolute",
            points,
            notes=(note,),
        ),
        Test(
            "acceptance after 200 tokens of the pair itself: alpha",
            "the same, and 200 tokens drawn at the measured alpha: one point a session",
            "absolute",
            after,
        ),
    )


def rows_test(rows: Iterable[Mapping[str, Any]], *, seed: int = 0) -> tuple[list[Test], list[str]]:
    """Rows in the columns of a published collection: one test a metric, one of alpha for all.

    Returns the tests and why rows were not predicted. A row that says again what another says is
    not counted twice.
    """
    listed, skipped = _percentages_read(list(rows))
    named = [row | {"id": row.get("id") or f"row {i + 1}"} for i, row in enumerate(listed)]
    first: dict[str, dict[str, Any]] = {}
    for row in named:
        first.setdefault(repr(sorted((k, v) for k, v in row.items() if k != "id")), row)
    if len(first) < len(listed):
        skipped.append(f"{len(listed) - len(first)} rows: the row repeats another")
    predicted = predict_rows(first.values(), np.random.default_rng([seed, 41]))
    by_metric: dict[str, list[Point]] = {}
    alpha: list[Point] = []
    reasons: dict[str, list[str]] = {}
    for p in predicted:
        if p.predicted is None or p.observed is None or p.low is None or p.high is None:
            reason = p.note if p.predicted is None else "no value to compare with"
            reasons.setdefault(reason, []).append(p.id)
            continue
        rivals = dict(p.rivals)
        by_metric.setdefault(p.metric, []).append(
            Point(p.id, p.observed, p.predicted, p.low, p.high, rivals)
        )
        a = p.alpha
        if "observed" in a:
            others = dict(p.alpha_rivals)
            alpha.append(Point(p.id, a["observed"], a["predicted"], a["low"], a["high"], others))
    given = "sizes, task and temperature of the row; the library"
    tests = [Test("acceptance rows: alpha", given, "absolute", tuple(alpha))]
    tests += [
        Test(f"acceptance rows: {metric}", given, "absolute", tuple(points))
        for metric, points in by_metric.items()
    ]
    skipped += [f"{counted_ids(ids)}: {reason}" for reason, ids in reasons.items()]
    return [t for t in tests if t.points], skipped


def _percentages_read(rows: list[Mapping[str, Any]]) -> tuple[list[dict[str, Any]], list[str]]:
    """The rows, rates that can only be percentages made rates of, and what was done."""
    rates = [metric_name(str(r.get("metric") or "")) not in TOKENS for r in rows]
    values = [number(str(r.get("value") or "")) for r in rows]
    if not percentages(v for v, rate in zip(values, rates, strict=True) if rate):
        return [dict(r) for r in rows], []
    read = [
        dict(r) | ({"value": f"{v / 100.0:.12g}"} if rate and math.isfinite(v) else {})
        for r, v, rate in zip(rows, values, rates, strict=True)
    ]
    return read, ["values of rates were read as per cent: every one is above 1"]


def counted_ids(ids: list[str]) -> str:
    """How many rows, and the first of them."""
    return f"{len(ids)} rows ({', '.join(ids[:3])}{', ...' if len(ids) > 3 else ''})"


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
