"""`howspec calibrate`: measuring what the theory needs of a real draft and target.

A verb for each kind of record (costs, acceptance, sweep), one that pools, one that shows, and the
options that the verbs which measure models share.
"""

from __future__ import annotations

import click

from . import options
from .answering import Given, answering, printing, said
from .commands import Argument, Option, Verbs
from .output import Shown

# What the verbs share that run models.
MEASURED = {**options.SHARED, **said({
    "out": "File of the record, .json, or its folder.",
    "family": "Folder of a trained family: its target, drafts and text.",
    "target": "Target: a folder, a hub name, or a name such as Pythia-2.8B.",
    "draft": options.drafts("Draft, the same way; several times, or with commas."),
    "prompts": "Prompts: .jsonl or .txt, .gz or .xz; default built in.",
    "field": "Field of the prompt in JSONL.",
    "requests": "Prompts of each domain; default all, of a family 4.",
    "prompt_tokens": "Tokens that prompts are cut to.",
    "new_tokens": "Tokens of every request.",
    "device": "auto, cpu or cuda.",
    "dtype": "auto, float32, bfloat16 or float16.",
    "trust_remote_code": Option(
        "Run code that comes with a model.",
        names=("--trust-remote-code/--no-trust-remote-code",),
    ),
    "stage_seconds": "Stop after about so many seconds; the same command goes on.",
})}  # fmt: skip
_GRAPHS = ("--graphs/--no-graphs",)


@answering(
    "out family target draft prompts field requests prompt_tokens new_tokens gamma temperature "
    "batch seed device dtype graphs trust_remote_code stage_seconds as_json",
    asks="measure_acceptance",
    shared=MEASURED,
    gamma="Draft tokens of a round.",
    temperature=Option(
        "Several times or with commas; default 0,0.7,1.", several=True, parse=options.numbers
    ),
    batch="Requests decoded together.",
    seed="Seed of all draws.",
    graphs=Option("CUDA graphs for the passes.", names=_GRAPHS),
)
def acceptance(given: Given) -> None:
    """Measure acceptance: real speculative rounds, and overlap along the target's own text.

    The two are drawn apart and must agree: the table shows both, and by how many standard errors
    they differ. What was stopped or killed goes on with the same command.

    Example:

    howspec calibrate acceptance --family family --requests 2 --new-tokens 24 --out acceptance.json
    """


def _gammas(text: str, name: str) -> tuple[int, ...]:
    return () if text.strip() == "0" else options.ranges(text, name)


@answering(
    "target out draft random_weights tokens batch context gamma mode repeats warmup device dtype "
    "trust_remote_code seed stage_seconds as_json",
    asks="measure_costs",
    shared=MEASURED,
    target="The target: a hub name, a folder, or a name such as Pythia-2.8B.",
    trust_remote_code="Run code that comes with the model.",
    random_weights="Weights drawn at random: nothing is downloaded, times hold.",
    tokens=Option(
        "New tokens of a pass: numbers and ranges with commas.",
        default="1-9,12,16,24,33",
        parse=options.ranges,
    ),
    batch=Option("Sequences of a pass, with commas.", default="1", parse=options.ranges),
    context=Option("Tokens before the pass, with commas.", default="128", parse=options.ranges),
    gamma=Option(
        "Draft tokens of the rounds that are timed as a whole; 0 for none.",
        default="1-8",
        parse=_gammas,
    ),
    mode="eager, graph (CUDA only), both, or auto: both on CUDA.",
    repeats="Timed passes of a point.",
    warmup="Untimed passes of a point, kept apart.",
    seed="Seed of random weights.",
)
def costs(given: Given) -> None:
    """Time passes of 1 to 33 new tokens: c = draft / target, and the verify curve V(n) / V(1).

    With a draft, whole rounds are timed too, because a pass between passes of another model can be
    slower than one that follows itself. The times, with warm-ups, are in the record; printed are
    medians and quartiles.

    Example:

    howspec calibrate costs --target GPT2 --draft DistilGPT2 --random-weights --tokens 1-4
    --context 64 --gamma 1-3 --repeats 5 --out costs.json
    """


@answering(
    "out family target draft prompts field requests prompt_tokens new_tokens gamma_max "
    "temperature batch assisted plain_repeats seed device dtype graphs trust_remote_code "
    "stage_seconds as_json",
    asks="measure_sweep",
    shared=MEASURED,
    gamma_max="SpS and AsG run with 1 to so many.",
    temperature="0 for the likeliest token.",
    batch=Option("Several times or with commas; default 1.", several=True, parse=options.ranges),
    assisted="Prompts that AsG runs on, 0 to leave it out; batch 1 only.",
    plain_repeats="Turns of plain decoding for each prompt.",
    seed="Seed of all draws and of the order.",
    graphs=Option("CUDA graphs for plain decoding and SpS.", names=_GRAPHS),
)
def sweep(given: Given) -> None:
    """Measure the latency of plain decoding, SpS and AsG over drafts and numbers of draft tokens.

    For each prompt all of them take turns in an order of its own, with plain decoding in between,
    so that the machine's drift does not favour one. What was stopped goes on with the same command.

    Example:

    howspec calibrate sweep --family family --requests 1 --gamma-max 3 --out sweep.json
    """


@printing(
    files=Argument("Cost records of one machine and its models."),
    out="File of the pooled record, .json or .json.gz.",
)
def pool(files: list[str], out: str) -> Shown:
    """Pool cost records of several runs: a shared machine is not the same an hour later.

    The repeats of every point are put behind one another, and predictions take their spread from
    what the runs differ by.

    Example:

    howspec calibrate pool morning.json noon.json evening.json --out costs.json
    """
    from ..calibrate.records import pool_files

    points = len(pool_files(files, out).points)
    entry = {"record": out, "runs": len(files), "points": points}
    return Shown(entry, [f"{out}: {points} points of {len(files)} runs"])


@answering(
    "file limits as_json",
    file=Argument("A record: .json or .json.gz."),
    limits="Of costs: passes of one token beside the least time that memory and computing "
    "allow, and what takes their time: launches, memory or computing.",
)
def show(given: Given) -> None:
    """Print a record of costs, acceptance or a sweep: medians, counts, and where it comes from.

    The family.json of a trained family is printed too: its models with their held-out losses.

    Example:

    howspec calibrate show campaign/records/costs.json
    """


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
        "family": "training",
        "campaign": "training",
        "pool": "calibrate",
        "show": "calibrate",
    },
    help=_PURPOSE,
    short_help=_PURPOSE,
    invoke_without_command=True,
    callback=_listed,
)
