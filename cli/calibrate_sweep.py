"""`howspec calibrate sweep`: latency of plain decoding, SpS and AsG."""

from __future__ import annotations

from typing import Annotated

import typer

from . import calibrate_pair as pair
from . import options
from .checks import names_of, ranges
from .output import show
from .progress import progress_bar


def sweep(
    out: pair.Out,
    family: pair.Family = None,
    target: pair.Target = None,
    draft: pair.Draft = None,
    prompts: pair.Prompts = None,
    field: pair.Field = "prompt",
    requests: pair.Requests = None,
    prompt_tokens: pair.PromptTokens = 64,
    new_tokens: pair.NewTokens = 96,
    gamma_max: Annotated[int, typer.Option(help="SpS and AsG run with 1 to so many.")] = 7,
    temperature: Annotated[float, typer.Option(help="0 for the likeliest token.")] = 1.0,
    batch: Annotated[
        list[str] | None, typer.Option(help="Several times or with commas; default 1.")
    ] = None,
    assisted: Annotated[
        int, typer.Option(help="Prompts that AsG runs on, 0 to leave it out; batch 1 only.")
    ] = 4,
    plain_repeats: Annotated[
        int, typer.Option(help="Turns of plain decoding for each prompt.")
    ] = 4,
    seed: Annotated[int, typer.Option(help="Seed of all draws and of the order.")] = 0,
    device: pair.Device = "auto",
    dtype: pair.Dtype = "auto",
    graphs: Annotated[bool, typer.Option(help="CUDA graphs for plain decoding and SpS.")] = False,
    trust_remote_code: pair.TrustRemoteCode = False,
    stage_seconds: pair.StageSeconds = None,
    as_json: options.Json = False,
) -> None:
    """Measure the latency of plain decoding, SpS and AsG over drafts and numbers of draft tokens.

    For each prompt all of them take turns in an order of its own, with plain decoding in between,
    so that the machine's drift does not favour one. What was stopped goes on with the same command.

    Example:

    howspec calibrate sweep --family family --requests 1 --gamma-max 3 --out sweep.json
    """
    from ..verbs.measure_sweep import measure_sweep

    batches = ranges(",".join(batch or ("1",)), "--batch")
    with progress_bar() as progress:
        answer = measure_sweep(
            target, names_of(draft), out=out, family=family, prompts=prompts, field=field,
            requests=requests, prompt_tokens=prompt_tokens, new_tokens=new_tokens,
            gamma_max=gamma_max, temperature=temperature, batch=batches,
            assisted=assisted, plain_repeats=plain_repeats, graphs=graphs, device=device,
            dtype=dtype, trust_remote_code=trust_remote_code, seed=seed,
            stage_seconds=stage_seconds, progress=progress,
        )  # fmt: skip
    show(answer, as_json)
