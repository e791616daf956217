"""Families of models by name, and their architectures without a download."""

from __future__ import annotations

import tomllib
from dataclasses import dataclass
from functools import cache
from importlib import resources
from typing import Any


@dataclass(frozen=True)
class FamilyModel:
    """One model: the name used here, its name on the hub, its published number of parameters."""

    family: str
    name: str
    hub: str
    parameters: int
    model_type: str | None
    architecture: dict[str, Any]


@cache
def family_models() -> dict[str, FamilyModel]:
    """All models of `families.toml` by lower-case name."""
    text = resources.files(__package__).joinpath("families.toml").read_text(encoding="utf-8")
    found: dict[str, FamilyModel] = {}
    for family, entry in tomllib.loads(text).items():
        shared = entry.get("architecture", {})
        for model in entry["models"]:
            found[model["name"].lower()] = FamilyModel(
                family,
                model["name"],
                model["hub"],
                model["parameters"],
                entry.get("model_type"),
                shared | model.get("architecture", {}),
            )
    return found


def family_model(name: str) -> FamilyModel | None:
    """A model of the families by name, upper or lower case, or None."""
    return family_models().get(name.lower())


def config_from_family(name: str) -> Any:
    """The configuration of transformers of a named model, from the bundled architecture."""
    from transformers import AutoConfig

    model = family_model(name)
    if model is None or model.model_type is None:
        known = ", ".join(m.name for m in family_models().values() if m.model_type)
        raise ValueError(f"no bundled architecture is named {name!r}; there are {known}")
    return AutoConfig.for_model(model.model_type, **model.architecture)
