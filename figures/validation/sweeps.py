"""Sweeps over gamma with one gamma left out, corrected by what sister sweeps show.

A sweep is fitted on its other gammas: acceptance to tokens per round, cost to round times (or both
to the speed-ups, where tokens per round are not stated). Sweeps of the same pair, engine and
machine share the passes of their rounds, so where the law misses them all in the same direction at
one gamma (a step of the verifying pass, a kernel that changes), the left-out point is moved by
their mean misfit, shrunken by how many they are and how far they disagree:

    shift = n mean / (n + s^2 / t^2),   spread^2 = s^2 (1 + 1 / (n + s^2 / t^2))

with t^2 the part of the law's own variance that sisters can share and s^2 the variance of one
sister around their mean, estimated from the sisters with that same part as its prior.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from ...calibrate.grid import Priors
from ...calibrate.latency import LatencyPoints, fit_latency
from ...calibrate.rounds import fit_round_cost
from ...calibrate.tokens import fit_tokens
from ...theory import speedup, tokens_by_gamma, tokens_per_round
from .result import Floats, Point, Test
from .rivals import NEAREST, PLAIN, SDSL, interpolated, plain_from_sweep, sdsl_alpha
from .rows import Measured

Progress = Callable[[str, int, int], None]
DRAWS = 600
PRIOR_WEIGHT = 2.0  # sisters that the prior of their scatter counts for
# A single other gamma cannot tell what a round costs from what a token does, nor how acceptance
# falls: engines on one device spend little on a round, and the line through one point is unsure by
# this much for every doubling of the verified tokens.
ALONE, UNSURE = Priors(overhead=0.1), 0.12


@dataclass(frozen=True)
class GammaSweep:
    """Rows of one group, each at another gamma, sorted; tau None unless stated at every gamma."""

    rows: tuple[Measured, ...]

    @property
    def gammas(self) -> NDArray[np.int64]:
        """Shape (points,) [token]."""
        return np.array([r.gamma for r in self.rows])

    @property
    def speedups(self) -> Floats:
        """Shape (points,)."""
        return np.array([r.speedup for r in self.rows])

    @property
    def tau(self) -> Floats | None:
        """Tokens per round, shape (points,), or None."""
        values = np.array([r.tau for r in self.rows])
        return values if np.isfinite(values).all() else None

    @property
    def family(self) -> tuple[object, ...]:
        """What sister sweeps share: pair, engine, machine, gammas; names in any spelling."""
        r = self.rows[0]
        names = (r.target, r.draft, r.engine, r.hardware)
        return (*(squeezed(n) for n in names), tuple(self.gammas))


def squeezed(name: str) -> str:
    """A name without capitals, spaces and punctuation, which sources write as they like."""
    return "".join(c for c in name.casefold() if c.isalnum())


def gamma_sweeps(rows: Iterable[Measured], *, least: int = 2) -> tuple[GammaSweep, ...]:
    """Group usable rows by target, draft, task, engine, hardware and batch.

    Where a group holds a gamma twice it is split further by form of the draft, precision and
    temperature, and left out if that does not make its gammas unique.
    """
    groups: dict[tuple[str, ...], list[Measured]] = defaultdict(list)
    for r in rows:
        if r.gamma and np.isfinite(r.speedup) and not r.objection:
            key = (r.target, r.draft, r.task, r.engine, r.hardware, r.batch)
            groups[key].append(r)
    found = []
    for members in groups.values():
        for part in _unique(members):
            if len(part) >= least:
                found.append(GammaSweep(tuple(sorted(part, key=lambda r: r.gamma))))
    return tuple(found)


def _unique(members: list[Measured]) -> list[list[Measured]]:
    if len({r.gamma for r in members}) == len(members):
        return [members]
    parts: dict[tuple[str, ...], list[Measured]] = defaultdict(list)
    for r in members:
        parts[(r.method, r.precision, r.temperature)].append(r)
    return [p for p in parts.values() if len({r.gamma for r in p}) == len(p)]


@dataclass(frozen=True)
class _LeftOut:
    """Own prediction of a left-out gamma: mean and variance of ln S, and of ln tau (or None)."""

    sweep: int
    at: int
    log_speedup: float
    variance: float
    log_tau: float | None
    tau_variance: float


def _predict_own(sweep: GammaSweep, index: int, at: int, rng: np.random.Generator) -> _LeftOut:
    kept = np.arange(len(sweep.rows)) != at
    gammas, wanted = sweep.gammas[kept], int(sweep.gammas[at])
    tau, speedups = sweep.tau, sweep.speedups[kept]
    priors = ALONE if gammas.size == 1 else Priors()
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
    return _LeftOut(
        index,
        at,
        float(log_gain.mean()),
        float(noisy.var() + (UNSURE * far) ** 2),
        tokens_known[0] if tokens_known else None,
        tokens_known[1] if tokens_known else 0.0,
    )


def shared_shift(misfits: Floats, variance: float) -> tuple[float, float, float]:
    """(shift, spread, degrees of freedom) of a prediction, given the misfits of its sisters.

    misfits: predicted less measured of the sisters, in ln, shape (sisters,), maybe none; variance:
    of the prediction's own law. Without sisters: no shift, and the law's own spread.
    """
    n, shared = misfits.size, 0.5 * variance
    if n == 0:
        return 0.0, float(np.sqrt(variance)), 30.0
    freedom = PRIOR_WEIGHT + n - 1
    around = float(((misfits - misfits.mean()) ** 2).sum())
    one = (PRIOR_WEIGHT * shared + around) / freedom
    weight = n + one / shared
    return float(misfits.sum() / weight), float(np.sqrt(one * (1.0 + 1.0 / weight))), freedom


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
    sweep are not lent to it: the measurement to be predicted is never looked at.
    """
    pool = [*sweeps, *(s for s in sisters if not any(_same(s, t) for t in sweeps))]
    needed = {s.family for s in sweeps}
    own: list[_LeftOut] = []
    work = [(i, s) for i, s in enumerate(pool) if s.family in needed]
    for done, (i, s) in enumerate(work):
        # A generator for each: what another fit has drawn must not reach this prediction.
        for at in range(len(s.rows)):
            own.append(_predict_own(s, i, at, np.random.default_rng([seed, 17, i, at])))
        if progress:
            progress(name, done + 1, len(work))
    gain, tokens, regrets = _score_all(pool, own, len(sweeps))
    rest = "the other gammas of the sweep; misfits of sister sweeps at the same gamma"
    return (
        Test(
            f"{name}: speed-up, one gamma left out", rest, "relative", tuple(gain), tuple(regrets)
        ),
        Test(f"{name}: tokens per round, one gamma left out", rest, "relative", tuple(tokens)),
    )


def _same(a: GammaSweep, b: GammaSweep) -> bool:
    """Whether two sweeps share a measurement, as far as two sources can be compared."""

    def cells(sweep: GammaSweep) -> set[tuple[object, ...]]:
        return {
            (*(squeezed(n) for n in (r.target, r.draft, r.task)),
             squeezed(r.batch) if np.isnan(r.batch_size) else r.batch_size, r.gamma)
            for r in sweep.rows
        }  # fmt: skip

    return bool(cells(a) & cells(b))


def _score_all(
    pool: Sequence[GammaSweep], own: Sequence[_LeftOut], tested: int
) -> tuple[list[Point], list[Point], list[float]]:
    by_family: dict[tuple[object, ...], list[_LeftOut]] = defaultdict(list)
    for o in own:
        by_family[(pool[o.sweep].family, o.at)].append(o)
    gain, tokens = [], []
    chosen: dict[int, dict[int, float]] = defaultdict(dict)
    for o in own:
        if o.sweep >= tested:
            continue
        sweep = pool[o.sweep]
        others = [q for q in by_family[(sweep.family, o.at)] if q.sweep != o.sweep]
        misfit = np.array([q.log_speedup - np.log(pool[q.sweep].speedups[q.at]) for q in others])
        point = _point(sweep, o.at, o.log_speedup, o.variance, misfit, sweep.speedups[o.at])
        gain.append(_with_rivals(point, sweep, o.at))
        chosen[o.sweep][o.at] = point.predicted
        if o.log_tau is not None and not sweep.rows[0].tau_is_derived:
            assert sweep.tau is not None
            misses = np.array([m for m in (_tau_misfit(q, pool) for q in others) if m is not None])
            tokens.append(_point(sweep, o.at, o.log_tau, o.tau_variance, misses, sweep.tau[o.at]))
    regrets = []
    for index, predictions in chosen.items():
        speedups = pool[index].speedups
        best = max(predictions, key=lambda at: predictions[at])
        regrets.append(float(1.0 - speedups[best] / speedups.max()))
    return gain, tokens, regrets


def _tau_misfit(own: _LeftOut, pool: Sequence[GammaSweep]) -> float | None:
    """Predicted less measured ln tau of a left-out gamma, None where tau is not stated."""
    tau = pool[own.sweep].tau
    if tau is None or own.log_tau is None:
        return None
    return own.log_tau - float(np.log(tau[own.at]))


def _point(
    sweep: GammaSweep, at: int, log_mean: float, variance: float, misfit: Floats, seen: float
) -> Point:
    from scipy.stats import t

    shift, spread, freedom = shared_shift(misfit, variance)
    half = float(t.ppf(0.95, freedom)) * spread
    center = log_mean - shift
    low, middle, high = (float(np.exp(center + d)) for d in (-half, 0.0, half))
    return Point(sweep.rows[at].label, float(seen), middle, low, high)


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
    return Point(point.label, point.observed, point.predicted, point.low, point.high, rivals)


def _sdsl(sweep: GammaSweep, kept: NDArray[np.bool_], wanted: int) -> float | None:
    """SDSL's acceptance, the cost of a draft token fitted to the other gammas under it."""
    row = sweep.rows[0]
    alpha = sdsl_alpha(row.draft_params, row.target_params)
    if alpha is None:
        return None
    gammas = sweep.gammas[kept]
    per_token = (tokens_per_round(alpha, gammas) / sweep.speedups[kept] - 1.0) * gammas
    return float(speedup(alpha, wanted, max(0.0, float(per_token.sum() / (gammas**2).sum()))))
