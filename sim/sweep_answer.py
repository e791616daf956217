"""From measured sweeps to the answer: the best gamma, with intervals that hold measurements.

A fitted law knows its own error; how far such laws miss is learned from other studies. The forecast
at each gamma is the one that `howspec validate` scores on measurements left out.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np

from ..calibrate.learned.sweeps import GammaForecast, forecast_gamma
from ..calibrate.sweeps import SweepFit, fit_sweeps
from ..calibrate.tables.sweep import Sweep
from ..theory import AffineCost
from ..theory.domain import Floats
from ..theory.interval import Interval, median_interval
from .choice import DEFAULT_OBJECTIVE, Objective, choose
from .prediction import Prediction, break_even, speedup_table, summarised


@dataclass(frozen=True)
class SweepPrediction:
    """The answer for one sweep.

    prediction: intervals and estimates, which are medians, are those of a measurement, at measured
    gammas of another one.
    tokens_by_gamma: tokens per round at gamma = 1..gamma_max, empty where the sweep states none.
    parameters: of the fitted laws, by name; fitted_to: what they were fitted to.
    measured_speedup: by gamma; notes: what limits the answer, those of the prediction included;
    sample: draws of the speed-ups, (draws, gammas), zeros where plain decoding was not measured;
    scatter: of a measured ln S, from one measurement to the next; relative_to: the number of draft
    tokens that speed-ups are over, 0 being plain decoding.
    """

    prediction: Prediction
    target: str
    draft: str
    workload: str
    gamma_max: int
    fitted_to: str
    parameters: dict[str, Interval]
    measured_speedup: dict[int, float]
    break_even_alpha: float | None
    tokens_by_gamma: tuple[Interval, ...]
    notes: tuple[str, ...]
    sample: Floats
    scatter: float
    relative_to: int = 0


def predict_sweep(
    sweeps: Sequence[Sweep],
    rng: np.random.Generator,
    *,
    family: Sequence[Sweep] = (),
    gamma_max: int | None = None,
    objective: Objective = DEFAULT_OBJECTIVE,
    level: float = 0.9,
    seed: int = 0,
) -> tuple[SweepPrediction, ...]:
    """Predict the speed-up of every sweep at gamma = 0..gamma_max, the fastest sweep first.

    family: further sweeps of the target, which say what its side costs and where laws miss;
    gamma_max: by default the largest measured; objective: what is made largest. Laws are those of
    all points of a sweep; the interval at each gamma is `forecast_gamma`. Raises ValueError for a
    sweep with too few points.
    """
    whole = [s for s in sweeps if s.gamma.size > 1 or s.tokens_per_round is not None] or sweeps
    left = [s.label for s in sweeps if s not in whole]
    family, sweeps = [s for s in family if s.label not in left], whole
    everything = [*sweeps, *(s for s in family if s not in sweeps)]
    joint = [s for s in everything if s in sweeps or s.tokens_per_round is None]
    fits = fit_sweeps(joint, rng)[: len(sweeps)]
    found = [_answer(fit, everything, gamma_max, level, rng, seed, objective) for fit in fits]
    if left:
        said = f"measured at one gamma, and left out: {', '.join(left[:4])}"
        found = [replace(a, notes=(*a.notes, said)) for a in found]
    return tuple(sorted(found, key=lambda a: -a.prediction.speedup.estimate))


def _answer(
    fit: SweepFit,
    family: Sequence[Sweep],
    gamma_max: int | None,
    level: float,
    rng: np.random.Generator,
    seed: int,
    objective: Objective,
) -> SweepPrediction:
    sweep = fit.sweep
    measured = int(sweep.gamma.max())
    top = measured if gamma_max is None else gamma_max
    ahead = [forecast_gamma(sweep, g, family=family, seed=seed) for g in range(1, top + 1)]
    parameters = {name: median_interval(v, level) for name, v in _parameters(fit).items()}
    cost = AffineCost(
        parameters["cost_ratio_plus_verify_slope"].estimate,
        overhead=parameters["overhead"].estimate,
    )
    notes = [*sweep.notes, *fit.notes]
    if sweep.relative_to:
        notes.insert(
            0,
            f"plain decoding was not measured: speed-ups are over gamma {sweep.relative_to}, so "
            "the best gamma is told, and not whether it pays",
        )
    if top > measured:
        notes.append(f"extrapolation: gamma above {measured} was not measured")
    prediction, sample = _prediction(fit, ahead, level, rng, objective)
    return SweepPrediction(
        prediction,
        sweep.target,
        sweep.draft,
        sweep.workload,
        top,
        fit.given,
        parameters,
        {int(g): float(s) for g, s in zip(sweep.gamma, sweep.speedup, strict=True)},
        None
        if sweep.relative_to
        else break_even(cost, decay=parameters["decay"].estimate, gamma_max=top),
        tuple(a.tokens.interval(level) for a in ahead if a.tokens is not None),
        tuple(notes),
        sample,
        float(np.median(fit.scatter)),
        sweep.relative_to,
    )


def _parameters(fit: SweepFit) -> dict[str, Floats]:
    return {
        "alpha": np.asarray(fit.acceptance.alpha),
        "decay": np.asarray(fit.acceptance.decay),
        "cost_ratio_plus_verify_slope": np.asarray(fit.cost.cost_ratio),
        "overhead": np.asarray(fit.cost.overhead),
        "scatter": fit.scatter,
    }


def _prediction(
    fit: SweepFit,
    ahead: Sequence[GammaForecast],
    level: float,
    rng: np.random.Generator,
    objective: Objective,
) -> tuple[Prediction, Floats]:
    """Intervals as forecast at each gamma; what gammas share is taken from the fitted law.

    A draw of the law, with the scatter of a measurement, has a rank among the draws at each gamma;
    it is given the value of that rank in the forecast.
    """
    table = speedup_table(fit.acceptance, fit.cost, len(ahead))
    noise = rng.standard_normal(table.shape) * fit.scatter.reshape(-1, 1)
    ranks = (np.log(table) + noise).argsort(axis=0).argsort(axis=0)
    sample = np.ones_like(table)
    center, low, high = np.ones((3, table.shape[1]))
    if fit.sweep.relative_to:  # plain decoding was not measured, so it is not what is best
        center[0] = low[0] = high[0] = sample[:, 0] = 0.0
    for a in ahead:
        sample[:, a.gamma] = a.speedup.quantiles((ranks[:, a.gamma] + 0.5) / len(table))
        ends = a.speedup.interval(level)
        center[a.gamma], low[a.gamma], high[a.gamma] = ends.estimate, ends.low, ends.high
    chosen = choose(sample, objective=objective, level=level)
    said = summarised(fit.acceptance, fit.cost, chosen, low, high, sample, center=center)
    return said, sample
