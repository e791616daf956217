"""Measuring a server until the expected regret of what it would run is small enough.

The next measurement is the one whose expected gain of worth is the largest for its time (the
knowledge gradient), a point alone or all that are left of a configuration, which has to be started
once. Source: knowledge gradient of correlated beliefs: Frazier, Powell, Dayanik 2009, INFORMS J.
Computing 21.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np

from ...theory.domain import Floats
from .belief import LENGTH_ERROR, NAMELESS, SPEED_ERROR, Belief, Chosen, Point, Seen

_OUTCOMES = 48
_NOTHING = 1e-5  # gain of worth below which measurements are told apart by their spread alone
_EXTREME = 0.01  # chance of a choice that loses more than the tolerance, below which none is tried


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

    def from_here(points: Sequence[Point]) -> float:
        return minutes(points, last)

    while True:
        chosen = now.chosen(level)
        point: Point | None = None
        if found and chosen.regret < tolerance:
            point = undecided(now, chosen, tolerance)
            if point is None:
                why = _ended(now, chosen, tolerance)
                break
        point = point or following(now, from_here)
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


def undecided(belief: Belief, chosen: Chosen, tolerance: float) -> Point | None:
    """What to try before an end: speculation, where none was measured and the prior alone says
    whether it pays; None where it was, or where that is all but certain.
    """
    if not belief.drafts or any(s.point.draft for s in belief.seen):
        return None
    if belief.doubt(chosen, tolerance) < _EXTREME and not belief.unlike(belief.seen):
        return None
    done = {s.point.batch for s in belief.seen} or set(belief.batches)
    points = [p for p in belief.points if p.draft and p.batch in done]
    usual = [p for p in points if p.draft == chosen.draft and p.gamma == chosen.gammas[p.batch]]
    mean = belief.logs.mean(axis=0)
    plain = {b: mean[i] for i, b in enumerate(belief.batches)}
    return max(usual or points, key=lambda p: mean[belief.where(p)] - plain[p.batch])


def following(belief: Belief, minutes: Callable[[Sequence[Point]], float]) -> Point | None:
    """What to measure next, None where all is measured; plain decoding at a batch in the middle
    before anything else.

    minutes: that measuring some points takes, starting a server included.
    """
    if all(s.point.draft for s in belief.seen):
        return Point(NAMELESS, 0, belief.batches[(len(belief.batches) - 1) // 2])
    options = _options(belief)
    if not options:
        return None
    covariance = np.cov(belief.state, rowvar=False)
    mean, now = belief.logs.mean(axis=0), float(belief.worth(belief.logs.mean(axis=0)))
    # Standard normal outcomes, each with its mirror image, the same for every option.
    half = np.random.default_rng(0).standard_normal((_OUTCOMES // 2, 64))
    z = np.concatenate([half, -half])
    chances = _chances(belief)
    gains, spreads = [], []
    for option in options:
        moves = _moves(belief, covariance, option)
        after = belief.worth(mean + z[:, : moves.shape[1]] @ moves.T)
        gains.append(max(float(after.mean()) - now, 0.0))
        spreads.append(float(chances @ np.square(moves).sum(axis=1)))
    time = np.array([minutes(o) for o in options])
    value = np.array(gains) if max(gains) > _NOTHING else np.array(spreads)
    rates = value / time
    best = set(options[int(rates.argmax())])
    alone = [i for i, o in enumerate(options) if len(o) == 1 and o[0] in best]
    return options[max(alone, key=lambda i: rates[i])][0]


def _options(belief: Belief) -> list[tuple[Point, ...]]:
    """Points that are left, each alone and all of a configuration together."""
    done = {s.point for s in belief.seen}
    left: dict[tuple[str, int], list[Point]] = {}
    for p in belief.points:
        if p not in done:
            left.setdefault(p.configuration, []).append(p)
    options: list[tuple[Point, ...]] = [(p,) for own in left.values() for p in own]
    return options + [tuple(own) for own in left.values() if len(own) > 1]


def _moves(belief: Belief, covariance: Floats, option: Sequence[Point]) -> Floats:
    """How the means move by each independent part of an outcome, (points, parts)."""
    at = [belief.where(p) for p in option]
    length = belief.length_of(option[0])
    errors = [SPEED_ERROR] * len(at)
    if length is not None:
        at, errors = [*at, length], [*errors, LENGTH_ERROR]
    seen = covariance[np.ix_(at, at)] + np.diag(np.square(errors))
    root = np.linalg.cholesky(seen)
    return np.asarray(np.linalg.solve(root, covariance[at, : len(belief.points)]).T)


def _chances(belief: Belief) -> Floats:
    """Share of the draws in which each point is the best at its batch, (points,)."""
    found = np.zeros(len(belief.points))
    for i in range(len(belief.batches)):
        own = np.unique(belief.grid[:, i])
        winners = own[belief.logs[:, own].argmax(axis=1)]
        found += np.bincount(winners, minlength=found.size) / len(belief.logs)
    return found


def start_and_load(start: float, level: float) -> Callable[[Sequence[Point], Point | None], float]:
    """Minutes of points of one configuration: a start where the last ran another, and the loads."""

    def minutes(points: Sequence[Point], last: Point | None) -> float:
        same = last is not None and last.configuration == points[0].configuration
        return (0.0 if same else start) + level * len(points)

    return minutes
