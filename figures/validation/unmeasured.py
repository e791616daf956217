"""Acceptance of what was not measured: pairs, a file's rows, and drafting heads.

Of pairs the library is asked with a family left out.

Heads that were not measured, and those measured at one short length, are asked for their tokens a
round: all are questions of `howspec predict`, names and task, with or without --acceptance-length.
A head that several studies measured is asked for by name, so that what the others found of it
counts. The study of a curve is left out of what teaches the answer; the spreads were fitted with
it.
"""

from __future__ import annotations

import math
from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from itertools import chain
from typing import Any

import numpy as np

from ...calibrate.doors import Deployment, acceptance, resolve
from ...calibrate.known import KnownAcceptance
from ...calibrate.learned.bundled import TOKENS
from ...calibrate.library.load import model_name, same_study, study_of
from ...calibrate.models.drafters import drafter_kind
from ...calibrate.prior.acceptance_library import metric_name
from ...calibrate.prior.head_curves import HeadCurve, head_curves, looked_up
from ...calibrate.tables.cells import number
from ...theory import tokens_by_gamma, tokens_per_round
from ...theory.acceptance import alpha_from_length
from ...theory.acceptance.positional import powered
from ...theory.interval import ends
from .left_out import leave_one_family_out, predict_rows, summary
from .result import LEVEL, Point, Test, group_notes
from .rows import percentages

_SESSIONS = 5  # simulated with the pair itself, of each measurement


def families_test(*, seed: int = 0) -> tuple[Test, Test]:
    """(alpha without the family, alpha after 200 tokens of the pair itself) over the library."""
    held = leave_one_family_out(np.random.default_rng([seed, 37]))
    numbers = summary(held)
    points = tuple(
        Point(f"{h.pair}, {h.task or 'any task'}", h.observed, h.predicted, h.low, h.high,
              dict(h.rivals))
        for h in held
    )  # fmt: skip
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
            points,
            notes=(note,),
            error="absolute",
        ),
        Test(
            "acceptance after 200 tokens of the pair itself: alpha",
            "the same, and 200 tokens drawn at the measured alpha: one point a session",
            after,
            error="absolute",
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
    tests = [Test("acceptance rows: alpha", given, tuple(alpha), error="absolute")]
    tests += [
        Test(f"acceptance rows: {metric}", given, tuple(points), error="absolute")
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


CONSTANT, INDEPENDENT = "mean of the task", "independent acceptance"
OTHERS = "mean of the other studies"
FROM, BEYOND = 3, 2  # the gamma whose length is given, and by how much the asked one is longer
_DRAWS = 1000


def heads_test(*, seed: int = 0) -> Test:
    """Tokens per round at every published gamma of every head whose target the tables know."""
    name = "tokens per round of an unmeasured head, its study unseen"
    return _unmeasured(name, head_curves(), seed)


def look_up_test(*, seed: int = 0) -> Test:
    """Tokens per round at every published gamma of look-up in the text."""
    return _unmeasured("tokens per round of look-up, its study unseen", looked_up(), seed)


def _unmeasured(name: str, curves: Sequence[HeadCurve], seed: int) -> Test:
    groups: dict[str, list[Point]] = defaultdict(list)
    for c in _known(curves):
        found = _asked(c, seed)
        for gamma, seen in zip(c.gammas, c.tokens, strict=True):
            point = _point(c, gamma, seen, found, {CONSTANT: _mean(curves, c, gamma)})
            groups[c.kind].append(point)
    return _test(name, "names, task, temperature and context; the call of `predict`", groups)


def measured_test(*, seed: int = 0) -> Test:
    """Tokens per round of every curve whose kind and target other studies measured as well."""
    groups: dict[str, list[Point]] = defaultdict(list)
    curves = _known(head_curves())
    for c in curves:
        others = [
            o for o in curves
            if (o.kind, model_name(o.target)) == (c.kind, model_name(c.target))
            and not same_study(o.source, c.source)
        ]  # fmt: skip
        if not others:
            continue
        others = [o for o in others if o.canonical == c.canonical] or others
        found = _asked(c, seed, head=c.head)
        log_hazard, exponent = np.array([o.fit for o in others]).T
        law = powered(log_hazard, exponent, max(c.gammas))
        usual = tokens_by_gamma(law, max(c.gammas)).mean(axis=0)
        for gamma, seen in zip(c.gammas, c.tokens, strict=True):
            groups[c.kind].append(_point(c, gamma, seen, found, {OTHERS: float(usual[gamma])}))
    return _test(
        "tokens per round of a head that other studies measured",
        "names of target and head, task, temperature and context; its study unseen",
        groups,
    )


def depth_test(*, seed: int = 0) -> Test:
    """Tokens per round at the longest published gamma, from those at gamma 3 (or the shortest)."""
    groups: dict[str, list[Point]] = defaultdict(list)
    for c in _known(head_curves()):
        given = FROM if FROM in c.gammas else c.gammas[0]
        last = c.gammas[-1]
        if last < given + BEYOND:
            continue
        length = c.tokens[c.gammas.index(given)]
        found = _asked(c, seed, length=f"{length:.4f}", gamma=given)
        plain = tokens_per_round(float(alpha_from_length(length, given)), last)
        point = _point(c, last, c.tokens[-1], found, {INDEPENDENT: float(plain)})
        groups[c.kind].append(point)
    return _test(
        "tokens per round at the longest gamma, from gamma 3",
        "names, and the acceptance length at gamma 3; the call of `predict --acceptance-length`",
        groups,
    )


def _known(curves: Sequence[HeadCurve]) -> list[HeadCurve]:
    return [c for c in curves if model_name(c.target)]


def _asked(
    curve: HeadCurve,
    seed: int,
    *,
    head: str = "",
    length: str | None = None,
    gamma: int | None = None,
) -> KnownAcceptance:
    """What is answered for the kind of head on this target, or the head where its name tells the
    kind; its study unseen.
    """
    draft = head if drafter_kind(head) == curve.kind else curve.kind
    at = Deployment(
        curve.target, draft, task=curve.canonical, temperature=curve.temperature,
        context=curve.context, unseen=study_of(curve.source),
    )  # fmt: skip
    return acceptance(
        None, rng=np.random.default_rng([seed, 67]), pair=resolve(at), length=length, gamma=gamma,
        positions=max(curve.gammas), draws=_DRAWS,
    )  # fmt: skip


def _point(
    curve: HeadCurve,
    gamma: int,
    seen: float,
    found: KnownAcceptance,
    rivals: dict[str, float | None],
) -> Point:
    draws = found.tokens(gamma)[1]
    low, high = ends(draws, LEVEL)
    label = f"{curve.kind} of {curve.target}, {curve.task or 'any task'}, gamma {gamma}"
    return Point(label, seen, float(np.median(draws)), float(low), float(high), rivals)


def _mean(curves: Sequence[HeadCurve], own: HeadCurve, gamma: int) -> float | None:
    """Mean tokens at this gamma that other studies' heads reach on the task, None without any."""
    seen = [
        c.tokens[c.gammas.index(gamma)]
        for c in curves
        if gamma in c.gammas
        and c.canonical == own.canonical
        and not same_study(c.source, own.source)
    ]
    return float(np.mean(seen)) if seen else None


def _test(name: str, given: str, groups: dict[str, list[Point]]) -> Test:
    points = tuple(chain(*groups.values()))
    return Test(name, given, points, notes=group_notes(groups))
