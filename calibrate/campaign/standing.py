"""Where a record of a campaign stands, and whether it is the one that the campaign would make.

Told from the files alone, so that a plan needs no model and a resumed campaign loads none in vain.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import Any

from ..family.record import family_domains, read_family
from ..measure.sources import folder_hash
from ..records.merge import difference
from ..records.origin import origin_of
from .asked import (
    acceptance_settings,
    architecture_configs,
    costs_settings,
    equal_configs,
    random_settings,
    sweep_plan,
    sweep_settings,
)
from .presets import Campaign
from .work import Work


@dataclass(frozen=True)
class Asked:
    """A record that a stage makes: its kind, its settings, and the models that it is made of.

    models: by name the hash of its folder in an object, or the configuration of a model with random
    weights; None where the family is still to be trained, or its weights were removed.
    """

    kind: str
    settings: dict[str, Any]
    models: dict[str, Any] | None


AskedFor = Callable[[Campaign, Work], Asked | None]


def family_costs_asked(campaign: Campaign, work: Work) -> Asked:
    """The times of the family's models."""
    family = _family(work)
    models = None if family is None else _hashes(work.family, family)
    return Asked("costs", costs_settings(campaign), models)


def architecture_costs_asked(campaign: Campaign, work: Work) -> Asked:
    """The times of the named architectures."""
    settings = random_settings(campaign, campaign.architecture_costs)
    return Asked("costs", settings, dict(architecture_configs(campaign)))


def equal_costs_asked(campaign: Campaign, work: Work) -> Asked:
    """The times of models of equal size."""
    settings = random_settings(campaign, campaign.equal_costs)
    return Asked("costs", settings, dict(equal_configs(campaign)))


def acceptance_asked(campaign: Campaign, work: Work) -> Asked | None:
    """Acceptance, None before there is a family with its domains."""
    family = _family(work)
    if family is None:
        return None
    settings = acceptance_settings(campaign, family_domains(family))
    return Asked("acceptance", settings, _hashes(work.family, family))


def sweep_asked(campaign: Campaign, work: Work) -> Asked | None:
    """The sweep, None before there is a family with its domains and drafts."""
    family = _family(work)
    if family is None:
        return None
    drafts = [m for m in family["models"] if m["role"] != "target"]
    by_size = [m["name"] for m in sorted(drafts, key=lambda m: int(m["parameters"]))]
    settings = sweep_settings(campaign, sweep_plan(campaign, by_size), family_domains(family))
    return Asked("sweep", settings, _hashes(work.family, family))


def record_state(campaign: Campaign, name: str, asked_for: AskedFor, work: Work) -> str:
    """Whether the record of that name is "done", "begun" or "to do".

    A record that is there must be the one that the campaign would make: the same kind, settings
    (preset, grids, prompts), number format and seed, and the same models, told by the hash of
    their weights or by their configuration. Machine and software may differ: a campaign may change
    machines between two stages (`elsewhere` says so of a finished record; within one stage
    `Journal.open` refuses it). Raises ValueError naming the file and the entry that differs.
    """
    found = origin_of(work.records, name)
    if found is None:
        return "to do"
    asked = asked_for(campaign, work)
    if asked is not None:
        differs = found.differs(asked.kind, asked.settings) or _other_models(
            campaign, asked, found.provenance
        )
        if differs:
            raise ValueError(
                f"{found.path}: is another measurement than the campaign {campaign.name} asks for: "
                f"{differs}; choose another --out, or move the file away to measure it again"
            )
    return "done" if found.finished else "begun"


def elsewhere(campaign: Campaign, name: str, work: Work) -> str:
    """A line on a finished record of another machine or software, "" where there is none."""
    found = origin_of(work.records, name)
    if found is None or not found.finished:
        return ""
    try:
        from ..measure.pairs import choose_device

        choose_device(campaign.device)
    except ModuleNotFoundError as error:
        differs = f"{error.name} is not installed here"
    except ValueError as error:
        differs = f"{error}, that was {found.provenance.get('device')}"
    else:
        stays = ("models", "dtype", "seed")
        there = {k: v for k, v in found.provenance.items() if k not in stays}
        differs = difference(work.machine(campaign), there)
    return (
        f"{found.path.name} counts as done and was measured elsewhere: {differs}" if differs else ""
    )


def _other_models(campaign: Campaign, asked: Asked, provenance: Mapping[str, Any]) -> str:
    """The first difference in number format, seed and models, "" where there is none."""
    own = {"dtype": campaign.dtype, "seed": campaign.seed}
    differs = difference(own, {name: provenance.get(name) for name in own}, "provenance.")
    if differs or asked.models is None:
        return differs
    given = provenance.get("models")
    models = given if isinstance(given, dict) else {}
    known = {name: _what_tells(model) for name, model in models.items()}
    return difference(asked.models, known, "provenance.models.")


def _what_tells(model: Any) -> Any:
    """Of what a record says of a model the hash of its folder, where there is one."""
    hashed = isinstance(model, dict) and "sha256_16" in model
    return {"sha256_16": model["sha256_16"]} if hashed else model


def _family(work: Work) -> dict[str, Any] | None:
    """The record of the family, None where none is trained yet."""
    return read_family(work.family) if (work.family / "family.json").exists() else None


def _hashes(folder: Path, family: Mapping[str, Any]) -> dict[str, Any] | None:
    """The hash of every model of a family, None where the weights of one are not here."""
    found = {}
    for name in (model["name"] for model in family["models"]):
        files = [folder / name / "config.json", *sorted((folder / name).glob("*.safetensors"))]
        if len(files) < 2 or not files[0].exists():
            return None
        found[name] = {"sha256_16": _hash(folder / name, tuple((f, *_mark(f)) for f in files))}
    return found


def _mark(file: Path) -> tuple[int, int]:
    return file.stat().st_mtime_ns, file.stat().st_size


@lru_cache(maxsize=64)
def _hash(folder: Path, marks: tuple[tuple[Path, int, int], ...]) -> str:
    """The hash of a model, worked out again only where one of its files has changed."""
    return folder_hash(folder)
