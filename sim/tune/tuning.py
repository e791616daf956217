"""Measuring a server until the expected regret of what it would run is small enough."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial

import numpy as np

from .belief import Belief
from .points import NAMELESS, Chosen, Point, Seen


@dataclass(frozen=True)
class Tuned:
    """chosen: what to run; seen: what was measured, in order; left: points that were not tried;
    minutes: that the measurements took; why: the search ended; following: what it would measure
    next, None where it is done; notes: what was measured that surprises.
    """

    chosen: Chosen
    seen: tuple[Seen, ...]
    left: tuple[Point, ...]
    minutes: float
    why: str
    following: Point | None = None
    notes: tuple[str, ...] = ()


def tune(
    belief: Belief,
    measure: Callable[[Point], Seen],
    *,
    minutes: Callable[[Sequence[Point], Point | None], float],
    seen: Sequence[Seen] = (),
    tolerance: float = 0.02,
    most_minutes: float = np.inf,
    level: float = 0.9,
    seed: int = 0,
    report: Callable[[Chosen, Point], None] = lambda chosen, point: None,
) -> Tuned:
    """Measure until the expected regret is below the tolerance.

    measure: a point, by which more is known; minutes: that points take after the point before, None
    at the start; seen: measured before, and not again; tolerance: of the expected regret, in
    (0, 1); most_minutes: of measuring; report: called before each measurement. Plain decoding is
    measured first, for gains are told over it, and one point with a draft before the end, unless
    the prior is all but certain and plain decoding was as it said; ``why`` then says so.
    """
    if not 0.0 < tolerance < 1.0:
        raise ValueError(f"tolerance must be in (0, 1), got {tolerance:g}")
    found, spent = list(seen), 0.0
    now = belief.given(found, np.random.default_rng([seed, len(found)]))
    last: Point | None = None
    ahead: Point | None = None
    while True:
        chosen = now.chosen(level)
        point: Point | None = None
        if found and chosen.regret < tolerance:
            point = now.undecided(chosen, tolerance)
            if point is None:
                why = _ended(now, chosen, tolerance)
                break
        point = point or following(now, partial(_after, minutes, last))
        if point is None:
            why = "everything was measured"
            break
        if spent + minutes([point], last) > most_minutes:
            ahead, why = point, f"{most_minutes:g} minutes allow no more"
            break
        spent += minutes([point], last)
        report(chosen, point)
        found.append(measure(point))
        last = point
        now = belief.given(found, np.random.default_rng([seed, len(found)]))
    done = {s.point for s in found}
    left = tuple(p for p in belief.points if p not in done)
    return Tuned(chosen, tuple(found), left, spent, why, ahead, now.surprising())


def _ended(belief: Belief, chosen: Chosen, tolerance: float) -> str:
    """Why a search ended at its tolerance, and whether the prior alone said so."""
    line = f"the expected regret is below {100 * tolerance:g} %"
    if any(s.point.draft for s in belief.seen):
        return line
    doubt = belief.doubt(chosen, tolerance)
    most = f"{100 * doubt:.1f}" if doubt else "less than 0.1"
    return (
        f"{line}; no draft was measured: that this choice loses more has a chance of {most} % by "
        "the prior"
    )


def _after(
    minutes: Callable[[Sequence[Point], Point | None], float],
    last: Point | None,
    points: Sequence[Point],
) -> float:
    return minutes(points, last)


def following(belief: Belief, minutes: Callable[[Sequence[Point]], float]) -> Point | None:
    """What to measure next; plain decoding at a batch in the middle before anything else."""
    if any(not s.point.draft for s in belief.seen):
        return belief.next(minutes)
    return Point(NAMELESS, 0, belief.batches[(len(belief.batches) - 1) // 2])


def start_and_load(start: float, level: float) -> Callable[[Sequence[Point], Point | None], float]:
    """Minutes of points of one configuration: a start where the last ran another, and the loads."""

    def minutes(points: Sequence[Point], last: Point | None) -> float:
        same = last is not None and last.configuration == points[0].configuration
        return (0.0 if same else start) + level * len(points)

    return minutes
