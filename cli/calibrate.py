"""`howspec calibrate`: measuring what the theory needs of a real draft and target."""

from __future__ import annotations

import typer

from .calibrate_acceptance import acceptance
from .calibrate_campaign import campaign
from .calibrate_costs import costs
from .calibrate_family import family
from .calibrate_pool import pool
from .calibrate_show import show
from .calibrate_sweep import sweep
from .output import purpose

calibrate = typer.Typer(
    name="calibrate",
    help="Measure costs, acceptance and latency of real pairs; train a ladder; show records.",
    invoke_without_command=True,
    rich_markup_mode=None,
)
MEASURING = (costs, acceptance, sweep, family, campaign, pool, show)
for verb in MEASURING:
    calibrate.command(short_help=purpose(verb))(verb)


@calibrate.callback()
def _verbs(context: typer.Context) -> None:
    if context.invoked_subcommand is None:
        print(context.get_help())
