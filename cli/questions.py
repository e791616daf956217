"""Questions of one pair or target: what to draft, with which draft, and why it is slow."""

from __future__ import annotations

from typing import TYPE_CHECKING

from . import options
from .answering import Given, answering
from .commands import Argument, Option
from .output import say, show, write_files

if TYPE_CHECKING:
    from ..verbs.schedule import GammaSchedule


_OF_SWEEPS = ("target", "draft", "gamma_max", "objective", "level", "seed")


@answering(
    "target draft device acceptance costs alpha cost_ratio acceptance_length gamma alpha_tokens "
    "decay verify_slope overhead plain_ms known_draft sweep task temperature tuned batch "
    "context dtype draft_dtype stack p_min gamma_max objective level seed online price_per_hour "
    "power_w figure html as_json",
    sweep="Measured sweep: a table, or the name of a bundled one.",
    tuned="The draft was trained towards the target.",
    draft_dtype="Number format of the draft; default that of the target.",
)
def predict(given: Given) -> object:
    """Predict the best number of draft tokens and its speed-up, with an interval.

    With numbers, costs are in units of one plain step of the target: a round costs
    1 + gamma (cost-ratio + verify-slope) + overhead, the overhead paid only when speculating.
    For a named pair, what is not given of acceptance and costs is predicted, and the answer says
    which part is stated, measured, imported or predicted.

    Examples:

    howspec predict --alpha 0.8 --cost-ratio 0.05

    howspec predict --target Llama-3.1-70B --draft Llama-3.2-1B --device "4x H100" --task chat

    howspec predict --target Qwen3-32B --draft Qwen3-1.7B --device H100 --plain-ms 34.2

    howspec predict --acceptance-length 2.4 --gamma 5 --cost-ratio 0.1

    howspec predict --sweep paper_bloom_grid --target BLOOM-7.1B
    """
    sweep = given.pop("sweep")
    if sweep is None:
        return None
    options.alone("sweep", {n: v for n, v in given.items() if n not in _OF_SWEEPS})
    from ..verbs.predict_sweep import predict_sweep

    return predict_sweep(sweep, **{n: given[n] for n in _OF_SWEEPS})


@answering(
    "target draft device acceptance costs plain_ms known_draft batch context dtype stack p_min "
    "task temperature gamma_max objective level seed online figure html as_json",
    draft=options.drafts(
        "Draft models and heads, such as Qwen2.5-1.5B:q4; several times, or with commas."
    ),
    batch=Option(
        "Sequences decoded together; several with commas.", default="1", parse=options.numbers
    ),
)
def rank(given: Given) -> None:
    """Rank drafts of a target on a device, each at its best gamma.

    Acceptance and costs are predicted with draws in common: one task, one family and one machine
    for all drafts, so that what is not known of these does not blur the order. Records that hold
    the drafts replace what would be predicted; a speed-up of one draft tells of the others.

    Examples:

    howspec rank --target Qwen2.5-32B --draft Qwen2.5-0.5B,Qwen2.5-1.5B,Qwen2.5-3B --device H200

    howspec rank --target Qwen2.5-32B:q4 --draft Qwen2.5-0.5B:q8,Qwen2.5-1.5B:q8 --device "M4 Max"
    --stack llama.cpp --known-draft Qwen2.5-0.5B:q4:4:1.3
    """


@answering(
    "target device draft batch context dtype draft_dtype stack task temperature sizes gamma_max "
    "objective level seed online figure html as_json",
    draft=options.drafts(
        "Drafts to name on the curve, such as Qwen2.5-1.5B:q4; several times, or with commas; "
        "default those of the family."
    ),
    draft_dtype=Option(
        "Number formats of drafts with commas; default the usual of the stack.",
        parse=options.words,
    ),
    sizes="Sizes tried from target/2 to target/1000.",
)
def scale(given: Given) -> None:
    """Find the best size and number format of a draft in the shape of the target's family.

    A smaller draft, and one of fewer bits, costs less and is accepted less: the speed-up turns at
    one size and one format. The tables are that curve for drafts with the layers usual for their
    size, each at its best gamma, and the drafts that exist.

    Examples:

    howspec scale --target Llama-3.1-70B --device "4x H100" --task chat

    howspec scale --target Qwen2.5-32B:q4 --device "M4 Max" --stack llama.cpp
    --draft-dtype q8,q4_k_m
    """


@answering(
    "target draft device acceptance costs alpha acceptance_length gamma plain_ms batch context "
    "batch_max dtype stack task temperature gamma_max objective level seed online figure html "
    "as_json",
    batch_max="Largest batch looked at; less where memory ends before.",
)
def crossover(given: Given) -> None:
    """Find the batch, context and load at which the best gamma becomes 0.

    Batch and load at --context tokens a sequence, context at --batch sequences. The load is of
    generated tokens, with the batch that keeps up with it.

    Example:

    howspec crossover --target Llama-3.1-8B --draft Llama-3.2-1B --device H100 --task chat
    """


_DIGITS = "Its digits count as its accuracy; 98.2+-1.5 states a standard error."


@answering(
    "source baseline_tokens_per_s speculative_tokens_per_s acceptance acceptance_length alpha "
    "decay gamma drafter plain_ms round_ms draft_step_ms verify_ms cost_ratio verify_slope "
    "overhead verify_ratio_batch_1 prefill_s prompt_tokens output_tokens target draft device "
    "costs dtype stack batch context temperature level seed figure html as_json",
    source=Argument(
        "As --acceptance: a log, metrics, a URL, or the folder of `howspec measure`, which has "
        "the speeds too."
    ),
    baseline_tokens_per_s=f"Speed without speculation, all requests together. {_DIGITS}",
    speculative_tokens_per_s="Speed with speculation, at the same load.",
    alpha="Rate of a draft token, alone or to compare with --acceptance.",
    gamma="Draft tokens of a round.",
    drafter="serial (one token after another) or block (all in one pass, such as DFlash); "
    "default: by the name of --draft, else serial.",
    plain_ms="Plain time per token of a sequence, in ms: a plain step.",
    round_ms="Time of a whole speculative round.",
    draft_step_ms="Time of one draft step.",
    verify_ms="Time of the target's pass over gamma + 1 tokens.",
    cost_ratio="Draft step in plain steps, in place of --draft-step-ms.",
    verify_slope="Plain steps that a token adds to verifying, in place of --verify-ms.",
    overhead="Plain steps that a round costs beyond its passes.",
    verify_ratio_batch_1="Verifying pass over plain step at batch 1; separates the batch.",
    prefill_s="Prefill of a request, where the speeds include it; with output tokens.",
    prompt_tokens="Prompt of a request.",
    output_tokens="Tokens that a request generates.",
)
def explain(given: Given) -> None:
    """Explain a measured speed-up: what each loss takes, and which change would pay most.

    The ideal is gamma + 1: every draft token accepted, drafting and verifying free. The factors of
    the terms (shared out by Shapley's rule, so that no order is preferred) multiply with it to the
    measured ratio exactly. What the inputs only show as a sum stays one term, unless --costs or
    --target, --draft and --device split it.

    Example:

    howspec explain --baseline-tokens-per-s 41 --speculative-tokens-per-s 72 --alpha 0.8 --gamma 3
    """
    given["acceptance"] = options.one_of(given, "SOURCE", "--acceptance")


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
