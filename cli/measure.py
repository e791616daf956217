"""`howspec measure`: a running server under load."""

from __future__ import annotations

from typing import Annotated

from .answering import Given, answering
from .checks import ranges
from .commands import Argument, Option


@answering(
    "url out batch requests new_tokens model draft method gamma prompts field temperature "
    "warmup completions keep_texts timeout_s seed html as_json"
)
def measure(
    given: Given,
    url: Annotated[str, Argument(help="Of the server, such as http://localhost:8000.")],
    out: Annotated[str, Option(help="File of the record, .json, or its folder.")],
    batch: Annotated[
        list[str] | None,
        Option(help="Requests sent together, several times or with commas; default 1,4."),
    ] = None,
    requests: Annotated[int, Option(help="Requests at each batch.")] = 12,
    new_tokens: Annotated[int, Option(help="Tokens that each request generates.")] = 128,
    model: Annotated[str | None, Option(help="The model that must be served.")] = None,
    draft: Annotated[str | None, Option(help="What its draft is called.")] = None,
    method: Annotated[
        str | None, Option(help="How it drafts, such as ngram, where it does not say.")
    ] = None,
    gamma: Annotated[
        int | None,
        Option(help="Draft tokens of a round, 0 for none, where the server does not say."),
    ] = None,
    prompts: Annotated[
        str | None, Option(help="File of prompts, .jsonl or .txt; default built-in ones.")
    ] = None,
    field: Annotated[str, Option(help="Field of a .jsonl that holds the text.")] = "prompt",
    temperature: Annotated[float, Option(help="0 for the likeliest token.")] = 0.0,
    warmup: Annotated[int, Option(help="Warm-up requests at each batch.")] = 1,
    completions: Annotated[
        bool, Option("--completions", help="Plain text, without a chat's template.")
    ] = False,
    keep_texts: Annotated[
        bool, Option("--keep-texts", help="Keep prompts and answers in the record.")
    ] = False,
    timeout_s: Annotated[float, Option(help="Longest silence of the server.")] = 120.0,
) -> None:
    """Measure a running OpenAI-compatible server: times token by token, acceptance by position.

    vLLM, SGLang, llama.cpp (with --metrics), TensorRT-LLM and LMDeploy. Measure it without
    speculation and with, into one folder: the folder is what predict, explain and schedule take as
    --acceptance and as --costs. What was stopped goes on with the same command. A key that the
    server wants is read from the environment variable HOWSPEC_API_KEY.

    Example:

    howspec measure http://localhost:8000 --out served/plain.json
    """
    given["batch"] = ranges(",".join(batch or ("1,4",)), "--batch")
