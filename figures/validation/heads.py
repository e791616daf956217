"""Drafting heads that were not measured, and those measured at one short length: tokens a round.

All are questions of `howspec predict`: names and task, with or without --acceptance-length. A head
that several studies measured is asked for by name, so that what the others found of it counts.
The study of a curve is left out of what teaches the answer; the spreads were fitted with it.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Sequence

import numpy as np

from ...calibrate.doors import Deployment, acceptance, resolve
from ...calibrate.known import KnownAcceptance
from ...calibrate.library.load import model_name, same_study, study_of
from ...calibrate.models.drafters import drafter_kind
from ...calibrate.prior.head_curves import HeadCurve, head_curves, looked_up
from ...theory import tokens_by_gamma, tokens_per_round
from ...theory.acceptance import alpha_from_length
from ...theory.acceptance.positional import powered
from ...theory.interval import ends
from .result import LEVEL, Point, Test

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
    parts = [Test(kind, given, "relative", tuple(points)) for kind, points in groups.items()]
    notes = [
        f"{t.name}: {len(t.points)} points, median error {np.median(np.abs(t.errors())):.3f}, "
        f"bias {np.median(t.errors()):+.3f}, coverage {t.coverage:.2f}"
        for t in parts
    ]
    points = tuple(p for t in parts for p in t.points)
    return Test(name, given, "relative", points, notes=tuple(notes))
