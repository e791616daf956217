"""What a campaign asks of each of its records: plans, settings and configurations, as data.

No model is loaded for it. The measuring stages take these from here, and so does `standing`, which
compares them with what is on disk.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict
from typing import Any

from ..measure.plans import AcceptancePlan, SweepPlan
from .architectures import architecture_config, equal_config
from .equal import equal_shape
from .expected import vocabulary_of
from .presets import Campaign, Costs

Configurations = dict[str, dict[str, Any]]


def costs_settings(campaign: Campaign) -> dict[str, Any]:
    """Of the times of the family's models, alone and in rounds."""
    settings = {"campaign": campaign.name, "grids": _grids(campaign.costs)}
    return {**settings, "rounds": asdict(campaign.rounds)}


def random_settings(campaign: Campaign, grids: Sequence[Costs]) -> dict[str, Any]:
    """Of the times of models with random weights."""
    return {"campaign": campaign.name, "grids": _grids(grids), "random_weights": True}


def acceptance_plan(campaign: Campaign) -> AcceptancePlan:
    """What is measured of acceptance."""
    wanted = campaign.acceptance
    return AcceptancePlan(
        temperatures=wanted.temperatures,
        gamma=wanted.gamma,
        new_tokens=wanted.new_tokens,
        batch=wanted.batch,
        seed=campaign.seed,
        graphs=campaign.graphs,
    )


def acceptance_settings(campaign: Campaign, domains: Sequence[str]) -> dict[str, Any]:
    """Of acceptance on prompts of these domains."""
    wanted = campaign.acceptance
    prompts = _prompts(domains, wanted.prompt_tokens)
    plan = acceptance_plan(campaign).settings()
    return {"campaign": campaign.name, **plan, "prompts": prompts, "requests": wanted.requests}


def sweep_plan(campaign: Campaign, drafts: Sequence[str]) -> SweepPlan:
    """What is measured end to end; drafts: by size, the smallest first, for they may go further."""
    wanted = campaign.sweep
    deep = wanted.small_gamma_max > wanted.gamma_max
    small = drafts[: wanted.small_drafts] if deep else ()
    return SweepPlan(
        gammas=tuple(range(1, wanted.gamma_max + 1)),
        gammas_by_draft={n: tuple(range(1, wanted.small_gamma_max + 1)) for n in small},
        assisted_gammas=wanted.assisted_gammas,
        new_tokens=wanted.new_tokens,
        temperature=wanted.temperature,
        batches=wanted.batches,
        assisted_blocks=wanted.assisted_blocks,
        plain_repeats=wanted.plain_repeats,
        seed=campaign.seed,
        graphs=campaign.graphs,
    )


def sweep_settings(campaign: Campaign, plan: SweepPlan, domains: Sequence[str]) -> dict[str, Any]:
    """Of end-to-end decoding of prompts of these domains."""
    wanted = campaign.sweep
    prompts = _prompts(domains, wanted.prompt_tokens)
    settings = {"campaign": campaign.name, **plan.settings(), "prompts": prompts}
    return {**settings, "prompts_of_a_domain": wanted.prompts}


def architecture_configs(campaign: Campaign) -> Configurations:
    """Configurations of the named architectures."""
    return {
        name: architecture_config(name, scaled=campaign.scaled) for name in campaign.architectures
    }


def equal_configs(campaign: Campaign) -> Configurations:
    """Configurations of the models of equal size and different depth."""
    shapes = [
        equal_shape(parameters, layers, vocabulary=vocabulary_of(campaign))
        for parameters, layers in campaign.equal
    ]
    return {shape.name: equal_config(shape) for shape in shapes}


def _grids(grids: Sequence[Costs]) -> list[dict[str, Any]]:
    return [asdict(grid) for grid in grids]


def _prompts(domains: Sequence[str], tokens: int) -> dict[str, Any]:
    source = "held-out text of the family"
    return {"source": source, "domains": list(domains), "tokens": tokens}
