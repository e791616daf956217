"""`howspec crossover`: batch, context and load at which a pair stops paying."""

from __future__ import annotations

from typing import Annotated

import typer

from . import options
from .checks import check_outputs
from .output import show


def crossover(
    target: options.Target = None,
    draft: options.Draft = None,
    device: options.Device = None,
    acceptance: options.Acceptance = None,
    costs: options.Costs = None,
    alpha: options.Alpha = None,
    acceptance_length: options.AcceptanceLength = None,
    gamma: options.Gamma = None,
    plain_ms: options.PlainMs = None,
    batch: options.Batch = 1.0,
    context: options.Context = None,
    batch_max: Annotated[
        int, typer.Option(help="Largest batch looked at; less where memory ends before.")
    ] = 1024,
    dtype: options.Dtype = "",
    stack: options.Stack = None,
    task: options.Task = None,
    temperature: options.Temperature = None,
    gamma_max: options.GammaMax = None,
    objective: options.Objective = None,
    level: options.Level = 0.9,
    seed: options.Seed = 0,
    online: options.Online = False,
    figure: options.Figure = None,
    html: options.Html = None,
    as_json: options.Json = False,
) -> None:
    """Find the batch, context and load at which the best gamma becomes 0.

    Batch and load at --context tokens a sequence, context at --batch sequences. The load is of
    generated tokens, with the batch that keeps up with it.

    Example:

    howspec crossover --target Llama-3.1-8B --draft Llama-3.2-1B --device H100 --task chat
    """
    check_outputs(figure, html)
    from ..verbs.crossover import crossover as ask

    answer = ask(
        target=target, draft=draft, device=device,
        acceptance=options.acceptance(acceptance, alpha), costs=options.exact(costs),
        acceptance_length=acceptance_length, gamma=gamma, plain_ms=plain_ms,
        task=task, temperature=temperature,
        batch=batch, context=context, batch_max=batch_max, dtype=dtype, stack=stack,
        gamma_max=gamma_max, objective=objective, level=level, seed=seed, online=online,
    )  # fmt: skip
    show(answer, as_json, figure, html)
