"""`howspec tune`: the best draft and gamma of a server, with few measurements."""

from __future__ import annotations

from typing import Annotated

from . import options
from .answering import Given, answering
from .checks import names_of, ranges
from .commands import Option


@answering(
    "target draft out device launch url record acceptance costs task temperature batch gamma "
    "context dtype stack engine tolerance minutes start_minutes requests new_tokens prompts "
    "patience_s level seed online html as_json"
)
def tune(
    given: Given,
    target: Annotated[str, options.TARGET],
    draft: Annotated[
        list[str],
        Option(
            help="Draft, several times or with commas; NAME=MODEL where the engine loads MODEL."
        ),
    ],
    out: Annotated[str, Option(help="Folder of the measurements; the search goes on there.")],
    launch: Annotated[
        str | None,
        Option(
            help="Command that starts the server, with {config} or {flags} where a configuration "
            "goes; without it the next measurement is told."
        ),
    ] = None,
    url: Annotated[str, Option(help="Of the server.")] = "http://localhost:8000",
    record: Annotated[
        list[str] | None,
        Option(help="Record of `howspec measure` from elsewhere; may be given several times."),
    ] = None,
    batch: Annotated[str, Option(help="Sequences decoded together, with commas.")] = "1",
    gamma: Annotated[str, Option(help="Draft tokens to choose among, as 1-8 or 1,3,5.")] = ("1-8"),
    engine: Annotated[
        str | None,
        Option(help="vllm, sglang, tensorrt-llm or llama.cpp; default that of --launch."),
    ] = None,
    tolerance: Annotated[float, Option(help="Expected regret at which the search ends.")] = 0.02,
    minutes: Annotated[float | None, Option(help="Device time at most.")] = None,
    start_minutes: Annotated[float, Option(help="What a start of the server takes.")] = 2.0,
    requests: Annotated[int, Option(help="Requests of a measurement.")] = 12,
    new_tokens: Annotated[int, Option(help="Tokens that each request generates.")] = 128,
    prompts: Annotated[
        str | None, Option(help="File of prompts, .jsonl or .txt; default built-in ones.")
    ] = None,
    patience_s: Annotated[
        float, Option(help="Longest wait for a server to answer, in seconds.")
    ] = 1200.0,
) -> None:
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
    from ..calibrate.files import check_folder

    check_folder(out, "--out")
    given["drafts"], given["records"] = (
        names_of(given.pop("draft")),
        tuple(given.pop("record") or ()),
    )
    given |= {"batch": ranges(batch, "--batch"), "gamma": ranges(gamma, "--gamma")}
