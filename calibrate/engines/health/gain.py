"""Accepted tokens without a gain: a round has a cost that nobody measured.

Source: ggml-org/llama.cpp issue 25908 (0.9 of the draft tokens accepted and slower than plain
decoding).
"""

from __future__ import annotations

from .case import Case, Finding

_TOKENS, _BATCH = 1.8, 8.0


def no_gain(case: Case) -> Finding | None:
    """1.8 and more tokens per step, small batches, parts not measured, and no faster than plain."""
    tokens, span = case.tokens_per_target_step, case.speedup_range
    if tokens is None or span is None or case.explained or (case.batch or 1.0) > _BATCH:
        return None
    if tokens < _TOKENS or span[1] >= 1.0:
        return None
    ratio = "" if case.step_ratio is None else f", a step takes {case.step_ratio:.3g} plain steps"
    return Finding(
        "no-gain",
        "tokens are accepted, and nothing is gained",
        f"{tokens:.3g} tokens per step of the target, decoding at {case.decode_speedup or 1.0:.3g} "
        f"times the plain speed{ratio}",
        (
            "a state that is checkpointed and restored in every round (recurrent or hybrid layers)",
            "a graph that is not captured for the verified batch, or drafting in eager mode",
            "an older runner, or a draft on another device",
            "a draft that is as slow as its target",
        ),
        "ggml-org/llama.cpp issue 25908",
    )
