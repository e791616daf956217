"""`howspec scale`: how small, and how deep, the best draft of a target is."""

from __future__ import annotations

from typing import Annotated

import typer

from . import options
from .checks import check_outputs
from .output import show


def scale(
    target: Annotated[str, options.TARGET],
    device: Annotated[str, options.DEVICE],
    batch: options.Batch = 1.0,
    context: options.Context = None,
    dtype: options.Dtype = "",
    stack: options.Stack = None,
    task: options.Task = None,
    temperature: options.Temperature = None,
    sizes: Annotated[int, typer.Option(help="Sizes tried from target/2 to target/1000.")] = 19,
    gamma_max: options.GammaMax = None,
    objective: options.Objective = None,
    level: options.Level = 0.9,
    seed: options.Seed = 0,
    online: options.Online = False,
    figure: options.Figure = None,
    html: options.Html = None,
    as_json: options.Json = False,
) -> None:
    """Find the best size and depth of a draft in the shape of the target's family.

    A smaller draft costs less and is accepted less: the speed-up turns at one size. The table is
    that curve for drafts with the layers usual for their size, each at its best gamma.

    Example:

    howspec scale --target Llama-3.1-70B --device "4x H100" --task chat
    """
    check_outputs(figure, html)
    from ..verbs.scale import scale as ask

    answer = ask(
        target, device=device, task=task, temperature=temperature, batch=batch, context=context,
        dtype=dtype, stack=stack, sizes=sizes, gamma_max=gamma_max, objective=objective,
        level=level, seed=seed, online=online,
    )  # fmt: skip
    show(answer, as_json, figure, html)
