"""Drawing what software reaches on a device that nobody has measured it on."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np

from ...theory.domain import Floats
from ..models import Device, ModelShape
from .costs_fit import StackPosterior
from .costs_model import PARAMETERS, Work, pass_times, peak_times
from .costs_unknowns import DEVIATIONS

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
    return pass_times(work, values, peak) * factor[:, None]
