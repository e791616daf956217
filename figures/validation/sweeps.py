"""Sweeps over gamma with one gamma left out, each predicted as `predict --sweep` would.

And one task of a pair left out: which gamma to set for it, from what its rounds accept. Costs come
from the other tasks of the pair, acceptance from the task's own statistics at one gamma (what an
engine's log prints); the speed of the task is never looked at.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Sequence

import numpy as np
from numpy.typing import NDArray

from ...calibrate.learned.measured import GammaSweep, shares_rows
from ...calibrate.learned.sweeps import Ahead, forecast_gamma
from ...calibrate.tokens import fit_tokens
from ...theory import speedup, tokens_by_gamma, tokens_per_round
from ...theory.interval import ends
from .result import (
    LEVEL,
    NEAREST,
    PLAIN,
    SDSL,
    Point,
    Test,
    interpolated,
    plain_from_sweep,
    sdsl_alpha,
)

Progress = Callable[[str, int, int], None]


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
        Test(
            f"{name}: speed-up, one gamma left out", rest, "relative", tuple(gain), tuple(regrets)
        ),
        Test(f"{name}: tokens per round, one gamma left out", rest, "relative", tuple(tokens)),
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
        PLAIN: plain_from_sweep(gammas, sweep.speedups[kept], others, wanted),
        NEAREST: interpolated(gammas, sweep.speedups[kept], wanted),
        SDSL: _sdsl(sweep, kept, wanted),
    }


def _sdsl(sweep: GammaSweep, kept: NDArray[np.bool_], wanted: int) -> float | None:
    """SDSL's acceptance, the cost of a draft token fitted to the other gammas under it."""
    row = sweep.rows[0]
    alpha = sdsl_alpha(row.draft_params, row.target_params)
    if alpha is None:
        return None
    gammas = sweep.gammas[kept]
    per_token = (tokens_per_round(alpha, gammas) / sweep.speedups[kept] - 1.0) * gammas
    return float(speedup(alpha, wanted, max(0.0, float(per_token.sum() / (gammas**2).sum()))))


DRAWS = 600

LEAST_SISTERS = 2


def task_test(sweeps: Sequence[GammaSweep], *, name: str, everywhere: bool, seed: int = 0) -> Test:
    """Speed-up and choice of gamma for every sweep, from the other sweeps of its pair.

    everywhere: tokens per round of the task are known at every gamma, not only at the smallest.
    The rival takes the mean speed-up of the other tasks.
    """
    families: dict[tuple[object, ...], list[GammaSweep]] = defaultdict(list)
    for s in sweeps:
        if s.tau is not None:
            families[(*s.family, s.rows[0].batch)].append(s)
    points: list[Point] = []
    regrets: list[float] = []
    for members in families.values():
        if len(members) <= LEAST_SISTERS:
            continue
        for i, own in enumerate(members):
            rng = np.random.default_rng([seed, 31, i])
            others = [m for j, m in enumerate(members) if j != i]
            found = _predict(own, others, everywhere, rng)
            points += found
            best = max(range(len(found)), key=lambda k: found[k].predicted)
            regrets.append(float(1.0 - own.speedups[best] / own.speedups.max()))
    given = "at every gamma" if everywhere else "at the smallest gamma"
    return Test(
        name,
        f"round costs of the pair's other tasks; tokens per round of the task {given}; not the "
        "answer of a verb, none of which takes the sweeps of other tasks",
        "relative",
        tuple(points),
        tuple(regrets),
    )


def _predict(
    own: GammaSweep, others: Sequence[GammaSweep], everywhere: bool, rng: np.random.Generator
) -> list[Point]:
    assert own.tau is not None
    gammas = own.gammas
    costs = np.log([o.tau / o.speedups for o in others if o.tau is not None])
    center, n = costs.mean(axis=0), len(costs)
    spread = costs.std(axis=0, ddof=1) * np.sqrt(1.0 + 1.0 / n)
    if everywhere:
        log_tau = np.broadcast_to(np.log(own.tau), (DRAWS, gammas.size))
    else:
        fit = fit_tokens(gammas[:1], own.tau[:1], rng, draws=DRAWS)
        log_tau = np.log(tokens_by_gamma(fit.law(), int(gammas.max()))[:, gammas])
    noise = rng.standard_t(max(n - 1, 1), (DRAWS, gammas.size)) * spread
    sample = log_tau - center + noise  # in ln: the tails of few tasks leave the floats
    others_mean = np.exp(np.mean([np.log(o.speedups) for o in others], axis=0))
    found = []
    for k in range(gammas.size):
        low, high = np.exp(ends(sample[:, k], LEVEL))
        middle = float(np.exp(np.mean(log_tau[:, k]) - center[k]))
        rivals: dict[str, float | None] = {NEAREST: float(others_mean[k])}
        seen = float(own.speedups[k])
        found.append(Point(own.rows[k].label, seen, middle, float(low), float(high), rivals))
    return found
