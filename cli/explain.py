"""`howspec explain`: where the time of a measured run goes, and which change pays most."""

from __future__ import annotations

from typing import Annotated

from . import options
from .answering import Given, answering
from .commands import Argument, Option

_DIGITS = "Its digits count as its accuracy; 98.2+-1.5 states a standard error."
_Number = str | None


@answering(
    "source baseline_tokens_per_s speculative_tokens_per_s acceptance acceptance_length alpha "
    "decay gamma drafter plain_ms round_ms draft_step_ms verify_ms cost_ratio verify_slope "
    "overhead verify_ratio_batch_1 prefill_s prompt_tokens output_tokens target draft device "
    "costs dtype stack batch context temperature level seed figure html as_json"
)
def explain(
    given: Given,
    source: Annotated[
        str | None,
        Argument(
            help="As --acceptance: a log, metrics, a URL, or the folder of `howspec measure`, "
            "which has the speeds too."
        ),
    ] = None,
    baseline_tokens_per_s: Annotated[
        _Number, Option(help=f"Speed without speculation, all requests together. {_DIGITS}")
    ] = None,
    speculative_tokens_per_s: Annotated[
        _Number, Option(help="Speed with speculation, at the same load.")
    ] = None,
    alpha: Annotated[
        _Number,
        Option(help="Rate of a draft token, alone or to compare with --acceptance."),
    ] = None,
    gamma: Annotated[int | None, Option(help="Draft tokens of a round.")] = None,
    drafter: Annotated[
        str | None,
        Option(
            help="serial (one token after another) or block (all in one pass, such as DFlash); "
            "default: by the name of --draft, else serial."
        ),
    ] = None,
    plain_ms: Annotated[
        _Number, Option(help="Plain time per token of a sequence, in ms: a plain step.")
    ] = None,
    round_ms: Annotated[_Number, Option(help="Time of a whole speculative round.")] = None,
    draft_step_ms: Annotated[_Number, Option(help="Time of one draft step.")] = None,
    verify_ms: Annotated[
        _Number, Option(help="Time of the target's pass over gamma + 1 tokens.")
    ] = None,
    cost_ratio: Annotated[
        _Number, Option(help="Draft step in plain steps, in place of --draft-step-ms.")
    ] = None,
    verify_slope: Annotated[
        _Number,
        Option(help="Plain steps that a token adds to verifying, in place of --verify-ms."),
    ] = None,
    overhead: Annotated[
        _Number, Option(help="Plain steps that a round costs beyond its passes.")
    ] = None,
    verify_ratio_batch_1: Annotated[
        _Number,
        Option(help="Verifying pass over plain step at batch 1; separates the batch."),
    ] = None,
    prefill_s: Annotated[
        _Number,
        Option(help="Prefill of a request, where the speeds include it; with output tokens."),
    ] = None,
    prompt_tokens: Annotated[int | None, Option(help="Prompt of a request.")] = None,
    output_tokens: Annotated[int | None, Option(help="Tokens that a request generates.")] = None,
) -> None:
    """Explain a measured speed-up: what each loss takes, and which change would pay most.

    The ideal is gamma + 1: every draft token accepted, drafting and verifying free. The factors of
    the terms (shared out by Shapley's rule, so that no order is preferred) multiply with it to the
    measured ratio exactly. What the inputs only show as a sum stays one term, unless --costs or
    --target, --draft and --device split it.

    Example:

    howspec explain --baseline-tokens-per-s 41 --speculative-tokens-per-s 72 --alpha 0.8 --gamma 3
    """
    asked = options.one_source(given.pop("source", None), given.get("acceptance"))
    if asked is not None:
        given["acceptance"] = asked
