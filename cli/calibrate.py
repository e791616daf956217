"""`howspec calibrate`: measuring what the theory needs of a real draft and target.

A verb for each kind of record (costs, acceptance, sweep), two that train a ladder and measure all
of it, one that pools, one that shows, and the options that the verbs which measure models share.
"""

from __future__ import annotations

import click

from . import options
from .answering import Given, answering, said
from .commands import Argument, Option, Verbs

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


@answering(
    "out preset teacher sizes tokens text code order stage_seconds device gguf as_json",
    asks="training:train_family",
    out="Folder of the family: new, or begun before.",
    preset="cpu: 8 M parameters and 11 drafts, about an hour on two cores."
    " gpu: 120 M and 6 drafts. tiny: seconds, for a try. Default cpu.",
    teacher="Distil drafts from this model instead, in its own vocabulary: a folder, a .gguf"
    " file or a hub name.",
    sizes=Option(
        "With --teacher: how many times less the drafts compute.",
        default="3,10,30,100",
        parse=options.numbers,
    ),
    tokens="With --teacher: tokens that every draft is trained on.",
    text="Folder of text: .txt, .md, .jsonl, plain or .xz or .gz. A file is a domain.",
    code=Option(
        "Train on the source of Python's standard library as well.", names=("--code/--no-code",)
    ),
    order=Option(
        "Names of models to train first, with commas; else largest first.", parse=options.words
    ),
    stage_seconds="Stop cleanly after about so many seconds; the same command goes on.",
    device="cpu or cuda; default cuda where there is one.",
    gguf="Write NAME.gguf for llama.cpp as well, in f32, f16 or q8_0.",
)
def family(given: Given) -> None:
    """Train a target and drafts of several sizes, or distil drafts from a pretrained target.

    One size of draft comes in several depths.
    Every model is a folder that transformers and the other verbs load. A run that was stopped or
    killed goes on with the same command, and ends with the models that it would have had.

    Examples:

    howspec calibrate family --preset tiny --out family

    howspec calibrate family --teacher SmolLM2-135M-Instruct.Q4_1.gguf --text texts --out family
    """


@answering(
    "name out text family records plan dry_run stage stages stage_seconds call_seconds as_json",
    asks="training:campaign",
    name=Argument("Which campaign: cpu, gpu or tiny."),
    out="Folder of the campaign: models, and records/.",
    text="Folder of texts to train on, beside Python's standard library.",
    family="Folder of a trained family to use; default: train one in --out.",
    records="Second folder that the records are copied to.",
    plan="Print stages, expected time and bytes; run nothing.",
    dry_run="Run every stage on tiny models on the CPU.",
    stage="The one stage to run.",
    stages="How many stages to run in this call; default all.",
    stage_seconds="A stage stops cleanly after so long, to be resumed; default its own.",
    call_seconds="The call stops cleanly after so long; gpu: 540.",
)
def campaign(given: Given) -> None:
    """Train a ladder (if there is none), measure costs and acceptance, and run the paper's sweep.

    Every stage can be killed at any time; the same command continues from there. Nothing is
    downloaded. The records are in the folder records/ of --out.

    Examples:

    howspec calibrate campaign gpu --out campaign --plan

    howspec calibrate campaign tiny --out campaign
    """


@answering(
    "files out as_json",
    asks="show:pool",
    files=Argument("Cost records of one machine and its models."),
    out="File of the pooled record, .json or .json.gz.",
)
def pool(given: Given) -> None:
    """Pool cost records of several runs: a shared machine is not the same an hour later.

    The repeats of every point are put behind one another, and predictions take their spread from
    what the runs differ by.

    Example:

    howspec calibrate pool morning.json noon.json evening.json --out costs.json
    """


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
    verbs=dict.fromkeys(
        ("costs", "acceptance", "sweep", "family", "campaign", "pool", "show"), "calibrate"
    ),
    help=_PURPOSE,
    short_help=_PURPOSE,
    invoke_without_command=True,
    callback=_listed,
)
