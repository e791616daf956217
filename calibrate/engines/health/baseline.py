"""A baseline that is not comparable: the speed-up exceeds what the tokens allow.

A step of the target cannot take less than a plain step, so decoding speeds up by at most the tokens
per step. Source: this bound; vllm-project/vllm issue 54360 is a prefix cache that one side alone
hits.
"""

from __future__ import annotations

from .case import Case, Finding


def baseline_differs(case: Case) -> Finding | None:
    """The whole interval of the speed-up above the tokens per step of the target."""
    tokens, span = case.tokens_per_target_step, case.speedup_range
    if tokens is None or span is None or not span[0] > tokens:
        return None
    return Finding(
        "baseline",
        "the baseline is not comparable",
        f"decoding speeds up {case.decode_speedup or span[0]:.3g} times with {tokens:.3g} tokens "
        "per step of the target",
        (
            "a prefix cache that only one side hits",
            "outputs of another length, or ignore_eos on one side",
            "another batch or concurrency",
            "a plain run in eager mode, without graphs, or on an older runner",
        ),
        "vllm-project/vllm issue 54360",
    )
