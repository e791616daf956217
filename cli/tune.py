"""`howspec tune`: the best draft and gamma of a server, with few measurements."""

from __future__ import annotations

from . import options
from .answering import Given, answering
from .commands import Option


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
