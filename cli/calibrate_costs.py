"""`howspec calibrate costs`: what a pass of a target and its drafts takes."""

from __future__ import annotations

from typing import Annotated

import typer

from . import calibrate_pair as pair
from . import options
from .checks import names_of, ranges
from .output import show
from .progress import progress_bar


def costs(
    target: Annotated[
        str, typer.Option(help="The target: a hub name, a folder, or a name such as Pythia-2.8B.")
    ],
    out: pair.Out,
    draft: pair.Draft = None,
    random_weights: Annotated[
        bool,
        typer.Option(
            "--random-weights", help="Weights drawn at random: nothing is downloaded, times hold."
        ),
    ] = False,
    tokens: Annotated[
        str, typer.Option(help="New tokens of a pass: numbers and ranges with commas.")
    ] = "1-9,12,16,24,33",
    batch: Annotated[str, typer.Option(help="Sequences of a pass, with commas.")] = "1",
    context: Annotated[str, typer.Option(help="Tokens before the pass, with commas.")] = "128",
    gamma: Annotated[
        str,
        typer.Option(help="Draft tokens of the rounds that are timed as a whole; 0 for none."),
    ] = "1-8",
    mode: Annotated[
        str, typer.Option(help="eager, graph (CUDA only), both, or auto: both on CUDA.")
    ] = "auto",
    repeats: Annotated[int, typer.Option(help="Timed passes of a point.")] = 15,
    warmup: Annotated[int, typer.Option(help="Untimed passes of a point, kept apart.")] = 3,
    device: pair.Device = "auto",
    dtype: pair.Dtype = "auto",
    trust_remote_code: Annotated[
        bool, typer.Option("--trust-remote-code", help="Run code that comes with the model.")
    ] = False,
    seed: Annotated[int, typer.Option(help="Seed of random weights.")] = 0,
    stage_seconds: pair.StageSeconds = None,
    as_json: options.Json = False,
) -> None:
    """Time passes of 1 to 33 new tokens: c = draft / target, and the verify curve V(n) / V(1).

    With a draft, whole rounds are timed too, because a pass between passes of another model can be
    slower than one that follows itself. The times, with warm-ups, are in the record; printed are
    medians and quartiles.

    Example:

    howspec calibrate costs --target GPT2 --draft DistilGPT2 --random-weights --tokens 1-4
    --context 64 --gamma 1-3 --repeats 5 --out costs.json
    """
    from ..verbs.measure_costs import measure_costs

    with progress_bar() as progress:
        answer = measure_costs(
            target, names_of(draft), out=out, tokens=ranges(tokens, "--tokens"),
            batch=ranges(batch, "--batch"), context=ranges(context, "--context"),
            gamma=() if gamma.strip() == "0" else ranges(gamma, "--gamma"), mode=mode,
            repeats=repeats, warmup=warmup, random_weights=random_weights, device=device,
            dtype=dtype, trust_remote_code=trust_remote_code, seed=seed,
            stage_seconds=stage_seconds, progress=progress,
        )  # fmt: skip
    show(answer, as_json)
