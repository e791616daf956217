r"""Predicted costs that know the plain time per token, at one load or at several.

The draws theta_i (logarithms of what the stack reaches, of both models' deviations and of the work
of a round) are moved as their own covariance with the plain times says,

    theta_i <- theta_i + cov(theta, y) (cov(y, y) + a R)^-1 (y + sqrt(a) e_i - y_i),

y the logarithms of the measured times, y_i those of the draw, R their variance, in a steps with
sum 1/a = 1, because the times are no straight line of theta. What one load leaves open (bandwidth
or work around a pass) stays as unsure as it was; several loads tell them apart. The draft shares
the machine, and moves along.
Assumes: plain steps are measured within 3 %, without prompts that are read meanwhile.
Source: ensemble smoother with multiple data assimilation (doi:10.1016/j.cageo.2012.03.011).
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace

import numpy as np

from ...theory.domain import Floats
from .costs import PredictedCost, PredictedPass

PLAIN_ERROR = 0.03  # relative standard error of a plain time that somebody states
_STEPS = 4
_LEAST_DRAWS = 100  # below, covariances of draws are noise


def at_plain_times(
    law: PredictedCost, plain: Mapping[float, float], *, context: float, rng: np.random.Generator
) -> PredictedCost:
    """The law with plain steps of ``plain`` [s] by batch, at a context.

    plain: one or more positive times.
    """
    measured = np.log(list(plain.values()))
    draws = _passes(law)[0].factor.size
    if draws < _LEAST_DRAWS:  # memory alone was asked for
        return law
    state = _state(law)
    for _ in range(_STEPS):
        now = _with_state(law, state)
        seen = np.stack([np.log(now.plain_step(batch=b, context=context)) for b in plain])
        noise = PLAIN_ERROR * np.sqrt(_STEPS) * rng.standard_normal(seen.shape)
        apart = seen - seen.mean(axis=1, keepdims=True)
        across = (state - state.mean(axis=1, keepdims=True)) @ apart.T / (draws - 1.0)
        own = apart @ apart.T / (draws - 1.0) + _STEPS * PLAIN_ERROR**2 * np.eye(len(measured))
        state = state + across @ np.linalg.solve(own, measured[:, None] + noise - seen)
    return _scaled(_with_state(law, state), dict(zip(plain, measured, strict=True)), context)


def _scaled(law: PredictedCost, logs: Mapping[float, float], context: float) -> PredictedCost:
    """The law with all passes longer by what its medians still miss, on average over the loads.

    Steps along straight lines do not quite reach times that were thought unlikely.
    """
    now = [np.median(np.log(law.plain_step(batch=b, context=context))) for b in logs]
    longer = float(np.exp(np.mean(np.array(list(logs.values())) - np.array(now))))
    target, draft = (replace(p, factor=p.factor * longer) for p in _passes(law))
    return replace(law, target=target, draft=draft)


def _passes(law: PredictedCost) -> tuple[PredictedPass, PredictedPass]:
    assert isinstance(law.target, PredictedPass)
    assert isinstance(law.draft, PredictedPass)
    return law.target, law.draft


def _state(law: PredictedCost) -> Floats:
    """Logarithms of what is drawn of a law, (parts, draws)."""
    target, draft = _passes(law)
    shared = [v for name, v in target.values.items() if name != "overhead"]
    around = [target.values["overhead"], draft.values["overhead"]]
    parts = [*shared, *around, target.factor, draft.factor, np.asarray(law.overhead)]
    return np.asarray(np.log(np.stack(parts)))


def _with_state(law: PredictedCost, state: Floats) -> PredictedCost:
    target, draft = _passes(law)
    *parts, own, around, factor, draft_factor, overhead = np.exp(state)
    names = [n for n in target.values if n != "overhead"]
    shared = dict(zip(names, parts, strict=True))

    def made(old: PredictedPass, work_around: Floats, deviation: Floats) -> PredictedPass:
        values = {n: shared.get(n, work_around) for n in old.values}
        return PredictedPass(old.model, old.stack, old.work, values, deviation)

    return replace(
        law,
        target=made(target, own, factor),
        draft=made(draft, around, draft_factor),
        overhead=overhead,
    )
