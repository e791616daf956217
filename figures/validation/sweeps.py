"""Rows of tables: sweeps with one gamma left out, and speed-ups that follow from stated numbers.

A sweep over gamma is predicted as `predict --sweep` would. Of rows that state acceptance, gamma and
cost ratio: what a measurement of them shows.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from functools import cache

import numpy as np
from numpy.typing import NDArray

from ...calibrate.learned.bundled import library_rows
from ...calibrate.learned.measured import GammaSweep, MeasuredRow, shares_rows
from ...calibrate.learned.realisation import expected_measurement
from ...calibrate.learned.spreads import Realised
from ...calibrate.learned.stated import ideal, passes, realised, usable, work
from ...calibrate.learned.sweeps import Ahead, forecast_gamma
from ...theory import speedup, tokens_per_round
from . import result
from .result import LEVEL, Point, Progress, Test


def leave_one_gamma_out(
    sweeps: Sequence[GammaSweep],
    *,
    sisters: Sequence[GammaSweep] = (),
    name: str,
    seed: int = 0,
    progress: Progress | None = None,
) -> tuple[Test, Test]:
    """Predict every gamma of every sweep from its others; (speed-up, tokens per round).

    sisters: further sweeps that only lend their misfits. Rows that a sister shares with a tested
    sweep are not lent to it: the measurement to be predicted is never looked at. The spreads are
    learned from other studies than the sweep's own.
    """
    pool = [*sweeps, *(s for s in sisters if not any(shares_rows(s, t) for t in sweeps))]
    gain, tokens, regrets = [], [], []
    for done, own in enumerate(sweeps):
        family = [s.sweep for s in pool if s is not own]
        chosen: list[float] = []
        for at, row in enumerate(own.rows):
            left = own.sweep.without(row.gamma)
            found = forecast_gamma(left, row.gamma, family=family, seed=seed)
            point = _point(row.label, row.speedup, found.speedup, _rivals(own, at))
            gain.append(point)
            chosen.append(point.predicted)
            if found.tokens is not None and not own.rows[0].tau_is_derived:
                tokens.append(_point(row.label, row.tau, found.tokens, {}))
        best = int(np.argmax(chosen))
        regrets.append(float(1.0 - own.speedups[best] / own.speedups.max()))
        if progress:
            progress(name, done + 1, len(sweeps))
    rest = "the other gammas of the sweep; misfits of sister sweeps; spreads of other studies"
    return (
        Test(f"{name}: speed-up, one gamma left out", rest, tuple(gain), tuple(regrets)),
        Test(f"{name}: tokens per round, one gamma left out", rest, tuple(tokens)),
    )


def _point(label: str, seen: float, found: Ahead, rivals: dict[str, float | None]) -> Point:
    ends = found.interval(LEVEL)
    return Point(label, seen, ends.estimate, ends.low, ends.high, rivals)


def _rivals(sweep: GammaSweep, at: int) -> dict[str, float | None]:
    kept = np.arange(len(sweep.rows)) != at
    gammas, wanted = sweep.gammas[kept], int(sweep.gammas[at])
    tau = sweep.tau
    others = None if tau is None else tau[kept]
    return {
        result.PLAIN: result.plain_from_sweep(gammas, sweep.speedups[kept], others, wanted),
        result.NEAREST: result.interpolated(gammas, sweep.speedups[kept], wanted),
        result.SDSL: _sdsl(sweep, kept, wanted),
    }


def _sdsl(sweep: GammaSweep, kept: NDArray[np.bool_], wanted: int) -> float | None:
    """SDSL's acceptance, the cost of a draft token fitted to the other gammas under it."""
    row = sweep.rows[0]
    alpha = result.sdsl_alpha(row.draft_params, row.target_params)
    if alpha is None:
        return None
    gammas = sweep.gammas[kept]
    per_token = (tokens_per_round(alpha, gammas) / sweep.speedups[kept] - 1.0) * gammas
    return float(speedup(alpha, wanted, max(0.0, float(per_token.sum() / (gammas**2).sum()))))


NAME = "speed-up from stated acceptance, gamma and cost ratio"
SISTERS = 40  # rows of the study that are looked at, those of the same pair first


def stated_tests(rows: Iterable[MeasuredRow], *, name: str = NAME) -> tuple[Test, Test]:
    """Predict every row that states what is needed: from all that is known of others, and from
    other studies alone.

    Others of the row's study, of the file as of the library, count where they are another work.
    """
    chosen = [(r, realised(r)) for r in rows if usable(r)]
    both = (*_library(), *chosen)  # a file may hold rows of the library
    known = list({(r.study, work(r), r.speedup): (r, own) for r, own in both}.values())
    seen = [_stated_point(r, own, _sisters(r, own, known)) for r, own in chosen]
    unseen = [_stated_point(r, own, ()) for r, own in chosen]
    grown = sum(passes(r) is not None for r, _ in chosen)
    note = (
        f"passes and the work around them were predicted for {grown} of {len(chosen)} rows, and "
        "taken as those of a plain step in the others"
    )
    given = "acceptance or tokens per round, gamma, c; what other studies realise"
    more = f"{given}, and the study's other rows"
    return (
        Test(name, more, tuple(seen), notes=(note,)),
        Test(f"{name}, its study unseen", given, tuple(unseen)),
    )


def _sisters(
    row: MeasuredRow, own: Realised, known: Sequence[tuple[MeasuredRow, Realised]]
) -> tuple[Realised, ...]:
    """Other rows of its study, those of its pair first."""
    others = [o for r, o in known if r.study == row.study and work(r) != work(row)]
    return tuple(sorted(others, key=lambda other: other.pair != own.pair)[:SISTERS])


@cache
def _library() -> tuple[tuple[MeasuredRow, Realised], ...]:
    return tuple((r, realised(r)) for r in library_rows() if usable(r))


def _stated_point(row: MeasuredRow, own: Realised, sisters: tuple[Realised, ...]) -> Point:
    found = expected_measurement(
        math.exp(ideal(row)[0]), variance=own.variance, study=own.study, pair=own.pair,
        task=own.task, sisters=sisters, level=LEVEL,
    )  # fmt: skip
    rivals = {
        result.PLAIN: result.plain_from_numbers(row.alpha, row.tau, row.gamma, row.cost_ratio),
        result.SDSL: result.sdsl_speedup(
            row.draft_params, row.target_params, row.gamma, row.cost_ratio
        ),
    }
    return Point(row.label, row.speedup, found.estimate, found.low, found.high, rivals)
