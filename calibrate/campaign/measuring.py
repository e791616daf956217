"""What the measuring stages of a campaign do: load, open the record, measure, close it."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

from ..measure.acceptance import measure_acceptance
from ..measure.costs import measure_costs
from ..measure.pairs import LoadedModel, load_model
from ..measure.plans import RoundPlan, SweepPlan
from ..measure.round_costs import ROUND, STEP, measure_rounds
from ..measure.sweep import measure_sweep
from ..records import Journal
from .architectures import write_config
from .asked import (
    acceptance_plan,
    acceptance_settings,
    architecture_configs,
    costs_settings,
    equal_configs,
    random_settings,
    sweep_plan,
    sweep_settings,
)
from .expected import cost_points
from .ladder import Ladder, load_ladder
from .presets import Campaign, Costs
from .work import StageOver, Work


def measure_family_costs(campaign: Campaign, work: Work) -> None:
    """Times of the passes of every model of the family, all held together, and of rounds."""
    ladder = load_ladder(work.family, campaign)
    settings = costs_settings(campaign)
    origin = work.provenance(campaign, ladder.identities)
    with work.journal("costs", "costs", settings, provenance=origin) as journal:
        plan = _round_plan(campaign)
        more = plan.count(len(ladder.drafts))
        _time_grids(work, journal, ladder.models, campaign.costs, more=more)
        _time_rounds(work, ladder, journal, plan)
        journal.finish()


def measure_architecture_costs(campaign: Campaign, work: Work) -> None:
    """Times of the passes of named architectures with random weights."""
    configs = architecture_configs(campaign)
    _random_costs(campaign, work, "costs-architectures", configs, campaign.architecture_costs)


def measure_equal_costs(campaign: Campaign, work: Work) -> None:
    """Times of the passes of models of equal size and different depth, random weights."""
    _random_costs(campaign, work, "costs-equal", equal_configs(campaign), campaign.equal_costs)


def measure_acceptance_stage(campaign: Campaign, work: Work) -> None:
    """Rounds and overlaps of every draft of the family."""
    wanted = campaign.acceptance
    ladder = load_ladder(work.family, campaign)
    prompts = ladder.prompts(count=wanted.requests, tokens=wanted.prompt_tokens)
    plan, settings = acceptance_plan(campaign), acceptance_settings(campaign, list(prompts))
    origin = work.provenance(campaign, ladder.identities)
    with work.journal("acceptance", "acceptance", settings, provenance=origin) as journal:
        complete = measure_acceptance(
            ladder.target.model,
            ladder.plain(),
            journal,
            prompts=prompts,
            plan=plan,
            seconds_left=work.seconds_left,
            progress=work.report,
        )
        if not complete:
            raise StageOver
        journal.finish()


def measure_sweep_stage(campaign: Campaign, work: Work) -> None:
    """End-to-end latency; the smallest drafts go on to more draft tokens than the rest."""
    wanted = campaign.sweep
    ladder = load_ladder(work.family, campaign)
    prompts = ladder.prompts(count=wanted.prompts, tokens=wanted.prompt_tokens)
    plan = sweep_plan(campaign, ladder.smallest(len(ladder.drafts)))
    settings = sweep_settings(campaign, plan, list(prompts))
    origin = work.provenance(campaign, ladder.identities)
    with work.journal("sweep", "sweep", settings, provenance=origin) as journal:
        _sweep(ladder, work, journal, prompts, plan)
        journal.finish()


def _sweep(
    ladder: Ladder,
    work: Work,
    journal: Journal,
    prompts: Mapping[str, list[list[int]]],
    plan: SweepPlan,
) -> None:
    complete = measure_sweep(
        ladder.target.model,
        ladder.plain(),
        journal,
        prompts=prompts,
        plan=plan,
        seconds_left=work.seconds_left,
        progress=work.report,
    )
    if not complete:
        raise StageOver


def _random_costs(
    campaign: Campaign,
    work: Work,
    name: str,
    configs: Mapping[str, dict[str, Any]],
    grids: tuple[Costs, ...],
) -> None:
    """Model by model, each made when its turn comes and let go behind its last grid."""
    folder = work.out / "configurations"
    settings = random_settings(campaign, grids)
    origin = work.provenance(campaign, configs)
    with work.journal(name, "costs", settings, provenance=origin) as journal:
        for model, values in configs.items():
            path = write_config(folder, model, values)
            held = _Held(path, model, campaign)
            _time_grids(work, journal, {model: held.load}, grids, count=len(configs))
        journal.finish()


class _Held:
    """A model made of a configuration at the first call, and kept for the next."""

    def __init__(self, path: Path, name: str, campaign: Campaign) -> None:
        self.path, self.name, self.campaign = path, name, campaign
        self.model: LoadedModel | None = None

    def load(self) -> LoadedModel:
        """The model with random weights."""
        if self.model is None:
            made = load_model(
                self.path,
                device=self.campaign.device,
                dtype=self.campaign.dtype,
                random_weights=True,
                seed=self.campaign.seed,
            )
            self.model = replace(made, name=self.name)
        return self.model


def _time_grids(
    work: Work,
    journal: Journal,
    models: Mapping[str, LoadedModel | Callable[[], LoadedModel]],
    grids: tuple[Costs, ...],
    *,
    count: int = 0,
    more: int = 0,
) -> None:
    """Time the models over all grids; raises StageOver when the time is up before the end.

    count: models of the record, default those given; more: points that follow, for the progress.
    """
    total = cost_points(count or len(models), grids) + more
    for grid in grids:
        complete = measure_costs(
            models,
            journal,
            tokens=grid.tokens,
            shapes=grid.shapes,
            modes=grid.modes,
            repeats=grid.repeats,
            warmup=grid.warmup,
            seconds_left=work.seconds_left,
            progress=lambda what, done, part: work.report(journal.path.stem, done, total),
        )
        if not complete:
            raise StageOver


def _round_plan(campaign: Campaign) -> RoundPlan:
    wanted = campaign.rounds
    return RoundPlan(
        gammas=wanted.gammas,
        shapes=wanted.shapes,
        modes=wanted.modes,
        repeats=wanted.repeats,
        temperature=campaign.sweep.temperature,
    )


def _time_rounds(work: Work, ladder: Ladder, journal: Journal, plan: RoundPlan) -> None:
    """Time the rounds of every draft; raises StageOver when the time is up before the end."""
    passes = sum(p["operation"] not in (ROUND, STEP) for p in journal.points)
    total = passes + plan.count(len(ladder.drafts))
    complete = measure_rounds(
        ladder.target,
        ladder.drafts,
        journal,
        plan=plan,
        seconds_left=work.seconds_left,
        progress=lambda what, done, part: work.report("costs", passes + done, total),
    )
    if not complete:
        raise StageOver
