"""The stages that time passes and rounds: of the family, and of models with random weights."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import asdict, replace
from functools import partial
from typing import TYPE_CHECKING, Any

from ..measure.plans import STEP_TURNS, STEPS, TEMPERATURES, RoundPlan
from .estimate import (
    CAPTURE,
    COST_BYTES,
    ROUND_BYTES,
    Estimate,
    Machine,
    Size,
    costs_estimate,
    family_sizes,
    model_bytes,
    pass_s,
)
from .models import architecture_config, architecture_size, write_config
from .presets import Campaign, Costs
from .stage import RecordStage, StageOver, Work

if TYPE_CHECKING:
    from ..measure.pairs import LoadedModel
    from ..records import Journal

    Loader = Callable[[], LoadedModel]

# Untimed passes that a point needs beside its own: filling the cache, capturing a graph.
EXTRA_PASSES = 3


class FamilyCosts(RecordStage):
    """Times of the passes of every model of the family, and of rounds of every draft."""

    name, kind, of_family = "costs", "costs", True
    what = "time the passes of every model of the family, and rounds"

    def settings(self, family: Mapping[str, Any]) -> dict[str, Any]:
        settings = {"campaign": self.campaign.name, "grids": _grids(self.campaign.costs)}
        return {**settings, "rounds": _of_rounds(self.campaign.rounds)}

    def estimate(self) -> Estimate:
        """Loading every model, its passes over all grids, and the rounds of every draft."""
        campaign = self.campaign
        target, *drafts = family_sizes(campaign.family)
        return _passes(campaign.machine, [target, *drafts], campaign.costs) + _rounds(
            campaign.machine, campaign.rounds, [(target, draft) for draft in drafts]
        )

    def run(self, work: Work) -> None:
        from .models import load_ladder

        campaign, ladder = self.campaign, load_ladder(work.family, self.campaign)
        plan = campaign.rounds
        origin = work.provenance(campaign, ladder.identities)
        with work.journal(self.name, self.kind, self.settings({}), provenance=origin) as journal:
            more = plan.count(len(ladder.drafts))
            _time_grids(work, journal, ladder.models, campaign.costs, more=more)
            _time_rounds(work, ladder.target, ladder.drafts, journal, plan, more)
            journal.finish()


class RandomCosts(RecordStage):
    """Times of named architectures with random weights, and of rounds of one pair a family."""

    name, kind = "costs-architectures", "costs"

    def __init__(self, campaign: Campaign) -> None:
        super().__init__(campaign)
        self.what = (
            f"time {len(campaign.architectures)} architectures with random weights, and rounds of "
            f"{len(campaign.pairs)} pairs"
        )

    def settings(self, family: Mapping[str, Any]) -> dict[str, Any]:
        settings = {
            "campaign": self.campaign.name,
            "grids": _grids(self.campaign.architecture_costs),
            "random_weights": True,
        }
        rounds = {"rounds": _of_rounds(self.campaign.pair_rounds), "pairs": self.campaign.pairs}
        return settings | (rounds if self.campaign.pairs else {})

    def configurations(self) -> dict[str, Any]:
        campaign = self.campaign
        return {n: architecture_config(n, scaled=campaign.scaled) for n in campaign.architectures}

    def estimate(self) -> Estimate:
        campaign = self.campaign
        sizes = {name: architecture_size(name) for name in campaign.architectures}
        if campaign.scaled:
            sizes = {name: Size(name, 3e4, 2, 128.0) for name in sizes}
        pairs = [(sizes[target], sizes[draft]) for target, draft in campaign.pairs]
        loading = Estimate(2.0 * len(pairs) * campaign.machine.start_s)
        passes = _passes(campaign.machine, sizes.values(), campaign.architecture_costs)
        return passes + _rounds(campaign.machine, campaign.pair_rounds, pairs) + loading

    def run(self, work: Work) -> None:
        """Model by model and pair by pair, each made when its turn comes and then let go."""
        campaign, configs = self.campaign, self.configurations()
        folder = work.out / "configurations"

        def made(name: str) -> LoadedModel:
            return self._made(write_config(folder, name, configs[name]))

        plan = campaign.pair_rounds
        more = plan.count(len(campaign.pairs))
        origin = work.provenance(campaign, configs)
        with work.journal(self.name, self.kind, self.settings({}), provenance=origin) as journal:
            for target, draft in campaign.pairs:
                if not _has_rounds(journal, plan, draft):
                    _time_rounds(work, made(target), {draft: made(draft)}, journal, plan, more)
            grids = campaign.architecture_costs
            for name in configs:
                model = {name: _once(partial(made, name))}
                _time_grids(work, journal, model, grids, count=len(configs), more=more)
            journal.finish()

    def _made(self, path: Any) -> LoadedModel:
        from ..measure.pairs import load_model

        campaign = self.campaign
        made = load_model(
            path,
            device=campaign.device,
            dtype=campaign.dtype,
            random_weights=True,
            seed=campaign.seed,
        )
        return replace(made, name=path.stem)


def cost_points(models: int, grids: tuple[Costs, ...]) -> int:
    """Points of a record of these grids: what two grids share is measured once."""
    passes = {
        (n, shape, mode) for g in grids for n in g.tokens for shape in g.shapes for mode in g.modes
    }
    around = {(n, batch) for g in grids for n in g.tokens if n > 1 for batch, _ in g.shapes}
    draws = {batch for g in grids for batch, _ in g.shapes}
    return models * (len(passes) + len(TEMPERATURES) * (len(around) + len(draws))) + 2


def _passes(machine: Machine, sizes: Iterable[Size], grids: tuple[Costs, ...]) -> Estimate:
    """Loading every model and timing its passes over all grids, draws and verifications too."""
    models = list(sizes)
    points = cost_points(len(models), grids)
    total = Estimate(len(models) * machine.start_s, 0.0, points, points * COST_BYTES)
    for costs in grids:
        found = costs_estimate(
            machine,
            models,
            tokens=costs.tokens,
            shapes=costs.shapes,
            passes=costs.repeats + costs.warmup + EXTRA_PASSES,
            modes=tuple(mode == "graph" for mode in costs.modes),
        )
        total += replace(found, points=0)
    return total


def _rounds(machine: Machine, wanted: RoundPlan, pairs: Iterable[tuple[Size, Size]]) -> Estimate:
    """Timing rounds: an untimed one and one or two timed ones a turn, plain steps in between."""
    total = Estimate()
    for target, draft in pairs:
        for batch, context in wanted.shapes:
            for mode in wanted.modes:
                how: dict[str, Any] = {"batch": batch, "context": context}
                how["graphs"] = mode == "graph"
                turn_s = STEP_TURNS * (STEPS + 1) * pass_s(machine, target, **how)
                for gamma in wanted.gammas:
                    verify_s = pass_s(machine, target, tokens=gamma + 1, **how)
                    turn_s += 3 * (verify_s + gamma * pass_s(machine, draft, **how))
                captures_s = CAPTURE * len(wanted.gammas) * machine.launch_s * target.layers
                time_s = (wanted.repeats + 2) * turn_s + captures_s * how["graphs"]
                memory = sum(
                    model_bytes(machine, m, batch=batch, context=context) for m in (target, draft)
                )
                points = len(wanted.gammas) + 1
                total += Estimate(time_s, memory, points, points * wanted.repeats * ROUND_BYTES)
    return total


def _grids(grids: Iterable[Costs]) -> list[dict[str, Any]]:
    return [asdict(grid) for grid in grids]


def _of_rounds(plan: RoundPlan) -> dict[str, Any]:
    """The rounds as a record's settings have them."""
    return {k: v for k, v in asdict(plan).items() if k != "temperature"}


def _has_rounds(journal: Journal, plan: RoundPlan, draft: str) -> bool:
    held = sum(p["operation"] in ("round", "step") and p["model"] == draft for p in journal.points)
    return bool(held == plan.count(1))


def _once(load: Loader) -> Loader:
    """The loader of a model that is made at the first call and kept for the next."""
    held: list[LoadedModel] = []

    def loaded() -> LoadedModel:
        if not held:
            held.append(load())
        return held[0]

    return loaded


def _time_grids(
    work: Work,
    journal: Journal,
    models: Mapping[str, LoadedModel | Loader],
    grids: tuple[Costs, ...],
    *,
    count: int = 0,
    more: int = 0,
) -> None:
    """Time the models over all grids; raises StageOver when the time is up before the end.

    count: models of the record, default those given; more: points beside these, for the progress.
    """
    from ..measure.costs import measure_costs

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


def _time_rounds(
    work: Work,
    target: LoadedModel,
    drafts: Mapping[str, LoadedModel],
    journal: Journal,
    plan: RoundPlan,
    total: int,
) -> None:
    """Time the rounds of every draft; raises StageOver when the time is up before the end."""
    from ..measure.round_costs import measure_rounds

    complete = measure_rounds(
        target,
        drafts,
        journal,
        plan=plan,
        seconds_left=work.seconds_left,
        progress=lambda what, done, part: work.report("rounds", done, total),
    )
    if not complete:
        raise StageOver
