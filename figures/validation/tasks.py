"""One task of a pair left out: which gamma to set for it, from what its rounds accept.

Costs come from the other tasks of the pair, acceptance from the task's own statistics at one gamma
(what an engine's log prints); the speed of the task is never looked at.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Sequence

import numpy as np

from ...calibrate.learned.measured import GammaSweep
from ...calibrate.tokens import fit_tokens
from ...theory import tokens_by_gamma
from ...theory.interval import ends
from .result import LEVEL, Point, Test
from .rivals import NEAREST

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
