"""Fitting what software reaches of a device's peak rates, with the spread between sources.

Every stack has its own parameters, drawn from one common prior; every source deviates from its
stack, and every model from its source. All of it is Gaussian in logarithms, so the fit is a
non-linear least-squares problem, and the posterior the Gaussian at its solution (Laplace). The
spreads of sources and models maximise the evidence. What predictions read of it is stored.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np

from ...theory.domain import Floats
from ..library.load import same_study
from .costs_model import PARAMETERS
from .costs_points import CostPoint, bundled_points
from .costs_posterior import VERSION, Spread, StackPosterior, stored_stacks
from .costs_unknowns import (
    Layout,
    columns_of,
    layout_of,
    log_numbers,
    of_stack,
    passes_of,
    priors_of,
)
from .stacks import STACKS

_SPREAD_WIDTH = 0.3  # of the logarithm of a spread
_GAIN = 0.2  # of a logarithm of probability, below which spreads are as good
_CONVERGED = 1e-5  # of the sum of squares, from one step to the next


@dataclass(frozen=True)
class CostFit:
    """The fit to a set of points.

    stacks: by name; groups: posterior of each source, its deviations included; evidence: logarithm;
    residual: ln(fitted / observed) of each point, (points,).
    """

    stacks: dict[str, StackPosterior]
    groups: dict[str, StackPosterior]
    spread: Spread
    evidence: float
    residual: Floats


@dataclass(frozen=True)
class _Solution:
    unknowns: Floats
    covariance: Floats
    residual: Floats
    evidence: float


def _solve(
    points: Sequence[CostPoint], layout: Layout, spread: Spread, start: Floats | None = None
) -> _Solution:
    """Gauss-Newton with damping; the posterior is the Gaussian at the solution.

    start: unknowns near the solution, by default the middle of the prior.
    """
    passes = passes_of(points, layout)
    matrix, mean, width = priors_of(layout, spread)
    observed = np.log([p.value for p in points])
    error = np.array([p.error for p in points])

    def gap(unknowns: Floats) -> tuple[Floats, Floats]:
        value, slope = log_numbers(passes, unknowns)
        left = np.concatenate([(value - observed) / error, (matrix @ unknowns - mean) / width])
        return left, np.concatenate([slope / error[:, None], matrix / width[:, None]])

    middle = np.linalg.lstsq(matrix, mean, rcond=None)[0]
    unknowns: Floats = np.asarray(middle, np.float64) if start is None else start
    left, slope = gap(unknowns)
    damping = 1.0 if start is None else 1e-3
    for _ in range(200):
        normal = slope.T @ slope
        step = -np.linalg.solve(normal + damping * np.eye(len(layout)), slope.T @ left)
        new_left, new_slope = gap(np.asarray(unknowns + step, np.float64))
        if new_left @ new_left < left @ left:
            done = left @ left - new_left @ new_left < _CONVERGED * (left @ left)
            unknowns, left, slope = np.asarray(unknowns + step, np.float64), new_left, new_slope
            damping = max(damping * 0.2, 1e-9)
            if done and damping < 1e2:
                break
        else:
            damping *= 4.0
            if damping > 1e4:
                break
    normal = slope.T @ slope
    sign, logdet = np.linalg.slogdet(normal)
    evidence = -0.5 * (left @ left) - 0.5 * logdet - np.log(width).sum() - np.log(error).sum()
    return _Solution(
        unknowns,
        np.asarray(np.linalg.inv(normal), np.float64),
        left[: len(points)] * error,
        float(evidence * sign),
    )


def fit_costs(points: Sequence[CostPoint], spread: Spread | None = None) -> CostFit:
    """Fit the stacks' parameters to the points that are marked for it.

    spread: of sources and models, by default what `choose_spread` finds. Raises ValueError where
    no point is left.
    """
    used = [p for p in points if p.fitted]
    if not used:
        raise ValueError("points must hold at least one that may be fitted, got none")
    chosen = choose_spread(used) if spread is None else spread
    layout = layout_of(used)
    found = _solve(used, layout, chosen)
    stacks, groups = {}, {}
    for stack in STACKS:
        seen = len({p.group for p in used if p.stack == stack})
        index = [of_stack(layout, stack, n) for n in PARAMETERS]
        block = found.covariance[np.ix_(index, index)]
        stacks[stack] = StackPosterior(stack, found.unknowns[index], block, chosen, seen)
    for group in sorted({p.group for p in used}):
        p = next(p for p in used if p.group == group)
        weights = np.zeros((len(PARAMETERS), len(layout) + 1))
        for k in range(len(PARAMETERS)):
            for column in columns_of(p, layout)[2 * k : 2 * k + 2]:
                weights[k, column] += 1.0
        weights = weights[:, :-1]
        block = weights @ found.covariance @ weights.T
        own = Spread(
            **dict.fromkeys(vars(chosen), 0.0) | {"model": chosen.model, "head": chosen.head}
        )
        groups[group] = StackPosterior(p.stack, weights @ found.unknowns, block, own, 1)
    return CostFit(stacks, groups, chosen, found.evidence, found.residual)


def choose_spread(points: Sequence[CostPoint], *, start: Spread | None = None) -> Spread:
    """The likeliest spreads, by a search over one of them at a time.

    The evidence alone would let a spread grow without end where it says nothing of large ones (a
    pass that takes the larger of two times looks alike for every large order), so each has a
    log-normal prior around its default.
    """
    used = [p for p in points if p.fitted]
    layout = layout_of(used)
    usual = np.log(list(vars(Spread()).values()))

    def score(found: _Solution, spread: Spread) -> float:
        apart = (np.log(list(vars(spread).values())) - usual) / _SPREAD_WIDTH
        return float(found.evidence - 0.5 * (apart @ apart))

    best = start or Spread()
    found = _solve(used, layout, best)
    value = score(found, best)
    step = 1.5
    while step > 1.2:
        moved = False
        for name in vars(best):
            for factor in (step, 1.0 / step):
                trial = replace(best, **{name: getattr(best, name) * factor})
                other = _solve(used, layout, trial, found.unknowns)
                if score(other, trial) > value + _GAIN:
                    best, found, value, moved = trial, other, score(other, trial), True
                    break
        step = step if moved else step**0.5
    return best


def to_json(fit: CostFit) -> dict[str, Any]:
    """A fit as a JSON object, rounded to what a reader could use."""
    stacks = {
        name: {
            "sources": s.sources,
            "mean": [round(float(v), 4) for v in s.mean],
            "covariance": [[round(float(v), 5) for v in row] for row in s.covariance],
        }
        for name, s in fit.stacks.items()
    }
    spread = {name: round(value, 4) for name, value in asdict(fit.spread).items()}
    head = {"schema": "howspec.costs_fit", "version": VERSION, "parameters": list(PARAMETERS)}
    return {**head, "spread": spread, "stacks": stacks}


def store_left_out(path: str | Path) -> None:
    """Fit everything but each study in turn, the spreads as stored; the file of `stacks_without`.

    To be run after `store`; it takes some minutes.
    """
    from .costs_measured import all_points

    found = dict.fromkeys(p.study for p in all_points() if p.fitted and p.study)
    fits = {study: to_json(fit_without(study)) for study in found}
    Path(path).write_text(json.dumps(fits).replace("}}, ", "}},\n") + "\n", encoding="utf-8")


def fit_without(study: str) -> CostFit:
    """The fit to all bundled points but those of a study, with the stored spreads."""
    from .costs_measured import all_points

    spread = next(iter(stored_stacks().values())).spread
    return fit_costs([p for p in all_points() if not same_study(p.study, study)], spread)


def store(path: str | Path) -> CostFit:
    """Fit everything that is bundled, cost records included, and write it to a file.

    To be run when a row or a record is added; the bundled file is `costs_fit.json` of this folder.
    """
    from .costs_measured import all_points

    points = all_points()
    found = choose_spread(points)
    rounded = Spread(**{name: round(value, 4) for name, value in asdict(found).items()})
    fit = fit_costs(points, rounded)
    Path(path).write_text(json.dumps(to_json(fit), indent=1) + "\n", encoding="utf-8")
    return fit


def refit(own: Sequence[CostPoint], *, group: str) -> StackPosterior:
    """What the bundled points and one's own say of the source that one's own are from.

    own: points of one source and stack; group: its name. Raises ValueError where they are of
    several, or none is of the group.
    """
    mine = [p for p in own if p.group == group]
    if not mine or len({p.stack for p in mine}) != 1:
        raise ValueError(f"points must be of one stack and of the group {group!r}")
    spread = next(iter(stored_stacks().values())).spread
    return fit_costs([*bundled_points(), *mine], spread).groups[group]
