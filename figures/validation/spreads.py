r"""How far the law of a sweep misses, alone and together with its sisters, by what others showed.

    u = (predicted - measured ln S) / standard deviation of the law = c + e
    c ~ N(0, t^2) shared by sister sweeps at one gamma,   e ~ N(0, s^2) of each sweep
    ln s ~ N(ln s_0, w^2),   ln t ~ N(ln t_0, w^2),   (s_0, t_0, w) flat over a grid

A law whose own standard deviation were right would have s^2 + t^2 = 1. The spreads are learned from
the misfits of the bundled sweeps, every gamma left out in turn. Each study counts alike, however
many sweeps it has, since the next study is a new draw of studies and not of sweeps; the study in
question never counts. Sisters then say what c and s are in their own family, on the same grid.
Source: derived here: a normal hierarchy, summed over a grid.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cache

import numpy as np

from .mixtures import median_and_interval
from .result import Floats

SPREADS = np.geomspace(0.02, 6.0, 48)  # of s and of t
CENTERS = np.geomspace(0.05, 2.5, 14)  # of s_0 and of t_0
WIDTHS = np.array([0.3, 0.5, 0.7, 1.0])  # of w
_LEAST = 1e-5  # weights below this share of the largest are left out of a forecast


@dataclass(frozen=True)
class Group:
    """Misfits u of sister sweeps at one gamma: their number, mean and sum of squares around it.

    study, engine: whose; family: sweeps that are sisters; the positions of a family share a weight.
    """

    study: str
    engine: str
    family: str
    count: int
    mean: float
    around: float


def grouped(study: str, engine: str, family: str, misfits: Floats) -> Group:
    """A group from its misfits, shape (sweeps,)."""
    center = float(misfits.mean())
    around = float(((misfits - center) ** 2).sum())
    return Group(study, engine, family, misfits.size, center, around)


def log_likelihood(count: int, mean: float, around: float) -> Floats:
    """Of a group under every (s, t) of the grid, shape (48, 48)."""
    own, shared = SPREADS[:, None] ** 2, SPREADS[None, :] ** 2
    total = own + count * shared
    return np.asarray(
        -0.5 * ((count - 1) * np.log(own) + np.log(total) + around / own + count * mean**2 / total)
    )


@cache
def _populations() -> Floats:
    """Density of ln spread under every (center, width), shape (14, 4, 48), each summing to 1."""
    z = np.log(SPREADS / CENTERS[:, None, None]) / WIDTHS[None, :, None]
    density = np.exp(-0.5 * z * z)
    return np.asarray(density / density.sum(axis=2, keepdims=True))


def learned(groups: Sequence[Group]) -> Floats:
    """ln weight of every (s, t) for a family of a new study, shape (48, 48)."""
    population = _populations()
    families = Counter((g.study, g.family) for g in groups)
    in_study = Counter(study for study, _ in families)
    log_hyper = np.zeros((CENTERS.size, CENTERS.size, WIDTHS.size))
    for g in groups:
        log_like = log_likelihood(g.count, g.mean, g.around)
        like = np.exp(log_like - log_like.max())
        evidence = np.einsum("aws,st,bwt->abw", population, like, population, optimize=True)
        share = 1.0 / families[(g.study, g.family)] / in_study[g.study]
        log_hyper += share * np.log(evidence + 1e-300)
    weight = np.exp(log_hyper - log_hyper.max())
    mixed = np.einsum("abw,aws,bwt->st", weight / weight.sum(), population, population)
    return np.asarray(np.log(mixed + 1e-300))


@dataclass(frozen=True)
class Forecast:
    """Median and 90 % interval of u of one more sweep."""

    middle: float
    low: float
    high: float


def forecast(prior: Floats, sisters: Floats, level: float) -> Forecast:
    """u of a sweep given those of its sisters, shape (sisters,), maybe none; prior: `learned`."""
    n = sisters.size
    own, shared = SPREADS[:, None] ** 2, SPREADS[None, :] ** 2
    log_weight = prior
    center, spread = np.zeros_like(prior), np.sqrt(own + shared)
    if n:
        group = grouped("", "", "", sisters)
        log_weight = prior + log_likelihood(n, group.mean, group.around)
        total = own + n * shared
        center = n * shared * group.mean / total
        spread = np.sqrt(own * (1.0 + shared / total))
    weight = np.exp(log_weight - log_weight.max())
    kept = weight > _LEAST
    share = weight[kept] / weight[kept].sum()
    return Forecast(*median_and_interval(share, center[kept], spread=spread[kept], level=level))
