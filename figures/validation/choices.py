"""Which objective chooses best: the gamma of every measured sweep, asked by the names alone.

The regret of a choice is the share of the time that the fastest measured gamma would save. Sweeps
of one study are alike, so one objective is compared with another by resampling studies. A
reliability curve says whether "within 5 % of the best with probability p" comes true with it.
"""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import replace
from itertools import pairwise

import numpy as np
from numpy.typing import ArrayLike

from ...calibrate.doors import Deployment
from ...calibrate.library.load import load_table, study_of
from ...calibrate.tables.schema import number, text
from ...sim.choice import DEFAULT_OBJECTIVE, TOLERANCE, Objective
from ...theory.domain import Floats
from .near_best import DEVICE, Asked, MeasuredSweep, asked, asked_sweeps
from .result import Point, Test

COMPARED: tuple[Objective, ...] = ("safe", "latency", "throughput", "regret")


def choices_tests(*, seed: int = 0) -> tuple[Test, ...]:
    """One test an objective: what its gammas lose, beside what it says they lose on average.

    Sweeps of three gammas or more, plain decoding among them, and two or more beside it. The notes
    of the default have the regret by study, how surely it beats the others, and what is chosen for
    the paper's five pairs.
    """
    found, skipped = asked_sweeps(seed=seed)
    tests = [_test(found, objective) for objective in COMPARED]
    more = (*_by_study(found), *_compared(found, seed), *_paper(seed),
            *(f"{n} sweeps not asked: {why}" for why, n in skipped.items()))  # fmt: skip
    at = COMPARED.index(DEFAULT_OBJECTIVE)
    tests[at] = replace(tests[at], notes=(*tests[at].notes, *more))
    return tuple(tests)


def _test(found: Sequence[Asked], objective: Objective) -> Test:
    points = tuple(
        Point(f"{a.sweep.label}, gamma {a.gamma(objective)}", a.regret(objective),
              a.choices[objective].regret, math.nan, math.nan)
        for a in found
    )  # fmt: skip
    lost = tuple(p.observed for p in points)
    near = np.array(lost) <= TOLERANCE
    said = np.array([a.within(objective) for a in found])
    drawn = np.array([a.choices[objective].within for a in found])
    usual = " (the default)" if objective == DEFAULT_OBJECTIVE else ""
    return Test(
        f"time lost by the gamma of a named pair, {objective}{usual}",
        "names, engine, batch and task of the sweep; the call of `predict`, its study unseen",
        points,
        regret=lost,
        notes=(
            f"{len(lost)} sweeps of {len(_studies(found))} studies: regret {_share(lost)} in the "
            f"mean, {_share(_means(found, objective))} in the mean over studies; within 5 % of the "
            f"best in {near.mean():.2f} of them, {said.mean():.2f} expected",
            f"squared error of that probability {((said - near) ** 2).mean():.3f}; of the shares "
            f"of draws, {drawn.mean():.2f} in the mean, {((drawn - near) ** 2).mean():.3f}; of a "
            f"rate that knew the outcome {near.var():.3f}",
            *reliability(said, near, [a.sweep.study for a in found]),
        ),
        error="absolute",
    )


def _share(values: Sequence[float] | Floats) -> str:
    return f"{100 * float(np.mean(values)):.1f} %"


def _studies(found: Sequence[Asked]) -> list[str]:
    return sorted({a.sweep.study for a in found})


def _means(found: Sequence[Asked], objective: Objective) -> Floats:
    """Mean regret of each study, (studies,)."""
    lost: dict[str, list[float]] = {study: [] for study in _studies(found)}
    for a in found:
        lost[a.sweep.study].append(a.regret(objective))
    return np.array([np.mean(v) for v in lost.values()])


def _by_study(found: Sequence[Asked]) -> Iterator[str]:
    counts = Counter(a.sweep.study for a in found)
    columns = [_means(found, o) for o in COMPARED]
    for i, study in enumerate(_studies(found)):
        shown = ", ".join(f"{o} {100 * c[i]:.1f} %" for o, c in zip(COMPARED, columns, strict=True))
        yield f"{study}, {counts[study]} sweeps: {shown}"


def _compared(found: Sequence[Asked], seed: int) -> Iterator[str]:
    """How surely the default loses less than another, by resampling studies with their sweeps."""
    order = _studies(found)
    place = np.array([order.index(a.sweep.study) for a in found])
    drawn = np.random.default_rng([seed, 17]).multinomial(
        len(order), np.full(len(order), 1.0 / len(order)), 4000
    )
    sweeps = np.bincount(place, minlength=len(order))
    for other in COMPARED:
        if other == DEFAULT_OBJECTIVE:
            continue
        gap = np.array([a.regret(other) - a.regret(DEFAULT_OBJECTIVE) for a in found])
        sums = np.bincount(place, weights=gap, minlength=len(order))
        sweep_gap, study_gap = drawn @ sums / (drawn @ sweeps), drawn @ (sums / sweeps) / len(order)
        low, high = np.quantile(sweep_gap, [0.05, 0.95])
        yield (
            f"{other} loses {100 * gap.mean():+.1f} % of the time beside {DEFAULT_OBJECTIVE} (90 % "
            f"interval over studies {100 * low:+.1f} to {100 * high:+.1f}); {DEFAULT_OBJECTIVE} "
            f"loses less with probability {(sweep_gap > 0).mean():.2f} over sweeps, "
            f"{(study_gap > 0).mean():.2f} over studies"
        )


def _paper(seed: int) -> Iterator[str]:
    """The gammas of the paper's five pairs beside the published ones; its speeds are not known."""
    chosen: dict[Objective, list[int]] = {o: [] for o in COMPARED}
    best = []
    for row in load_table("paper_table").rows:
        if text(row, "method") != "SpS":
            continue
        source = study_of(text(row, "source"))
        at = Deployment(text(row, "target"), text(row, "draft"), DEVICE, unseen=source)
        pair = asked(MeasuredSweep(at, source, "", dict.fromkeys(range(8), 1.0)), seed=seed)
        best.append(int(number(row, "gamma_tokens")))
        for objective in COMPARED:
            chosen[objective].append(pair.gamma(objective))
    lines = "; ".join(f"{o} {', '.join(map(str, g))}" for o, g in chosen.items())
    yield f"the paper's five pairs on {DEVICE}, best measured {', '.join(map(str, best))}: {lines}"


EDGES = (0.0, 0.4, 0.6, 0.8, 1.0)  # of the probabilities that are compared together


def reliability(said: ArrayLike, true: ArrayLike, study: Sequence[str]) -> Iterator[str]:
    """Lines of a reliability table: what was said and how often it came true.

    said: probabilities in [0, 1]; true: whether it did; study: of each, since those of one study
    are alike. All of one length. The error is that of a mean over the studies of a line.
    """
    p, hit, of = np.asarray(said, dtype=float), np.asarray(true, dtype=float), np.asarray(study)
    groups = [(EDGES[0], EDGES[-1]), *pairwise(EDGES)]
    for low, high in groups:
        mine = (p >= low) & ((p < high) | (high == EDGES[-1]))
        if not mine.any():
            continue
        names = sorted(set(of[mine]))
        gaps = np.array([(hit - p)[mine & (of == name)].mean() for name in names])
        error = f" +- {gaps.std(ddof=1) / np.sqrt(gaps.size):.2f}" if gaps.size > 1 else ""
        yield (
            f"said {low:g} to {high:g}: {p[mine].mean():.2f} said, {hit[mine].mean():.2f} came "
            f"true, {int(mine.sum())} sweeps; over {gaps.size} studies {gaps.mean():+.2f}{error}"
        )
