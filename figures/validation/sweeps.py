"""Sweeps over gamma with one gamma left out, corrected by what sister sweeps show.

A sweep is fitted on its other gammas: acceptance to tokens per round, cost to round times (or both
to the speed-ups, where tokens per round are not stated). Sweeps of the same pair, engine and
machine share the passes of their rounds, so where the law misses them all in the same direction at
one gamma (a step of the verifying pass, a kernel that changes), the left-out point is moved by
what they share. How far the law misses at all is learned from other studies, see `spreads`.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from ...calibrate.grid import Priors
from ...calibrate.latency import LatencyPoints, fit_latency
from ...calibrate.rounds import fit_round_cost
from ...calibrate.tokens import fit_tokens
from ...theory import speedup, tokens_by_gamma, tokens_per_round
from .grouping import GammaSweep, shares_rows
from .result import LEVEL, Floats, Point, Test
from .rivals import NEAREST, PLAIN, SDSL, interpolated, plain_from_sweep, sdsl_alpha
from .spread_table import prior_of
from .spreads import forecast

Progress = Callable[[str, int, int], None]
DRAWS = 600
# A single other gamma cannot tell what a round costs from what a token does, nor how acceptance
# falls: engines on one device spend little on a round, and the line through one point is unsure by
# this much for every doubling of the verified tokens.
ALONE, UNSURE = Priors(overhead=0.1), 0.12


@dataclass(frozen=True)
class LeftOut:
    """Own prediction of a left-out gamma: mean and variance of ln S, and of ln tau (or None).

    sweep: its place in the pool; at: of the gamma in the sweep; kept: how many others were fitted.
    """

    sweep: int
    at: int
    kept: int
    log_speedup: float
    variance: float
    log_tau: float | None
    tau_variance: float


def predict_own(sweep: GammaSweep, index: int, at: int, rng: np.random.Generator) -> LeftOut:
    """Predict one gamma of a sweep from its others."""
    kept = np.arange(len(sweep.rows)) != at
    gammas, wanted = sweep.gammas[kept], int(sweep.gammas[at])
    tau, speedups = sweep.tau, sweep.speedups[kept]
    priors = _priors(sweep, gammas.size)
    if tau is not None:
        tokens = fit_tokens(gammas, tau[kept], rng, draws=DRAWS, priors=priors)
        cost = fit_round_cost(gammas, tau[kept] / speedups, rng, draws=DRAWS, priors=priors)
        log_tau = np.log(tokens_by_gamma(tokens.law(), wanted)[:, wanted])
        log_gain = log_tau - np.log(cost.law().round_time(wanted)[:, wanted])
        scatter = np.hypot(tokens.scatter, cost.scatter)
        tau_noise = log_tau + tokens.scatter * rng.standard_normal(DRAWS)
        tokens_known = (float(log_tau.mean()), float(tau_noise.var()))
    else:
        fit = fit_latency(
            [LatencyPoints("draft", gammas, 1.0 / speedups)], rng, draws=DRAWS, priors=priors
        )
        acceptance, cost_law = fit.laws("draft")
        tokens_all = tokens_by_gamma(acceptance, wanted)[:, wanted]
        log_gain = np.log(tokens_all / cost_law.round_time(wanted)[:, wanted])
        scatter, tokens_known = fit.scatter, None
    noisy = log_gain + scatter * rng.standard_normal(DRAWS)
    far = np.log2((wanted + 1.0) / (gammas[0] + 1.0)) if gammas.size == 1 else 0.0
    return LeftOut(
        index,
        at,
        int(gammas.size),
        float(log_gain.mean()),
        float(noisy.var() + (UNSURE * far) ** 2),
        tokens_known[0] if tokens_known else None,
        tokens_known[1] if tokens_known else 0.0,
    )


def _priors(sweep: GammaSweep, others: int) -> Priors:
    """The scatter is at least that of the digits that the speed-ups are printed with."""
    priors = ALONE if others == 1 else Priors()
    rounded = max(r.speedup_step / r.speedup for r in sweep.rows) / np.sqrt(12.0)
    return replace(priors, scatter=float(np.hypot(priors.scatter, rounded)))


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
    own = left_out(pool, {s.family for s in sweeps}, name=name, seed=seed, progress=progress)
    gain, tokens, regrets = _score_all(pool, own, len(sweeps))
    rest = "the other gammas of the sweep; misfits of sister sweeps; spreads of other studies"
    return (
        Test(
            f"{name}: speed-up, one gamma left out", rest, "relative", tuple(gain), tuple(regrets)
        ),
        Test(f"{name}: tokens per round, one gamma left out", rest, "relative", tuple(tokens)),
    )


def left_out(
    pool: Sequence[GammaSweep],
    needed: set[tuple[object, ...]],
    *,
    name: str = "",
    seed: int = 0,
    progress: Progress | None = None,
) -> list[LeftOut]:
    """Own predictions of every gamma of the pool's sweeps whose family is needed."""
    own: list[LeftOut] = []
    work = [(i, s) for i, s in enumerate(pool) if s.family in needed]
    for done, (i, s) in enumerate(work):
        # A generator for each: what another fit has drawn must not reach this prediction.
        for at in range(len(s.rows)):
            own.append(predict_own(s, i, at, np.random.default_rng([seed, 17, i, at])))
        if progress:
            progress(name, done + 1, len(work))
    return own


def speedup_misfit(own: LeftOut, pool: Sequence[GammaSweep]) -> float:
    """Predicted less measured ln S, in standard deviations of the law."""
    missed = own.log_speedup - np.log(pool[own.sweep].speedups[own.at])
    return float(missed / np.sqrt(own.variance))


def tokens_misfit(own: LeftOut, pool: Sequence[GammaSweep]) -> float | None:
    """Likewise of ln tau, None where tau is not measured."""
    sweep = pool[own.sweep]
    if sweep.tau is None or own.log_tau is None or sweep.rows[0].tau_is_derived:
        return None
    return float((own.log_tau - np.log(sweep.tau[own.at])) / np.sqrt(own.tau_variance))


def _score_all(
    pool: Sequence[GammaSweep], own: Sequence[LeftOut], tested: int
) -> tuple[list[Point], list[Point], list[float]]:
    by_family: dict[tuple[object, ...], list[LeftOut]] = defaultdict(list)
    for o in own:
        by_family[(pool[o.sweep].family, o.at)].append(o)
    gain, tokens = [], []
    chosen: dict[int, dict[int, float]] = defaultdict(dict)
    for o in own:
        if o.sweep >= tested:
            continue
        sweep = pool[o.sweep]
        others = [q for q in by_family[(sweep.family, o.at)] if q.sweep != o.sweep]
        misfits = np.array([speedup_misfit(q, pool) for q in others])
        known = (o.log_speedup, o.variance)
        point = _point(sweep, o, "speed-up", known, misfits, float(sweep.speedups[o.at]))
        gain.append(_with_rivals(point, sweep, o.at))
        chosen[o.sweep][o.at] = point.predicted
        if tokens_misfit(o, pool) is not None:
            assert sweep.tau is not None
            assert o.log_tau is not None
            misses = np.array(
                [m for m in (tokens_misfit(q, pool) for q in others) if m is not None]
            )
            known = (o.log_tau, o.tau_variance)
            tokens.append(_point(sweep, o, "tokens", known, misses, float(sweep.tau[o.at])))
    regrets = []
    for index, predictions in chosen.items():
        speedups = pool[index].speedups
        best = max(predictions, key=lambda at: predictions[at])
        regrets.append(float(1.0 - speedups[best] / speedups.max()))
    return gain, tokens, regrets


def _point(
    sweep: GammaSweep,
    own: LeftOut,
    quantity: str,
    known: tuple[float, float],
    misfits: Floats,
    seen: float,
) -> Point:
    """The own prediction, moved and widened by the misfits that are to be expected of it."""
    expected = forecast(prior_of(quantity, own.kept, sweep.study), misfits, LEVEL)
    log_mean, deviation = known[0], np.sqrt(known[1])
    ends = (expected.high, expected.middle, expected.low)
    low, middle, high = (float(np.exp(log_mean - deviation * u)) for u in ends)
    return Point(sweep.rows[own.at].label, seen, middle, low, high)


def _with_rivals(point: Point, sweep: GammaSweep, at: int) -> Point:
    kept = np.arange(len(sweep.rows)) != at
    gammas, wanted = sweep.gammas[kept], int(sweep.gammas[at])
    tau = sweep.tau
    rivals: dict[str, float | None] = {
        PLAIN: plain_from_sweep(
            gammas, sweep.speedups[kept], None if tau is None else tau[kept], wanted
        ),
        NEAREST: interpolated(gammas, sweep.speedups[kept], wanted),
        SDSL: _sdsl(sweep, kept, wanted),
    }
    return replace(point, rivals=rivals)


def _sdsl(sweep: GammaSweep, kept: NDArray[np.bool_], wanted: int) -> float | None:
    """SDSL's acceptance, the cost of a draft token fitted to the other gammas under it."""
    row = sweep.rows[0]
    alpha = sdsl_alpha(row.draft_params, row.target_params)
    if alpha is None:
        return None
    gammas = sweep.gammas[kept]
    per_token = (tokens_per_round(alpha, gammas) / sweep.speedups[kept] - 1.0) * gammas
    return float(speedup(alpha, wanted, max(0.0, float(per_token.sum() / (gammas**2).sum()))))
