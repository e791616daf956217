r"""How much of an ideal speed-up is realised, learned from other studies.

    y = ln (measured S / ideal S) = m + b_study + d_pair + f_task + e

Where a source says what was accepted and what a draft step costs, the speed-up follows but for what
it does not say: work between the passes, what it calls acceptance, how it timed plain decoding.
That is common to a study (b) and, less, to its pair of models (d) and to its task (f). All are
normal; the spreads are summed over a grid with log-normal priors, given the rows of the other
studies.
Assumes: studies are exchangeable. Wrong when: the study is a stack that no other resembles.
Source: derived here: a normal hierarchy with its spreads summed out.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from functools import cache
from itertools import product

import numpy as np

from ...theory.domain import Floats
from ...theory.interval import Interval, check_level
from ..prior.acceptance_model import log_density
from .spreads import Distribution, Mixture, Realised, stored

# Median of each spread and the spread of its logarithm, before any row is seen.
MEAN_SPREAD = 0.3  # of m around 0
_MEDIANS, _WIDTH = np.array([0.2, 0.1, 0.1, 0.1]), 0.7  # of a study, a pair, a task, a row
_STEPS = np.exp(_WIDTH * np.array([-1.5, -0.5, 0.5, 1.5]))
GRID = np.array(list(product(*np.outer(_MEDIANS, _STEPS))))  # (256, 4)
_LOG_PRIOR = -0.5 * ((np.log(GRID / _MEDIANS) / _WIDTH) ** 2).sum(axis=1)


def covariance(one: Sequence[Realised], other: Sequence[Realised], spreads: Floats) -> Floats:
    """Of y between two lists of rows under spreads of shape (grid, 4), without the rows' own part.

    Shape (grid, one, other).
    """
    studies = np.array([[a.study == b.study for b in other] for a in one], dtype=float)
    pairs = np.array([[a.pair == b.pair for b in other] for a in one], dtype=float) * studies
    tasks = np.array([[a.task == b.task for b in other] for a in one], dtype=float) * studies
    squares = spreads**2
    shape = (1, len(one), len(other))
    return np.asarray(
        MEAN_SPREAD**2
        + squares[:, :1, None] * studies.reshape(shape)
        + squares[:, 1:2, None] * pairs.reshape(shape)
        + squares[:, 2:3, None] * tasks.reshape(shape)
    )


class Learned:
    """The hierarchy given rows: of the studies that teach the spreads, and of sisters, if any."""

    def __init__(self, teachers: Sequence[Realised], sisters: Sequence[Realised] = ()) -> None:
        log_weight = _LOG_PRIOR + _evidence_of_studies(tuple(teachers))
        log_weight = log_weight + _log_evidence(tuple(sisters))
        kept = log_weight > log_weight.max() - 6.0
        self.spreads = GRID[kept]
        self.weight = np.exp(log_weight[kept] - log_weight.max())
        self.weight /= self.weight.sum()
        self.known = (*teachers, *sisters)
        self.values = np.array([r.misfit for r in self.known])
        self.whole = _with_own(self.known, self.spreads) if self.known else np.zeros((0, 0, 0))

    def forecast(self, row: Realised) -> Mixture:
        """Law of y of a row that is not among those that are known."""
        variance = MEAN_SPREAD**2 + (self.spreads**2).sum(axis=1) + row.variance
        center = np.zeros_like(variance)
        if self.known:
            across = covariance([row], self.known, self.spreads)[:, 0, :]
            gain = np.linalg.solve(self.whole, across[..., None])[..., 0]
            center = gain @ self.values
            variance = variance - (gain * across).sum(axis=1)
        return Mixture(self.weight, center, np.sqrt(variance))


def expected_measurement(
    ideal: float,
    *,
    level: float = 0.9,
    variance: float = 0.0,
    task: str = "",
    study: str = "",
    pair: str = "",
    sisters: tuple[Realised, ...] = (),
) -> Interval:
    """The speed-up that a measurement shows where acceptance and costs give an ideal one.

    ideal: speed-up by the formulas, > 0; level: of the interval, in (0, 1); variance: of ln ideal,
    as far as it is not exact; study: which is measured, and never taught from; pair, task: within
    it; sisters: its other rows. Raises ValueError outside these ranges.
    """
    if not 0.0 < ideal < math.inf:
        raise ValueError(f"ideal must be in (0, inf), got {ideal:g}")
    tail = 0.5 * (1.0 - check_level(level))
    law = _realised(Realised(study, pair, 0.0, variance, task), sisters)
    middle, low, high = (ideal * math.exp(y) for y in law.quantiles([0.5, tail, 1.0 - tail]))
    return Interval(middle, low, high, level)


@cache
def _realised(row: Realised, sisters: tuple[Realised, ...]) -> Mixture | Distribution:
    """Law of y of a row; that of a study which is not among the bundled ones is stored."""
    known = stored()
    if not sisters and not row.variance and all(r.study != row.study for r in known.realised):
        at, below = known.new_study
        return Distribution(np.array(at), np.array(below))
    return _learned(row.study, sisters).forecast(row)


@cache
def _learned(study: str, sisters: tuple[Realised, ...]) -> Learned:
    return Learned([r for r in stored().realised if r.study != study], sisters)


def _with_own(rows: Sequence[Realised], spreads: Floats) -> Floats:
    own = spreads[:, 3:] ** 2 + np.array([r.variance for r in rows])
    return np.asarray(covariance(rows, rows, spreads) + own[:, :, None] * np.eye(len(rows)))


@cache
def _evidence_of_studies(rows: tuple[Realised, ...]) -> Floats:
    """ln evidence of every spread of the grid, shape (256,), each pair of a study one row's worth.

    The spreads of the next study are a new draw, however many rows a known one has.
    """
    total = np.zeros(len(GRID))
    for study in dict.fromkeys(r.study for r in rows):
        own = tuple(r for r in rows if r.study == study)
        total += len({r.pair for r in own}) / len(own) * _log_evidence(own)
    return total


@cache
def _log_evidence(rows: tuple[Realised, ...]) -> Floats:
    """ln density of the rows' y under every spread of the grid, shape (256,)."""
    if not rows:
        return np.zeros(len(GRID))
    root: Floats = np.asarray(np.linalg.cholesky(_with_own(rows, GRID)))
    return log_density(root, np.array([r.misfit for r in rows]))
