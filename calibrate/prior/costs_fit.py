"""Fitting what software reaches of a device's peak rates, with the spread between sources.

Every stack has its own parameters, drawn from one common prior; every source deviates from its
stack, and every model from its source. All of it is Gaussian in logarithms, so the fit is a
non-linear least-squares problem, and the posterior the Gaussian at its solution (Laplace). The
spreads of sources and models maximise the evidence.

From it is drawn what software reaches on a device that nobody has measured it on.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

import numpy as np

from ...theory.domain import Floats
from ..models import Device, ModelShape
from .costs_model import PARAMETERS, Work, pass_times, peak_times
from .costs_points import STACKS, CostPoint
from .costs_unknowns import (
    DEVIATIONS,
    Layout,
    Spread,
    columns_of,
    layout_of,
    log_numbers,
    passes_of,
    priors_of,
)

_SPREAD_WIDTH = 0.3  # of the logarithm of a spread
_GAIN = 0.2  # of a logarithm of probability, below which spreads are as good
_CONVERGED = 1e-5  # of the sum of squares, from one step to the next


@dataclass(frozen=True)
class StackPosterior:
    """What is known of a stack: mean and covariance of the logarithms of PARAMETERS.

    spread: how a source not seen deviates; sources: how many the stack has been seen in.
    """

    stack: str
    mean: Floats
    covariance: Floats
    spread: Spread
    sources: int


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
        step = -np.linalg.solve(normal + damping * np.eye(layout.size), slope.T @ left)
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
        index = [layout.stack.get((stack, n), layout.shared.get(n, -1)) for n in PARAMETERS]
        block = found.covariance[np.ix_(index, index)]
        stacks[stack] = StackPosterior(stack, found.unknowns[index], block, chosen, seen)
    for group in sorted({p.group for p in used}):
        p = next(p for p in used if p.group == group)
        weights = np.zeros((len(PARAMETERS), layout.size + 1))
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


# Reading weights against a plain copy on the same machine: the copy writes too, and is as fast.
_COPIED = (0.95, 0.08)
_LAUNCHED = 0.1
_TAILS = 4.0  # degrees of freedom: some installations and models are far from the usual ones
Values = Mapping[str, Floats]


def draw_values(
    posterior: StackPosterior, rng: np.random.Generator, *, draws: int, device: Device | None = None
) -> Values:
    """Draws of exp(PARAMETERS) for one source of a stack, each of shape (draws,).

    The source's own deviations are drawn once for each draw, so a target and a draft timed with
    the same values share them. device: what was measured on it replaces what is expected.
    """
    factor = np.linalg.cholesky(posterior.covariance + 1e-12 * np.eye(len(PARAMETERS)))
    logs = posterior.mean + rng.standard_normal((draws, len(PARAMETERS))) @ factor.T
    kinds = dict.fromkeys(DEVIATIONS.values())
    own = {k: _deviations(rng, getattr(posterior.spread, k), draws) for k in kinds}
    shifts = {name: own[kind] for name, kind in DEVIATIONS.items()}
    values = {name: np.exp(logs[:, k] + shifts.get(name, 0.0)) for k, name in enumerate(PARAMETERS)}
    if device is not None and device.measured_bandwidth is not None:
        values["memory"] = _COPIED[0] * np.exp(rng.normal(0.0, _COPIED[1], draws))
    if device is not None and device.measured_launch is not None:
        values["launch"] = device.measured_launch * np.exp(rng.normal(0.0, _LAUNCHED, draws))
    return values


def draw_factor(
    posterior: StackPosterior, shape: ModelShape, rng: np.random.Generator, *, draws: int
) -> Floats:
    """How much slower than its shape says a model runs here, (draws,)."""
    return np.asarray(np.exp(_deviations(rng, posterior.spread.of(shape), draws)))


def _deviations(rng: np.random.Generator, spread: float, draws: int) -> Floats:
    """Heavy-tailed, with the standard deviation that the sources have shown."""
    usual = np.sqrt((_TAILS - 2.0) / _TAILS)
    return np.asarray(spread * usual * rng.standard_t(_TAILS, draws))


def draw_times(
    work: Work, values: Values, factor: Floats, *, tokens: Floats, batch: float, cached: float
) -> Floats:
    """Times of a pass over 1 or more tokens, (draws, len(tokens)) [s]."""
    peak = peak_times(work, tokens=tokens, batch=np.asarray(batch), cached=np.asarray(cached))
    times = pass_times(work, values, peak)
    times *= factor[:, None]
    return times
