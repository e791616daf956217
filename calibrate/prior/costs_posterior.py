"""What is known of each stack of software, as it is stored, and draws of that.

`costs_fit` makes it of the bundled points. A draw is a source that nobody has measured: one
installation on one machine.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from functools import cache
from types import MappingProxyType
from typing import Any

import numpy as np

from ...theory.domain import Floats
from ..files import bundled_json
from ..library.load import same_study
from ..models import Device, ModelShape
from .costs_model import DEVIATIONS, PARAMETERS
from .stacks import STACKS

_FILE, _LEFT_OUT = "costs_fit.json", "costs_left_out.json"
VERSION = 2


@dataclass(frozen=True)
class Spread:
    """Standard deviations of logarithms: of a source's memory share, compute share, launches,
    packing, unpacking, overlap and the work of rounds; and of the time of a model, or of a head, in
    its source.
    """

    memory: float = 0.15
    compute: float = 0.5
    launch: float = 0.5
    packing: float = 0.15
    unpack: float = 0.5
    overlap: float = 0.7
    round: float = 0.5
    model: float = 0.1
    head: float = 0.3

    def of(self, shape: ModelShape) -> float:
        """Of the time of a model, or of a head."""
        return self.head if is_head(shape.name) else self.model


def is_head(name: str) -> bool:
    """Whether a shape is that of a head on a target, by the name that `head_shape` gives it."""
    return " head of " in name


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


def from_json(value: dict[str, Any]) -> dict[str, StackPosterior]:
    """The stacks of a stored fit. Raises ValueError for another schema or other parameters."""
    if value.get("schema") != "howspec.costs_fit" or value.get("version") != VERSION:
        raise ValueError(f"{_FILE}: schema must be howspec.costs_fit, version {VERSION}")
    if tuple(value["parameters"]) != PARAMETERS:
        raise ValueError(f"{_FILE}: parameters must be {', '.join(PARAMETERS)}")
    spread = Spread(**value["spread"])
    return {
        name: StackPosterior(
            name, np.array(s["mean"]), np.array(s["covariance"]), spread, int(s["sources"])
        )
        for name, s in value["stacks"].items()
    }


@cache
def stored_stacks() -> MappingProxyType[str, StackPosterior]:
    """What the bundled points say of every stack."""
    stacks = from_json(bundled_json(__package__, _FILE))
    assert set(stacks) == set(STACKS)
    return MappingProxyType(stacks)


@cache
def stacks_without(study: str) -> Mapping[str, StackPosterior]:
    """What the bundled points say of every stack without those of a study, "" for none."""
    if not study:
        return stored_stacks()
    fits = bundled_json(__package__, _LEFT_OUT)
    left = [own for own in fits if same_study(own, study)]
    return MappingProxyType(from_json(fits[left[0]])) if left else stored_stacks()


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
