"""`howspec calibrate acceptance`: rounds and overlap of drafts with a target."""

from __future__ import annotations

from typing import Annotated

import typer

from . import calibrate_pair as pair
from . import options
from .checks import names_of
from .output import show
from .progress import progress_bar


def acceptance(
    out: pair.Out,
    family: pair.Family = None,
    target: pair.Target = None,
    draft: pair.Draft = None,
    prompts: pair.Prompts = None,
    field: pair.Field = "prompt",
    requests: pair.Requests = None,
    prompt_tokens: pair.PromptTokens = 64,
    new_tokens: pair.NewTokens = 96,
    gamma: Annotated[int, typer.Option(help="Draft tokens of a round.")] = 8,
    temperature: Annotated[
        list[str] | None,
        typer.Option(help="Several times or with commas; default 0,0.7,1."),
    ] = None,
    batch: Annotated[int, typer.Option(help="Requests decoded together.")] = 16,
    seed: Annotated[int, typer.Option(help="Seed of all draws.")] = 0,
    device: pair.Device = "auto",
    dtype: pair.Dtype = "auto",
    graphs: Annotated[bool, typer.Option(help="CUDA graphs for the passes.")] = False,
    trust_remote_code: pair.TrustRemoteCode = False,
    stage_seconds: pair.StageSeconds = None,
    as_json: options.Json = False,
) -> None:
    """Measure acceptance: real speculative rounds, and overlap along the target's own text.

    The two are drawn apart and must agree: the table shows both, and by how many standard errors
    they differ. What was stopped or killed goes on with the same command.

    Example:

    howspec calibrate acceptance --family family --requests 2 --new-tokens 24 --out acceptance.json
    """
    from ..verbs.measure_acceptance import measure_acceptance

    chosen = options.numbers(",".join(temperature or ("0,0.7,1",)), "--temperature")
    with progress_bar() as progress:
        answer = measure_acceptance(
            target, names_of(draft), out=out, family=family, prompts=prompts, field=field,
            requests=requests, prompt_tokens=prompt_tokens, new_tokens=new_tokens, gamma=gamma,
            temperature=chosen, batch=batch, graphs=graphs, device=device,
            dtype=dtype, trust_remote_code=trust_remote_code, seed=seed,
            stage_seconds=stage_seconds, progress=progress,
        )  # fmt: skip
    show(answer, as_json)
