"""`howspec measure`: a running server under load."""

from __future__ import annotations

from . import options
from .answering import Given, answering
from .commands import Argument, Option


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
