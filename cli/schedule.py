"""`howspec schedule`: gamma by batch size, as a table or in an engine's own words."""

from __future__ import annotations

from typing import TYPE_CHECKING

from . import options
from .answering import Given, answering
from .commands import Option
from .output import say, show, write_files

if TYPE_CHECKING:
    from ..verbs.schedule import GammaSchedule

ENGINES = ("table", "vllm", "sglang", "tensorrt-llm", "llama.cpp")


def _show(answer: GammaSchedule, given: Given) -> None:
    """What is to be pasted alone on stdout, what is to be known beside it."""
    figure, html = given["figure"], given["html"]
    if given["as_json"] or answer.emission is None:
        show(answer, given["as_json"], figure, html)
        return
    print(answer.emission.text())
    lines = (b for b in answer.blocks() if isinstance(b, str))
    for line in (answer.headline(), *lines, *answer.notes):
        say(f"note: {line}")
    write_files(answer, figure, html)


def _engine(text: str, name: str) -> str | None:
    engine = options.spelled(text, ENGINES)
    if engine not in ENGINES:
        raise ValueError(f"{name} must be one of {', '.join(ENGINES)}, got {engine!r}")
    return None if engine == "table" else engine


@answering(
    "target draft device acceptance costs alpha cost_ratio acceptance_length gamma alpha_tokens "
    "decay verify_slope overhead overhead_ms plain_ms sweep engine batch_max context dtype "
    "stack task temperature gamma_max tolerance batch method model adapt older objective level "
    "seed online figure html as_json",
    show_as=_show,
    overhead_ms="Milliseconds that a round costs beyond a CSV of passes.",
    sweep="Table of measured speeds by gamma and batch, in place of the laws.",
    engine=Option(f"One of {', '.join(ENGINES)}.", default="table", parse=_engine),
    batch_max="Largest batch size; default 256, or what fits or is known.",
    context=Option(
        "Cached tokens of a sequence, default 1000; several with commas, weighed alike.",
        parse=options.numbers,
    ),
    tolerance="Share of speed that fewer changes may cost; a gain within it is none.",
    batch="Batch size for engines without a table (llama.cpp).",
    method="Method of the draft, in the engine's words.",
    model="Draft model, in the engine's words.",
    adapt="SGLang: let its average choose among likely gammas.",
    older="Words of older TensorRT-LLM and llama.cpp versions.",
)
def schedule(given: Given) -> None:
    """Make a schedule: the best gamma by batch size, with few changes, 0 where nothing pays.

    What is not given of acceptance and costs is predicted for the pair named by --target, --draft
    and --device. Batch sizes next to each other share a gamma where that costs less than the
    tolerance.

    Examples:

    howspec schedule --alpha 0.73 --cost-ratio 0.08 --verify-slope 0.02 --engine vllm

    howspec schedule --target Llama-3.1-8B --draft EAGLE3 --device L40S --task chat --context 1000
    """
