"""The stages of a campaign, as a list: what each measures, its state on disk, what it expects."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial

from .estimate import Estimate
from .expected import (
    acceptance_estimate,
    architectures_estimate,
    equal_estimate,
    family_costs_estimate,
    family_estimate,
    sweep_estimate,
)
from .family_stage import family_state, run_family
from .presets import Campaign
from .runner import Stage
from .standing import (
    AskedFor,
    acceptance_asked,
    architecture_costs_asked,
    elsewhere,
    equal_costs_asked,
    family_costs_asked,
    record_state,
    sweep_asked,
)
from .work import Work


def stages_of(campaign: Campaign) -> tuple[Stage, ...]:
    """The stages in the order they run."""
    wanted = campaign.acceptance
    top = max(campaign.sweep.gamma_max, campaign.sweep.small_gamma_max)
    stages = [
        Stage(
            "family",
            f"train the family {campaign.family}, if there is none",
            partial(run_family, campaign),
            partial(family_state, campaign),
            partial(family_estimate, campaign),
        ),
        _recorded(
            campaign,
            "costs",
            "time the passes of every model of the family",
            "measure_family_costs",
            family_costs_asked,
            family_costs_estimate,
        ),
    ]
    if campaign.architecture_costs:
        stages.append(
            _recorded(
                campaign,
                "costs-architectures",
                f"time {len(campaign.architectures)} architectures with random weights",
                "measure_architecture_costs",
                architecture_costs_asked,
                architectures_estimate,
            )
        )
    if campaign.equal_costs:
        stages.append(
            _recorded(
                campaign,
                "costs-equal",
                f"time {len(campaign.equal)} models, depth against width at equal size",
                "measure_equal_costs",
                equal_costs_asked,
                equal_estimate,
            )
        )
    stages.append(
        _recorded(
            campaign,
            "acceptance",
            f"rounds and overlaps of every draft at temperatures {_listed(wanted.temperatures)}",
            "measure_acceptance_stage",
            acceptance_asked,
            acceptance_estimate,
        )
    )
    stages.append(
        _recorded(
            campaign,
            "sweep",
            f"latency of every draft, 0 to {top} draft tokens, batch "
            f"{_listed(campaign.sweep.batches)}",
            "measure_sweep_stage",
            sweep_asked,
            sweep_estimate,
        )
    )
    return tuple(stages)


def _recorded(
    campaign: Campaign,
    name: str,
    what: str,
    run: str,
    asked_for: AskedFor,
    estimate: Callable[[Campaign], Estimate],
) -> Stage:
    """A stage whose result is the record of its name; run: what of `measuring` makes it."""

    def measure(work: Work) -> None:  # a plan needs no torch
        from . import measuring

        getattr(measuring, run)(campaign, work)

    return Stage(
        name,
        what,
        measure,
        partial(record_state, campaign, name, asked_for),
        partial(estimate, campaign),
        partial(elsewhere, campaign, name),
    )


def _listed(values: tuple[float, ...] | tuple[int, ...]) -> str:
    return ", ".join(f"{v:g}" for v in values)
