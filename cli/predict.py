"""`howspec predict`: the best gamma and its speed-up, of numbers, a sweep or a named pair."""

from __future__ import annotations

from typing import Annotated

import typer

from . import options
from .checks import check_outputs
from .output import show

_OF_SWEEPS = (
    "sweep", "target", "draft", "gamma_max", "objective", "level", "seed", "as_json", "figure",
    "html", "known", "times",
)  # fmt: skip


def predict(
    target: options.Target = None,
    draft: options.Draft = None,
    device: options.Device = None,
    acceptance: options.Acceptance = None,
    costs: options.Costs = None,
    alpha: options.Alpha = None,
    cost_ratio: options.CostRatio = None,
    acceptance_length: options.AcceptanceLength = None,
    gamma: options.Gamma = None,
    alpha_tokens: options.AlphaTokens = None,
    decay: options.Decay = 1.0,
    verify_slope: options.VerifySlope = 0.0,
    overhead: options.Overhead = 0.0,
    plain_ms: options.PlainMs = None,
    known_draft: options.KnownDraft = None,
    sweep: Annotated[
        str | None, typer.Option(help="Measured sweep: a table, or the name of a bundled one.")
    ] = None,
    task: options.Task = None,
    temperature: options.Temperature = None,
    tuned: Annotated[
        bool, typer.Option("--tuned", help="The draft was trained towards the target.")
    ] = False,
    batch: options.Batch = 1.0,
    context: options.Context = None,
    dtype: options.Dtype = "",
    draft_dtype: Annotated[
        str, typer.Option(help="Number format of the draft; default that of the target.")
    ] = "",
    stack: options.Stack = None,
    p_min: options.PMin = None,
    gamma_max: options.GammaMax = None,
    objective: options.Objective = None,
    level: options.Level = 0.9,
    seed: options.Seed = 0,
    online: options.Online = False,
    price_per_hour: options.Price = None,
    power_w: options.Power = None,
    figure: options.Figure = None,
    html: options.Html = None,
    as_json: options.Json = False,
) -> None:
    """Predict the best number of draft tokens and its speed-up, with an interval.

    With numbers, costs are in units of one plain step of the target: a round costs
    1 + gamma (cost-ratio + verify-slope) + overhead, the overhead paid only when speculating.
    For a named pair, what is not given of acceptance and costs is predicted, and the answer says
    which part is stated, measured, imported or predicted.

    Examples:

    howspec predict --alpha 0.8 --cost-ratio 0.05

    howspec predict --target Llama-3.1-70B --draft Llama-3.2-1B --device "4x H100" --task chat

    howspec predict --target Qwen3-32B --draft Qwen3-1.7B --device H100 --plain-ms 34.2

    howspec predict --acceptance-length 2.4 --gamma 5 --cost-ratio 0.1

    howspec predict --sweep paper_bloom_grid --target BLOOM-7.1B
    """
    check_outputs(figure, html)
    known, times = options.acceptance(acceptance, alpha), options.costs(costs, cost_ratio)
    if sweep is not None:
        given = {n: v for n, v in locals().items() if n not in _OF_SWEEPS}
        options.alone("sweep", given)
        from ..verbs.predict_sweep import predict_sweep

        swept = predict_sweep(
            sweep, target=target, draft=draft, gamma_max=gamma_max, objective=objective,
            level=level, seed=seed,
        )  # fmt: skip
        show(swept, as_json, figure, html)
        return
    from ..verbs.predict import predict as ask

    answer = ask(
        target=target, draft=draft, device=device, acceptance=known, costs=times,
        acceptance_length=acceptance_length, gamma=gamma, alpha_tokens=alpha_tokens, decay=decay,
        verify_slope=verify_slope, overhead=overhead, plain_ms=plain_ms,
        known_draft=known_draft, task=task, temperature=temperature,
        tuned=tuned, batch=batch, context=context, dtype=dtype, draft_dtype=draft_dtype,
        stack=stack, p_min=p_min, gamma_max=gamma_max, objective=objective, level=level,
        seed=seed, online=online, price_per_hour=price_per_hour, power_w=power_w,
    )  # fmt: skip
    show(answer, as_json, figure, html)
