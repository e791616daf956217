"""Running engines: what a server does, what its logs say, and what it should run."""

from __future__ import annotations

from typing import Any

from . import options
from .answering import Given, answering
from .commands import Argument, Option
from .output import say, show


@answering(
    "url out batch requests new_tokens model draft method gamma prompts field temperature "
    "warmup completions keep_texts timeout_s seed html as_json",
    url=Argument("Of the server, such as http://localhost:8000."),
    out="File of the record, .json, or its folder.",
    batch=Option(
        "Requests sent together, several times or with commas; default 1,4.",
        several=True,
        parse=options.ranges,
    ),
    requests="Requests at each batch.",
    new_tokens="Tokens that each request generates.",
    model="The model that must be served.",
    draft="What its draft is called.",
    method="How it drafts, such as ngram, where it does not say.",
    gamma="Draft tokens of a round, 0 for none, where the server does not say.",
    prompts="File of prompts, .jsonl or .txt; default built-in ones.",
    field="Field of a .jsonl that holds the text.",
    temperature="0 for the likeliest token.",
    warmup="Warm-up requests at each batch.",
    completions="Plain text, without a chat's template.",
    keep_texts="Keep prompts and answers in the record.",
    timeout_s="Longest silence of the server.",
)
def measure(given: Given) -> None:
    """Measure a running OpenAI-compatible server: times token by token, acceptance by position.

    vLLM, SGLang, llama.cpp (with --metrics), TensorRT-LLM and LMDeploy. Measure it without
    speculation and with, into one folder: the folder is what predict, explain and schedule take as
    --acceptance and as --costs. What was stopped goes on with the same command. A key that the
    server wants is read from the environment variable HOWSPEC_API_KEY.

    Example:

    howspec measure http://localhost:8000 --out served/plain.json
    """


@answering(
    "first second level seed html as_json",
    first=Argument("A record of `howspec measure`, such as before."),
    second=Argument("Another one, such as after."),
)
def compare(given: Given) -> None:
    """Compare two measured servers: what changed, how sure that is, and what explains it.

    Waves of the same prompts are compared with one another. A change of speed is split into how
    many steps of the target a second makes, and how many tokens a step gives.

    Example:

    howspec compare served/plain.json served/k3.json
    """


@answering(
    "target draft out device launch url record acceptance costs task temperature batch gamma "
    "context dtype stack engine tolerance minutes start_minutes requests new_tokens prompts "
    "patience_s level seed online html as_json",
    draft=options.drafts(
        "Draft, several times or with commas; NAME=MODEL where the engine loads MODEL."
    ),
    out="Folder of the measurements; the search goes on there.",
    launch="Command that starts the server, with {config} or {flags} where a configuration "
    "goes; without it the next measurement is told.",
    url="Of the server.",
    record=Option(
        "Record of `howspec measure` from elsewhere; may be given several times.", to="records"
    ),
    batch=Option("Sequences decoded together, with commas.", default="1", parse=options.ranges),
    gamma=Option(
        "Draft tokens to choose among, as 1-8 or 1,3,5.", default="1-8", parse=options.ranges
    ),
    engine="vllm, sglang, tensorrt-llm or llama.cpp; default that of --launch.",
    tolerance="Expected regret at which the search ends.",
    minutes="Device time at most.",
    start_minutes="What a start of the server takes.",
    requests="Requests of a measurement.",
    new_tokens="Tokens that each request generates.",
    prompts="File of prompts, .jsonl or .txt; default built-in ones.",
    patience_s="Longest wait for a server to answer, in seconds.",
)
def tune(given: Given) -> None:
    """Find the best draft and gamma of a server with few measurements.

    From what is predicted and what was measured, the next measurement is the one that lowers the
    expected regret most for its time. With --launch servers are started, measured and stopped; what
    was stopped goes on with the same command. Without it, the next measurement is told.

    Examples:

    howspec tune --target Qwen3-32B --draft Qwen3-0.6B,Qwen3-1.7B,EAGLE3 --device "H100 SXM"
    --batch 1,8 --out tuned

    howspec tune --target Qwen3-8B --draft Qwen3-0.6B --device H100 --out tuned --launch 'vllm
    serve Qwen/Qwen3-8B --speculative-config {config}'
    """


@answering(
    "engine source before model gamma every for_ to fit example seed as_json",
    asks="statistics:import_statistics",
    engine=Argument(
        "vllm, sglang, llama.cpp, tensorrt-llm, transformers, aiperf, or auto; may be left out."
    ),
    source=Argument("A file (also .gz), - for standard input, or a URL."),
    before="An earlier scrape of the same Prometheus text; it is subtracted.",
    model="Only the Prometheus series of this model.",
    gamma="The most that a round drafts, where the source does not say.",
    to="Write the counts in another schema instead: aiperf.",
    fit="Fit alpha and its decay to the counts.",
    example="Print a sample of the engine's format instead.",
    seed="Seed of the posterior draws, and of a sample.",
)
def import_statistics(given: Given) -> None:
    """Read acceptance statistics from logs, metrics, responses and benchmark results.

    The first line says whether anything looks broken. What the source does not determine is null
    in the JSON and a dash in the table, and the notes say why. Of a running server, --every 10
    --for 60 gives the counts of a minute.

    Examples:

    howspec import vllm --example > server.log

    howspec import server.log

    howspec import server.log --to aiperf
    """
    from ..calibrate.engines.load import NAMES

    engine, sourceless = given["engine"], given["source"] is None and not given["example"]
    if sourceless and engine.casefold() not in NAMES:
        given["source"], engine = engine, "auto"
    given["engine"] = options.spelled(engine, NAMES)


@answering("engine as_json", asks="statistics:hook", engine=Argument("transformers."))
def hook(given: Given) -> None:
    """Print the lines that count the rounds of an engine which does not say what was accepted.

    Only transformers needs them: the other engines report their own counts.

    Example:

    howspec hook transformers
    """
    given["engine"] = options.spelled(given["engine"], ("transformers",))


ENGINES = ("vllm", "sglang", "tensorrt-llm", "llama.cpp", "atom")


def _pasted(answer: Any, given: Given) -> None:
    """What is to be pasted alone on stdout, what is to be known beside it."""
    show(answer, given["as_json"])
    for note in () if given["as_json"] else answer.entry["notes"]:
        say(f"note: {note}")


@answering(
    "engine gamma acceptance_length rates alpha independent method model as_json",
    asks="synthetic",
    show_as=_pasted,
    engine=f"One of {', '.join(ENGINES)}.",
    gamma="Draft tokens of a round.",
    acceptance_length="Tokens per round, the bonus token counted.",
    rates=Option(
        "Share of rounds that accept the first k tokens, k = 1.., with commas.",
        parse=options.numbers,
    ),
    alpha="Independent acceptance with this rate, as rates.",
    independent="Spread the length over positions as one alpha would.",
    method="Method of the draft, in the engine's words.",
    model="Draft model, in the engine's words.",
)
def synthetic(given: Given) -> None:
    """Emit an engine's simulated acceptance, so that a benchmark measures the cost side alone.

    vLLM, SGLang, llama.cpp and ATOM take the acceptance length with the bonus token, TensorRT-LLM
    one less. The text that comes out means nothing.

    Example:

    howspec synthetic --engine vllm --gamma 4 --acceptance-length 3.24
    """
    given["engine"] = options.spelled(given["engine"], ENGINES)
