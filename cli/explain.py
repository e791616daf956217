"""`howspec explain`: where the time of a measured run goes, and which change pays most."""

from __future__ import annotations

from . import options
from .answering import Given, answering
from .commands import Argument

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
