"""The five numbers that say nearest what two laws say: alpha, decay, cost ratio, slope, overhead.

Each draw by itself: ln alpha_k = ln alpha + (k - 1) ln decay, by least squares weighted by how
often position k is reached; the time of a round 1 + k (c + b) + o by least squares with terms that
are not negative. From there the middle is fitted to the mean speed-up, near its best most of all,
and held lightly to where it began: the curve alone hardly tells high alpha and cost from low ones.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from ..theory import AffineCost, DepthAcceptance
from ..theory.domain import Floats, check
from .known import Laws
from .prediction import speedup_table

_HOLD = 0.02  # relative error of the curve that weighs as much as a usual move of one number
NAMES = ("alpha", "decay", "cost_ratio", "verify_slope", "overhead")


@dataclass(frozen=True)
class Nearest:
    """middle: the five numbers by name; draws: of each, shape (draws,), None where nothing is
    unsure; around: the numbers that the draws lie around; gap: largest relative difference of the
    middle's speed-up from the mean, at a gamma that is not slower than plain decoding by half."""

    middle: Mapping[str, float]
    draws: Mapping[str, Floats] | None
    around: Mapping[str, float]
    gap: float


def nearest(laws: Laws, draws: int = 64) -> Nearest:
    """The nearest five numbers of both laws, and of so many of their draws, evenly taken."""
    top, at = laws.gamma_max, laws.pair.at
    load = {"batch": at.batch, "context": at.cached}
    rates = laws.acceptance.rates(top)
    times = np.asarray(laws.costs.law.round_time(top, **load), dtype=float).reshape(-1, top + 1)
    times = times / times[:, :1]
    ratio = laws.costs.cost_ratio(**load)
    ratios = np.full(1, np.inf) if ratio is None else np.asarray(ratio, dtype=float).reshape(-1)
    around = _one(rates.mean(axis=0), np.median(times, axis=0), float(np.median(ratios)))
    wanted = speedup_table(laws.acceptance.law, laws.costs.law, top, **load)
    wanted = wanted.reshape(-1, top + 1).mean(axis=0)
    count = max(len(rates), len(times))
    if count == 1:
        return Nearest(around, None, around, _gap(around, wanted))
    middle = _refined(around, wanted)
    sample = [
        _one(rates[i % len(rates)], times[i % len(times)], float(ratios[i % len(ratios)]))
        for i in np.linspace(0, count - 1, min(draws, count)).astype(int)
    ]
    found = {n: np.array([s[n] for s in sample]) for n in NAMES}
    return Nearest(middle, found, around, _gap(middle, wanted))


def _curve(numbers: Mapping[str, float], top: int) -> Floats:
    law = DepthAcceptance(numbers["alpha"], numbers["decay"])
    cost = AffineCost(numbers["cost_ratio"], numbers["verify_slope"], numbers["overhead"])
    return speedup_table(law, cost, top)


def _gap(numbers: Mapping[str, float], wanted: Floats) -> float:
    there = wanted >= 0.5
    return float(np.abs(_curve(numbers, wanted.size - 1) / wanted - 1.0)[there].max())


def _refined(begin: Mapping[str, float], wanted: Floats) -> dict[str, float]:
    """The numbers with nearly the wanted speed-up; verify slope and cost keep their ratio."""
    from scipy.optimize import least_squares

    total = begin["cost_ratio"] + begin["verify_slope"]
    part = begin["cost_ratio"] / total if total > 0.0 else 1.0

    def numbers(x: Floats) -> dict[str, float]:
        alpha, decay, slope, overhead = (float(v) for v in x)
        return {"alpha": alpha, "decay": decay, "cost_ratio": part * slope,
                "verify_slope": (1.0 - part) * slope, "overhead": overhead}  # fmt: skip

    weight = (wanted / wanted.max()) ** 2
    width = np.array([0.05, 0.05, 0.2 * total + 1e-3, 0.05]) / _HOLD

    def errors(x: Floats) -> Floats:
        missed = weight * np.log(_curve(numbers(x), wanted.size - 1) / wanted)
        return np.concatenate([missed, (x - first) / width])

    low, high = np.array([1e-6, 0.3, 0.0, 0.0]), np.array([1.0 - 1e-9, 1.5, 10.0, 10.0])
    first = np.clip([begin["alpha"], begin["decay"], total, begin["overhead"]], low + 1e-6,
                    high - 1e-6)  # fmt: skip
    return numbers(least_squares(errors, first, bounds=(low, high)).x)


def _one(rates: Floats, times: Floats, ratio: float) -> dict[str, float]:
    """The five numbers of rates at positions 1.. and times of rounds at gamma = 0.. ."""
    from scipy.optimize import nnls

    reached = np.concatenate([[1.0], np.cumprod(rates)[:-1]])
    known = (rates > 0.0) & (reached > 1e-6)
    decay, alpha = 1.0, float(rates[0])
    if known.sum() > 1:
        k = np.arange(rates.size)[known]
        slope, level = np.polyfit(k, np.log(rates[known]), 1, w=np.sqrt(reached[known]))
        decay, alpha = float(np.exp(slope)), float(min(np.exp(level), 1.0))
    gamma = np.arange(1.0, times.size)
    (slope, overhead), _ = nnls(np.stack([gamma, np.ones_like(gamma)], axis=1), times[1:] - 1.0)
    cost = min(ratio, float(slope))
    return {
        "alpha": alpha, "decay": decay, "cost_ratio": cost,
        "verify_slope": float(slope) - cost, "overhead": float(overhead),
    }  # fmt: skip


def stated_draws(posterior: str | Path | Mapping[str, Sequence[float]]) -> Nearest:
    """The draws of a table, or of sequences by name, with their means as the middle.

    Raises ValueError without alpha or cost_ratio, and for draws that are fewer than two, not of one
    number or out of range.
    """
    from ..calibrate.tables.cells import number, read_cells

    usual = {"decay": 1.0, "verify_slope": 0.0, "overhead": 0.0}
    if isinstance(posterior, str | Path):
        cells, label = read_cells(posterior), str(posterior)
        columns: Mapping[str, Sequence[float]] = {
            name: [number(row.get(name, "")) for row in cells.rows]
            for name in NAMES
            if name in cells.names
        }
    else:
        columns, label = posterior, "posterior"
    missing = [n for n in NAMES if n not in columns and n not in usual]
    if missing:
        lacks = " and no ".join(missing).replace("_", " ")
        raise ValueError(f"{label}: a posterior needs alpha and the cost ratio, got no {lacks}")
    count = len(columns["alpha"])
    if count < 2:
        raise ValueError(f"{label}: a posterior must have 2 draws or more, got {count}")
    draws = {n: check(n, columns.get(n, np.full(count, usual.get(n, 0.0)))) for n in NAMES}
    if {v.shape for v in draws.values()} != {(count,)}:
        raise ValueError(f"{label}: a posterior must have as many draws of every quantity")
    kept = np.linspace(0, count - 1, min(count, 64)).astype(int)
    middle = {n: float(v.mean()) for n, v in draws.items()}
    return Nearest(middle, {n: v[kept] for n, v in draws.items()}, middle, 0.0)
