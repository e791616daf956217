"""A measurement at one gamma of a sweep, predicted from the sweep, its sisters and other studies.

The law is fitted to the other gammas of the sweep: acceptance to tokens per round, cost to round
times (or both to the speed-ups, where tokens per round are not stated). Sweeps of the same pair,
engine and machine share the passes of their rounds, so where the law misses them all in the same
direction at one gamma (a step of the verifying pass, a kernel that changes), the prediction is
moved by what they share; and by what the sweep's own measurement at the gamma shows, if it has one.
How far the law misses at all is learned from other studies, see `spreads`.
"""

from __future__ import annotations

import zlib
from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import cache

import numpy as np
from numpy.typing import ArrayLike

from ...theory import tokens_by_gamma
from ...theory.domain import Floats
from ...theory.interval import Interval, check_level
from ..grid import Priors
from ..library.load import study_of
from ..sweeps import SweepFit, fit_sweeps
from ..tables.sweep import Sweep, read_only
from .measured import squeezed
from .spreads import Mixture, forecast

DRAWS = 600
# A single other gamma cannot tell what a round costs from what a token does, nor how acceptance
# falls: engines on one device spend little on a round, and the line through one point is unsure by
# this much for every doubling of the verified tokens.
_ALONE, _UNSURE = Priors(overhead=0.1), 0.12


@dataclass(frozen=True)
class Ahead:
    """Law of a measured quantity: exp(log_mean - deviation u) with u of a mixture."""

    log_mean: float
    deviation: float
    misfit: Mixture

    def quantiles(self, probability: ArrayLike) -> Floats:
        """Quantiles at probabilities in (0, 1), of their shape."""
        u = self.misfit.quantiles(1.0 - np.asarray(probability, dtype=float))
        return np.asarray(np.exp(self.log_mean - self.deviation * u))

    def interval(self, level: float) -> Interval:
        """Median and central interval."""
        tail = 0.5 * (1.0 - check_level(level))
        middle, low, high = (float(v) for v in self.quantiles([0.5, tail, 1.0 - tail]))
        return Interval(middle, low, high, level)


@dataclass(frozen=True)
class GammaForecast:
    """speedup, tokens: of a measurement at gamma; tokens per round where the sweep states them.

    kept: gammas that the law rests on; sisters: sweeps that say where it misses.
    """

    gamma: int
    speedup: Ahead
    tokens: Ahead | None
    kept: int
    sisters: int


@dataclass(frozen=True)
class _Line:
    """The numbers of a sweep by which its fit is known again."""

    draft: str
    gammas: tuple[int, ...]
    speedups: tuple[float, ...]
    tokens: tuple[float, ...] | None
    digit: float

    def sweep(self) -> Sweep:
        tokens = None if self.tokens is None else read_only(self.tokens)
        gammas, speedups = read_only(self.gammas), read_only(self.speedups)
        return Sweep("", self.draft, gammas, speedups, tokens_per_round=tokens)


@dataclass(frozen=True)
class _Law:
    """ln of a quantity by the law of a sweep: mean, variance of a measurement, scatter's share."""

    mean: float
    variance: float
    noise: float

    def misfit(self, measured: float) -> float:
        return float((self.mean - np.log(measured)) / np.sqrt(self.variance))


def forecast_gamma(
    sweep: Sweep, gamma: int, *, family: Sequence[Sweep] = (), seed: int = 0
) -> GammaForecast:
    """Predict a measurement of the sweep's speed-up at gamma, which it may hold or not.

    family: other sweeps at hand, of which sisters and other drafts of the same target count; the
    sweep itself may be among them and does not. Its own study never teaches the spreads. Raises
    ValueError where the sweep has too few gammas to be fitted: 1 with tokens per round, else 2.
    """
    others = sweep.without(gamma)
    apart = others.gamma.size >= (1 if sweep.tokens_per_round is not None else 2)
    base = others if apart else sweep
    rest = [s for s in family if s is not sweep]
    sisters = [s for s in rest if apart and _is_sister(s, others, gamma)]
    lent = [misfits(s, gamma, family=family, seed=seed) for s in sisters]
    seen = _measured(sweep, gamma) if apart else (None, None)
    found = []
    for i, law in enumerate(_laws(base, gamma, rest, seed)):
        value = seen[i]
        own = None if law is None or value is None else (law.misfit(value), law.noise)
        shared = tuple(u for m in lent if (u := m[i]) is not None)
        quantity, study = ("speed-up", "tokens")[i], study_of(sweep.source)
        if law is not None:
            mixture = forecast(quantity, base.gamma.size, study, shared, own)
            found.append(Ahead(law.mean, float(np.sqrt(law.variance)), mixture))
    tokens = found[1] if len(found) > 1 else None
    return GammaForecast(gamma, found[0], tokens, int(base.gamma.size), len(sisters))


def misfits(
    sweep: Sweep, gamma: int, *, family: Sequence[Sweep] = (), seed: int = 0
) -> tuple[float, float | None]:
    """How far the law of the other gammas misses speed-up and tokens per round at a measured one.

    In standard deviations of the law; None where tokens per round are not stated.
    """
    speed, tokens = _measured(sweep, gamma)
    assert speed is not None
    others = sweep.without(gamma)
    of_speed, of_tokens = _laws(others, gamma, [s for s in family if s is not sweep], seed)
    known = None if of_tokens is None or tokens is None else of_tokens.misfit(tokens)
    return of_speed.misfit(speed), known


def _measured(sweep: Sweep, gamma: int) -> tuple[float | None, float | None]:
    """Speed-up and tokens per round at a gamma, None where they are not measured."""
    at = np.flatnonzero(sweep.gamma == gamma)
    if not at.size:
        return None, None
    tokens = sweep.tokens_per_round
    return float(sweep.speedup[at[0]]), None if tokens is None else float(tokens[at[0]])


def _is_sister(sweep: Sweep, others: Sweep, gamma: int) -> bool:
    """Whether a sweep of the same pair and setting has this gamma beside the very same others."""
    same = all(squeezed(getattr(sweep, n)) == squeezed(getattr(others, n)) for n in _FAMILY)
    rest = sweep.gamma[sweep.gamma != gamma]
    return same and rest.size < sweep.gamma.size and np.array_equal(rest, others.gamma)


_FAMILY = ("target", "draft", "setting")


def _companions(sweep: Sweep, family: Sequence[Sweep]) -> list[Sweep]:
    """Sweeps of other drafts of the target at the same work, where speed-ups alone are known."""
    if sweep.tokens_per_round is not None:
        return []
    work = [squeezed(getattr(sweep, n)) for n in ("target", "workload", "setting")]
    found: dict[str, Sweep] = {}
    for s in family:
        same = [squeezed(getattr(s, n)) for n in ("target", "workload", "setting")] == work
        if same and s.tokens_per_round is None and s.gamma.size > 1 and s.draft != sweep.draft:
            found.setdefault(s.draft, s)
    return list(found.values())


def _laws(sweep: Sweep, gamma: int, family: Sequence[Sweep], seed: int) -> tuple[_Law, _Law | None]:
    lines = [_line(s) for s in (sweep, *_companions(sweep, family))]
    return _law_at(tuple(lines), gamma, seed, DRAWS)


def _line(sweep: Sweep) -> _Line:
    tokens = sweep.tokens_per_round
    # Plain values: numbers of NumPy are equal to them and print otherwise, and _fit seeds by print.
    return _Line(
        str(sweep.draft),
        tuple(int(g) for g in sweep.gamma),
        tuple(sweep.speedup.tolist()),
        None if tokens is None else tuple(tokens.tolist()),
        float(sweep.digit),
    )


@cache
def _fit(lines: tuple[_Line, ...], seed: int, draws: int) -> SweepFit:
    """The first of the lines fitted, the others jointly with it.

    The generator is of these numbers alone: what else was fitted before must not reach the draws.
    """
    own = lines[0]
    # The scatter is at least that of the digits that the speed-ups are printed with.
    rounded = own.digit / min(own.speedups) / np.sqrt(12.0)
    priors = _ALONE if len(own.gammas) == 1 else Priors()
    priors = replace(priors, scatter=float(np.hypot(priors.scatter, rounded)))
    rng = np.random.default_rng([seed, zlib.crc32(repr(lines).encode())])
    sweeps = [line.sweep() for line in lines]
    return fit_sweeps(sweeps, rng, draws=draws, priors=priors, size="coarse")[0]


@cache
def _law_at(
    lines: tuple[_Line, ...], gamma: int, seed: int, draws: int
) -> tuple[_Law, _Law | None]:
    """Laws of ln S and, where tokens per round are stated, of ln tau at a gamma."""
    fit, gammas = _fit(lines, seed, draws), lines[0].gammas
    log_tokens = np.log(tokens_by_gamma(fit.acceptance, gamma)[..., gamma])
    log_gain = log_tokens - np.log(fit.cost.round_time(gamma)[..., gamma])
    far = np.log2((gamma + 1.0) / (gammas[0] + 1.0)) if len(gammas) == 1 else 0.0
    speed = _law(log_gain, fit.scatter, (_UNSURE * far) ** 2)
    tokens = None if fit.tokens_scatter is None else _law(log_tokens, fit.tokens_scatter)
    return speed, tokens


def _law(values: Floats, scatter: Floats, more: float = 0.0) -> _Law:
    noise = float(np.mean(scatter**2))
    variance = float(values.var()) + noise + more
    return _Law(float(values.mean()), variance, noise / variance)
