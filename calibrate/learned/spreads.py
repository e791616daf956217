r"""How far the law of a sweep misses, alone and together with its sisters, by what others showed.

    u = (predicted - measured ln S) / standard deviation of the law = c + e
    c ~ N(0, t^2) shared by sister sweeps at one gamma,   e ~ N(0, s^2) of each sweep
    ln s ~ N(ln s_0, w^2),   ln t ~ N(ln t_0, w^2),   (s_0, t_0, w) flat over a grid

A law whose own standard deviation were right would have s^2 + t^2 = 1. The spreads are learned from
the misfits of the bundled sweeps, every gamma left out in turn. Each study counts alike, however
many sweeps it has, since the next study is a new draw of studies and not of sweeps; the study in
question never counts. Sisters then say what c and s are in their own family, on the same grid.

A second measurement at a gamma misses the law as the first did, but for the scatter of each: where
that is a share n of the law's variance, their misfits have the covariance t^2 + (1 - n) s^2. Where
others have shown less scatter than the law fitted (s < 1), the second one has the fitted scatter
all the same: it may be of other prompts, on another day.
Source: derived here: a normal hierarchy, summed over a grid.

Misfits of sweeps, grouped by sister sweeps at one gamma, and realised speed-ups (`realisation`)
stand in `learned.json` as `learned.fit` has written them. Both keep the study that they are of, so
that it can be left out.
"""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import astuple, dataclass
from functools import cache, cached_property

import numpy as np
from numpy.typing import ArrayLike

from ...theory.domain import Floats
from ..files import bundled_json

FILE = "learned.json"
_HEAD = {"schema": "howspec.learned", "version": 1}
SPREADS = np.geomspace(0.02, 6.0, 48)  # of s and of t
CENTERS = np.geomspace(0.05, 2.5, 14)  # of s_0 and of t_0
WIDTHS = np.array([0.3, 0.5, 0.7, 1.0])  # of w
_LEAST = 1e-5  # weights below this share of the largest are left out of a forecast
# Where the distribution function is evaluated [root mean square], dense around the middle.
_OFFSETS = 12.0 * np.sinh(np.linspace(-5.0, 5.0, 601)) / np.sinh(5.0)


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


@dataclass(frozen=True)
class Realised:
    """One row: its study, its pair of models, misfit y = ln(measured S / ideal S), the variance of
    y that is known of the row, and its task."""

    study: str
    pair: str
    misfit: float
    variance: float = 0.0
    task: str = ""


@dataclass(frozen=True)
class Stored:
    """What studies teach.

    misfits: groups by name, see `spreads.prior_of`; realised: rows that state acceptance;
    new_study: values of y, and how likely a measurement of a further study is below each.
    """

    misfits: Mapping[str, tuple[Group, ...]]
    realised: tuple[Realised, ...]
    new_study: tuple[tuple[float, ...], tuple[float, ...]]


def to_text(stored: Stored) -> str:
    """The content of the file, one line an entry, so that a change can be read."""

    def lines(entries: Sequence[Group | Realised]) -> str:
        rows = (json.dumps([_short(v) for v in astuple(e)], ensure_ascii=False) for e in entries)
        return "[\n" + ",\n".join(rows) + "\n]"

    head = ", ".join(f"{json.dumps(k)}: {json.dumps(v)}" for k, v in _HEAD.items())
    groups = ",\n".join(f"{json.dumps(k)}: {lines(v)}" for k, v in stored.misfits.items())
    new = ",\n".join(json.dumps([float(f"{v:.6g}") for v in part]) for part in stored.new_study)
    return (
        f'{{{head},\n"misfits": {{\n{groups}\n}},\n"realised": {lines(stored.realised)},\n'
        f'"new_study": [\n{new}\n]}}\n'
    )


def _short(value: object) -> object:
    return float(f"{value:.4g}") if isinstance(value, float) else value


@cache
def stored() -> Stored:
    """What the bundled measurements teach. Raises ValueError for another schema or version."""
    found = bundled_json(__package__, FILE)
    if {name: found.get(name) for name in _HEAD} != _HEAD:
        raise ValueError(f"{FILE}: schema must be {_HEAD['schema']}, version {_HEAD['version']}")
    misfits = {k: tuple(Group(*row) for row in rows) for k, rows in found["misfits"].items()}
    at, below = (tuple(part) for part in found["new_study"])
    return Stored(misfits, tuple(Realised(*row) for row in found["realised"]), (at, below))


@dataclass(frozen=True)
class Distribution:
    """A law by its distribution function: below, in [0, 1], at rising values; one shape."""

    at: Floats
    below: Floats

    def quantiles(self, probability: ArrayLike) -> Floats:
        """Quantiles at probabilities in (0, 1), of their shape."""
        return np.asarray(np.interp(np.asarray(probability, dtype=float), self.below, self.at))


@dataclass(frozen=True)
class Mixture:
    """A mixture of normal laws; share (summing to 1), center and spread of shape (parts,)."""

    share: Floats
    center: Floats
    spread: Floats

    @cached_property
    def distribution(self) -> Distribution:
        """Its distribution function, dense around the middle."""
        middle = float(self.share @ self.center)
        scale = float(np.sqrt(self.share @ (self.spread**2 + (self.center - middle) ** 2)))
        at = middle + scale * _OFFSETS
        return Distribution(at, self.below(at))

    def below(self, values: Floats) -> Floats:
        """Its distribution function at values, of their shape (n,)."""
        from scipy.special import ndtr

        return np.asarray(ndtr((values[:, None] - self.center) / self.spread) @ self.share)

    def quantiles(self, probability: ArrayLike) -> Floats:
        """Quantiles at probabilities in (0, 1), of their shape."""
        return self.distribution.quantiles(probability)


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


@cache
def prior_of(quantity: str, others: int, study: str = "", *, engine: str = "") -> Floats:
    """ln weight of every (s, t), learned from the bundled sweeps without a study, or an engine.

    quantity: ``speed-up`` or ``tokens``; others: gammas that a prediction rests on, one or several.
    """
    named = stored().misfits[f"{quantity}, {'one' if others == 1 else 'several'}"]
    return learned([g for g in named if g.study != study and g.engine != engine])


@cache
def forecast(
    quantity: str,
    others: int,
    study: str,
    sisters: tuple[float, ...] = (),
    own: tuple[float, float] | None = None,
) -> Mixture:
    """Law of u of one more measurement, by what other studies, sisters and itself have shown.

    quantity, others, study: as in `prior_of`; sisters: misfits of sister sweeps at the gamma; own:
    (misfit of an earlier measurement at the gamma, share of the variance that is scatter), if any.
    """
    return conditioned(prior_of(quantity, others, study), np.array(sisters), own)


def conditioned(prior: Floats, sisters: Floats, own: tuple[float, float] | None = None) -> Mixture:
    """`forecast` under a prior of the spreads, ln weights of shape (48, 48)."""
    n = sisters.size
    single, shared = SPREADS[:, None] ** 2, SPREADS[None, :] ** 2
    log_weight, center, variance = prior, np.zeros_like(prior), single + shared
    if n:
        group = grouped("", "", "", sisters)
        log_weight = prior + log_likelihood(n, group.mean, group.around)
        total = single + n * shared
        center = n * shared * group.mean / total
        variance = single * (1.0 + shared / total)
    if own is not None:
        seen, noise = own
        log_weight = log_weight - 0.5 * ((seen - center) ** 2 / variance + np.log(variance))
        common = variance - noise * single
        center = center + common / variance * (seen - center)
        variance = variance - common**2 / variance + noise * np.maximum(1.0 - single, 0.0)
    weight = np.exp(log_weight - log_weight.max())
    kept = weight > _LEAST
    return Mixture(weight[kept] / weight[kept].sum(), center[kept], np.sqrt(variance[kept]))
