"""`howspec rank`: drafts of one target in order, with the probability that each is the best."""

from __future__ import annotations

from typing import Annotated

import typer

from . import options
from .checks import check_outputs
from .output import show


def rank(
    target: Annotated[str, options.TARGET],
    draft: Annotated[
        list[str],
        typer.Option(
            help="Draft models and heads, such as Qwen2.5-1.5B:q4; several times, or with commas."
        ),
    ],
    device: options.Device = None,
    acceptance: options.Acceptance = None,
    costs: options.Costs = None,
    plain_ms: options.PlainMs = None,
    known_draft: options.KnownDraft = None,
    batch: Annotated[
        str, typer.Option(help="Sequences decoded together; several with commas.")
    ] = "1",
    context: options.Context = None,
    dtype: options.Dtype = "",
    stack: options.Stack = None,
    p_min: options.PMin = None,
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
    """Rank drafts of a target on a device, each at its best gamma.

    Acceptance and costs are predicted with draws in common: one task, one family and one machine
    for all drafts, so that what is not known of these does not blur the order. Records that hold
    the drafts replace what would be predicted; a speed-up of one draft tells of the others.

    Examples:

    howspec rank --target Qwen2.5-32B --draft Qwen2.5-0.5B,Qwen2.5-1.5B,Qwen2.5-3B --device H200

    howspec rank --target Qwen2.5-32B:q4 --draft Qwen2.5-0.5B:q8,Qwen2.5-1.5B:q8 --device "M4 Max"
    --stack llama.cpp --known-draft Qwen2.5-0.5B:q4:4:1.3
    """
    check_outputs(figure, html)
    names = [n.strip() for text in draft for n in text.split(",") if n.strip()]
    from ..verbs.rank import rank as ask

    answer = ask(
        target, names, device=device, acceptance=options.exact(acceptance),
        costs=options.exact(costs), plain_ms=plain_ms, known_draft=known_draft, task=task,
        temperature=temperature, p_min=p_min,
        batch=options.numbers(batch, "--batch"), context=context, dtype=dtype, stack=stack,
        gamma_max=gamma_max, objective=objective, level=level, seed=seed, online=online,
    )  # fmt: skip
    show(answer, as_json, figure, html)
