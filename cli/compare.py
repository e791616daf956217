"""`howspec compare`: two measured servers beside each other."""

from __future__ import annotations

from typing import Annotated

import typer

from . import options
from .checks import check_outputs
from .output import show


def compare(
    first: Annotated[str, typer.Argument(help="A record of `howspec measure`, such as before.")],
    second: Annotated[str, typer.Argument(help="Another one, such as after.")],
    level: options.Level = 0.9,
    seed: options.Seed = 0,
    html: options.Html = None,
    as_json: options.Json = False,
) -> None:
    """Compare two measured servers: what changed, how sure that is, and what explains it.

    Waves of the same prompts are compared with one another. A change of speed is split into how
    many steps of the target a second makes, and how many tokens a step gives.

    Example:

    howspec compare served/plain.json served/k3.json
    """
    check_outputs(None, html)
    from ..verbs.compare import compare as ask

    show(ask(first, second, level=level, seed=seed), as_json, html=html)
