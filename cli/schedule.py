"""`howspec schedule`: gamma by batch size, as a table or in an engine's own words."""

from __future__ import annotations

from typing import Annotated

import typer

from . import options
from .checks import check_outputs, spelled
from .output import show, write_files

ENGINES = ("table", "vllm", "sglang", "tensorrt-llm", "llama.cpp")


def schedule(
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
    overhead_ms: Annotated[
        float, typer.Option(help="Milliseconds that a round costs beyond a CSV of passes.")
    ] = 0.0,
    plain_ms: options.PlainMs = None,
    sweep: Annotated[
        str | None,
        typer.Option(help="Table of measured speeds by gamma and batch, in place of the laws."),
    ] = None,
    engine: Annotated[str, typer.Option(help=f"One of {', '.join(ENGINES)}.")] = "table",
    batch_max: Annotated[
        int | None, typer.Option(help="Largest batch size; default 256, or what fits or is known.")
    ] = None,
    context: Annotated[
        str | None,
        typer.Option(
            help="Cached tokens of a sequence, default 1000; several with commas, weighed alike."
        ),
    ] = None,
    dtype: options.Dtype = "",
    stack: options.Stack = None,
    task: options.Task = None,
    temperature: options.Temperature = None,
    gamma_max: options.GammaMax = None,
    tolerance: Annotated[
        float,
        typer.Option(help="Share of speed that fewer changes may cost; a gain within it is none."),
    ] = 0.01,
    batch: Annotated[
        int, typer.Option(help="Batch size for engines without a table (llama.cpp).")
    ] = 1,
    method: Annotated[
        str | None, typer.Option(help="Method of the draft, in the engine's words.")
    ] = None,
    model: Annotated[str | None, typer.Option(help="Draft model, in the engine's words.")] = None,
    adapt: Annotated[
        bool, typer.Option("--adapt", help="SGLang: let its average choose among likely gammas.")
    ] = False,
    older: Annotated[
        bool, typer.Option("--older", help="Words of older TensorRT-LLM and llama.cpp versions.")
    ] = False,
    objective: options.Objective = None,
    level: options.Level = 0.9,
    seed: options.Seed = 0,
    online: options.Online = False,
    figure: options.Figure = None,
    html: options.Html = None,
    as_json: options.Json = False,
) -> None:
    """Make a schedule: the best gamma by batch size, with few changes, 0 where nothing pays.

    What is not given of acceptance and costs is predicted for the pair named by --target, --draft
    and --device. Batch sizes next to each other share a gamma where that costs less than the
    tolerance.

    Examples:

    howspec schedule --alpha 0.73 --cost-ratio 0.08 --verify-slope 0.02 --engine vllm

    howspec schedule --target Llama-3.1-8B --draft EAGLE3 --device L40S --task chat --context 1000
    """
    check_outputs(figure, html)
    engine = spelled(engine, ENGINES)
    if engine not in ENGINES:
        raise ValueError(f"--engine must be one of {', '.join(ENGINES)}, got {engine!r}")
    from ..verbs.schedule import schedule as ask

    answer = ask(
        target=target, draft=draft, device=device,
        acceptance=options.acceptance(acceptance, alpha), costs=options.costs(costs, cost_ratio),
        acceptance_length=acceptance_length, gamma=gamma, alpha_tokens=alpha_tokens, decay=decay,
        verify_slope=verify_slope, overhead=overhead, overhead_ms=overhead_ms, sweep=sweep,
        task=task, plain_ms=plain_ms,
        temperature=temperature, context=options.numbers(context, "--context") or None,
        dtype=dtype, stack=stack, batch_max=batch_max, gamma_max=gamma_max, tolerance=tolerance,
        engine=None if engine == "table" else engine, method=method, model=model, batch=batch,
        adapt=adapt, older=older,
        objective=objective, level=level, seed=seed, online=online,
    )  # fmt: skip
    if as_json or answer.emission is None:
        show(answer, as_json, figure, html)
        return
    # What is to be pasted alone on stdout, what is to be known beside it.
    print(answer.emission.text())
    for line in (answer.headline(), *(b for b in answer.blocks() if isinstance(b, str))):
        typer.echo(f"note: {line}", err=True)
    for note in answer.notes:
        typer.echo(f"note: {note}", err=True)
    write_files(answer, figure, html)
