"""The stored fit: what the bundled points say of every stack, ready at once."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import asdict
from functools import cache
from importlib import resources
from pathlib import Path
from types import MappingProxyType
from typing import Any

import numpy as np

from ..library.load import same_study
from .costs_fit import CostFit, StackPosterior, choose_spread, fit_costs
from .costs_model import PARAMETERS
from .costs_points import STACKS, CostPoint, bundled_points
from .costs_unknowns import Spread

_FILE, _LEFT_OUT = "costs_fit.json", "costs_left_out.json"
_VERSION = 2


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
    head = {"schema": "howspec.costs_fit", "version": _VERSION, "parameters": list(PARAMETERS)}
    return {**head, "spread": spread, "stacks": stacks}


def from_json(value: dict[str, Any]) -> dict[str, StackPosterior]:
    """The stacks of a stored fit. Raises ValueError for another schema or other parameters."""
    if value.get("schema") != "howspec.costs_fit" or value.get("version") != _VERSION:
        raise ValueError(f"{_FILE}: schema must be howspec.costs_fit, version {_VERSION}")
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
    text = resources.files(__package__).joinpath(_FILE).read_text(encoding="utf-8")
    stacks = from_json(json.loads(text))
    assert set(stacks) == set(STACKS)
    return MappingProxyType(stacks)


@cache
def stacks_without(study: str) -> Mapping[str, StackPosterior]:
    """What the bundled points say of every stack without those of a study, "" for none."""
    if not study:
        return stored_stacks()
    text = resources.files(__package__).joinpath(_LEFT_OUT).read_text(encoding="utf-8")
    fits = json.loads(text)
    left = [own for own in fits if same_study(own, study)]
    return MappingProxyType(from_json(fits[left[0]])) if left else stored_stacks()


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
