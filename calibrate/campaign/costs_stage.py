"""The stages that time passes and rounds: of the family, and of models with random weights."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import asdict, replace
from functools import cache, partial
from itertools import product
from pathlib import Path
from typing import TYPE_CHECKING, Any

from ..measure.plans import STEP_TURNS, STEPS, PassGrid, RoundPlan, pass_points
from .estimate import (
    CAPTURE,
    COST_BYTES,
    ROUND_BYTES,
    Estimate,
    Machine,
    Size,
    architecture_config,
    architecture_size,
    family_sizes,
    memory_bytes,
    pass_s,
    write_config,
)
from .family_stages import load_family
from .presets import Campaign
from .stage import RecordStage, Work

if TYPE_CHECKING:
    from ..measure.inputs import Ladder
    from ..measure.pairs import LoadedModel
    from ..records import Journal


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
        return passes_estimate(campaign.machine, [target, *drafts], campaign.costs) + _rounds(
            campaign.machine, campaign.rounds, [(target, draft) for draft in drafts]
        )

    def load(self, work: Work) -> tuple[Any, dict[str, Any]]:
        ladder = load_family(work.family, self.campaign)
        return ladder, ladder.identities

    def measure(self, work: Work, journal: Journal, ladder: Ladder) -> bool:
        plan, grids = self.campaign.rounds, self.campaign.costs
        more = plan.count(len(ladder.drafts))
        total = pass_points(len(ladder.models), grids) + more
        return _passes_timed(work, journal, ladder.models, grids, total) and _rounds_timed(
            work, journal, ladder.target, ladder.drafts, plan, more
        )


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

    def models(self, work: Work, family: Mapping[str, Any]) -> dict[str, Any]:
        campaign = self.campaign
        return {n: architecture_config(n, scaled=campaign.scaled) for n in campaign.architectures}

    def estimate(self) -> Estimate:
        campaign = self.campaign
        sizes = {name: architecture_size(name) for name in campaign.architectures}
        if campaign.scaled:
            sizes = {name: Size(3e4, 2, 128.0) for name in sizes}
        pairs = [(sizes[target], sizes[draft]) for target, draft in campaign.pairs]
        loading = Estimate(2.0 * len(pairs) * campaign.machine.start_s)
        passes = passes_estimate(campaign.machine, sizes.values(), campaign.architecture_costs)
        return passes + _rounds(campaign.machine, campaign.pair_rounds, pairs) + loading

    def load(self, work: Work) -> tuple[Any, dict[str, Any]]:
        configs = self.models(work, {})
        return configs, configs

    def measure(self, work: Work, journal: Journal, configs: dict[str, Any]) -> bool:
        """Model by model and pair by pair, each made when its turn comes and then let go."""
        campaign, plan = self.campaign, self.campaign.pair_rounds
        made = partial(self._made, work.out / "configurations", configs)
        more = plan.count(len(campaign.pairs))
        for target, draft in campaign.pairs:
            if not _has_rounds(journal, plan, draft) and not _rounds_timed(
                work, journal, made(target), {draft: made(draft)}, plan, more
            ):
                return False
        grids = campaign.architecture_costs
        total = pass_points(len(configs), grids) + more
        return all(
            _passes_timed(work, journal, {name: cache(partial(made, name))}, grids, total)
            for name in configs
        )

    def _made(self, folder: Path, configs: dict[str, Any], name: str) -> LoadedModel:
        from ..measure.pairs import load_model

        campaign = self.campaign
        made = load_model(
            write_config(folder, name, configs[name]),
            device=campaign.device,
            dtype=campaign.dtype,
            random_weights=True,
            seed=campaign.seed,
        )
        return replace(made, name=name)


# Untimed passes that a point needs beside its own: filling the cache, capturing a graph.
EXTRA_PASSES = 3


def passes_estimate(
    machine: Machine, sizes: Iterable[Size], grids: tuple[PassGrid, ...]
) -> Estimate:
    """Loading every model and timing its passes over all grids, draws and verifications too.

    A capture takes a few passes launched one by one.
    """
    models = list(sizes)
    points = pass_points(len(models), grids)
    total = Estimate(len(models) * machine.start_s, 0.0, points, points * COST_BYTES)
    for grid, size in product(grids, models):
        passes, time_s, memory = grid.repeats + grid.warmup + EXTRA_PASSES, 0.0, 0.0
        for batch, context in grid.shapes:
            how: dict[str, Any] = {"batch": batch, "context": context}
            memory = max(memory, memory_bytes(machine, size, **how))
            for n, mode in product(grid.tokens, grid.modes):
                eager = pass_s(machine, size, tokens=n, **how)
                if mode == "graph":
                    replay = pass_s(machine, size, tokens=n, graphs=True, **how)
                    time_s += passes * replay + CAPTURE * eager
                else:
                    time_s += passes * eager
        total += Estimate(time_s, memory)
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
                memory = memory_bytes(machine, target, draft, batch=batch, context=context)
                points = len(wanted.gammas) + 1
                total += Estimate(time_s, memory, points, points * wanted.repeats * ROUND_BYTES)
    return total


def _grids(grids: Iterable[PassGrid]) -> list[dict[str, Any]]:
    return [asdict(grid) for grid in grids]


def _of_rounds(plan: RoundPlan) -> dict[str, Any]:
    """The rounds as a record's settings have them."""
    return {k: v for k, v in asdict(plan).items() if k != "temperature"}


def _has_rounds(journal: Journal, plan: RoundPlan, draft: str) -> bool:
    held = sum(p["operation"] in ("round", "step") and p["model"] == draft for p in journal.points)
    return bool(held == plan.count(1))


def _passes_timed(
    work: Work,
    journal: Journal,
    models: Mapping[str, LoadedModel | Callable[[], LoadedModel]],
    grids: tuple[PassGrid, ...],
    total: int,
) -> bool:
    """Time the models over all grids; whether all is there. total: points of the record."""
    from ..measure.costs import measure_costs

    return all(
        measure_costs(
            models,
            journal,
            grid,
            seconds_left=work.seconds_left,
            progress=lambda what, done, part: work.report(journal.path.stem, done, total),
        )
        for grid in grids
    )


def _rounds_timed(
    work: Work,
    journal: Journal,
    target: LoadedModel,
    drafts: Mapping[str, LoadedModel],
    plan: RoundPlan,
    total: int,
) -> bool:
    """Time the rounds of every draft; whether all is there."""
    from ..measure.round_costs import measure_rounds

    return measure_rounds(
        target,
        drafts,
        journal,
        plan=plan,
        seconds_left=work.seconds_left,
        progress=lambda what, done, part: work.report("rounds", done, total),
    )
