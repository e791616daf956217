"""`howspec calibrate`: measuring what the theory needs of a real draft and target.

A verb for each kind of record (costs, acceptance, sweep), one that pools, and the options that the
verbs which measure models share.
"""

from __future__ import annotations

from typing import Annotated

import click

from . import options
from .checks import names_of, ranges
from .commands import Argument, Option, Verbs
from .options import Json
from .output import print_json, progress_bar, show

Out = Annotated[str, Option(help="File of the record, .json, or its folder.")]
Family = Annotated[
    str | None, Option(help="Folder of a trained family: its target, drafts and text.")
]
Target = Annotated[
    str | None, Option(help="Target: a folder, a hub name, or a name such as Pythia-2.8B.")
]
Draft = Annotated[
    list[str] | None, Option(help="Draft, the same way; several times, or with commas.")
]
Prompts = Annotated[
    str | None, Option(help="Prompts: .jsonl or .txt, .gz or .xz; default built in.")
]
Field = Annotated[str, Option(help="Field of the prompt in JSONL.")]
Requests = Annotated[int | None, Option(help="Prompts of each domain; default all, of a family 4.")]
PromptTokens = Annotated[int, Option(help="Tokens that prompts are cut to.")]
NewTokens = Annotated[int, Option(help="Tokens of every request.")]
Device = Annotated[str, Option(help="auto, cpu or cuda.")]
Dtype = Annotated[str, Option(help="auto, float32, bfloat16 or float16.")]
TrustRemoteCode = Annotated[bool, Option(help="Run code that comes with a model.")]
StageSeconds = Annotated[
    float | None, Option(help="Stop after about so many seconds; the same command goes on.")
]


def acceptance(
    out: Out,
    family: Family = None,
    target: Target = None,
    draft: Draft = None,
    prompts: Prompts = None,
    field: Field = "prompt",
    requests: Requests = None,
    prompt_tokens: PromptTokens = 64,
    new_tokens: NewTokens = 96,
    gamma: Annotated[int, Option(help="Draft tokens of a round.")] = 8,
    temperature: Annotated[
        list[str] | None,
        Option(help="Several times or with commas; default 0,0.7,1."),
    ] = None,
    batch: Annotated[int, Option(help="Requests decoded together.")] = 16,
    seed: Annotated[int, Option(help="Seed of all draws.")] = 0,
    device: Device = "auto",
    dtype: Dtype = "auto",
    graphs: Annotated[bool, Option(help="CUDA graphs for the passes.")] = False,
    trust_remote_code: TrustRemoteCode = False,
    stage_seconds: StageSeconds = None,
    as_json: Json = False,
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


def costs(
    target: Annotated[
        str, Option(help="The target: a hub name, a folder, or a name such as Pythia-2.8B.")
    ],
    out: Out,
    draft: Draft = None,
    random_weights: Annotated[
        bool,
        Option(
            "--random-weights", help="Weights drawn at random: nothing is downloaded, times hold."
        ),
    ] = False,
    tokens: Annotated[
        str, Option(help="New tokens of a pass: numbers and ranges with commas.")
    ] = "1-9,12,16,24,33",
    batch: Annotated[str, Option(help="Sequences of a pass, with commas.")] = "1",
    context: Annotated[str, Option(help="Tokens before the pass, with commas.")] = "128",
    gamma: Annotated[
        str,
        Option(help="Draft tokens of the rounds that are timed as a whole; 0 for none."),
    ] = "1-8",
    mode: Annotated[
        str, Option(help="eager, graph (CUDA only), both, or auto: both on CUDA.")
    ] = "auto",
    repeats: Annotated[int, Option(help="Timed passes of a point.")] = 15,
    warmup: Annotated[int, Option(help="Untimed passes of a point, kept apart.")] = 3,
    device: Device = "auto",
    dtype: Dtype = "auto",
    trust_remote_code: Annotated[
        bool, Option("--trust-remote-code", help="Run code that comes with the model.")
    ] = False,
    seed: Annotated[int, Option(help="Seed of random weights.")] = 0,
    stage_seconds: StageSeconds = None,
    as_json: Json = False,
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


def sweep(
    out: Out,
    family: Family = None,
    target: Target = None,
    draft: Draft = None,
    prompts: Prompts = None,
    field: Field = "prompt",
    requests: Requests = None,
    prompt_tokens: PromptTokens = 64,
    new_tokens: NewTokens = 96,
    gamma_max: Annotated[int, Option(help="SpS and AsG run with 1 to so many.")] = 7,
    temperature: Annotated[float, Option(help="0 for the likeliest token.")] = 1.0,
    batch: Annotated[
        list[str] | None, Option(help="Several times or with commas; default 1.")
    ] = None,
    assisted: Annotated[
        int, Option(help="Prompts that AsG runs on, 0 to leave it out; batch 1 only.")
    ] = 4,
    plain_repeats: Annotated[int, Option(help="Turns of plain decoding for each prompt.")] = 4,
    seed: Annotated[int, Option(help="Seed of all draws and of the order.")] = 0,
    device: Device = "auto",
    dtype: Dtype = "auto",
    graphs: Annotated[bool, Option(help="CUDA graphs for plain decoding and SpS.")] = False,
    trust_remote_code: TrustRemoteCode = False,
    stage_seconds: StageSeconds = None,
    as_json: Json = False,
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


def pool(
    files: Annotated[list[str], Argument(help="Cost records of one machine and its models.")],
    out: Annotated[str, Option(help="File of the pooled record, .json or .json.gz.")],
    as_json: Json = False,
) -> None:
    """Pool cost records of several runs: a shared machine is not the same an hour later.

    The repeats of every point are put behind one another, and predictions take their spread from
    what the runs differ by.

    Example:

    howspec calibrate pool morning.json noon.json evening.json --out costs.json
    """
    from ..calibrate.records import pool_files

    found = pool_files(files, out)
    if as_json:
        print_json({"record": out, "runs": len(files), "points": len(found.points)})
        return
    print(f"{out}: {len(found.points)} points of {len(files)} runs")


_PURPOSE = "Measure costs, acceptance and latency of real pairs; train a ladder; show records."


@click.pass_context
def _listed(context: click.Context) -> None:
    if context.invoked_subcommand is None:
        print(context.get_help())


calibrate = Verbs(
    "calibrate",
    verbs={
        "costs": "calibrate",
        "acceptance": "calibrate",
        "sweep": "calibrate",
        "family": "calibrate_family",
        "campaign": "calibrate_campaign",
        "pool": "calibrate",
        "show": "calibrate_show",
    },
    help=_PURPOSE,
    short_help=_PURPOSE,
    invoke_without_command=True,
    callback=_listed,
)
