"""Speculation that is off by its schedule, and still costs.

Source: vllm-project/vllm issue 49548: a schedule of num_speculative_tokens_per_batch_size that is
K = 0 throughout takes 6.56 % more time a token than no drafter at concurrency 2, 21.58 % at 189.
"""

from __future__ import annotations

from .case import Case, Finding

_DRAFTED, _SLOWER = 0.05, 0.97


def off_but_costs(case: Case) -> Finding | None:
    """Fewer than 5 % of the steps drafted, and the run is slower than plain decoding."""
    counts, span = case.counts, case.speedup_range
    coverage = None if counts is None else counts.coverage
    if coverage is None or span is None or coverage[1] >= _DRAFTED or span[1] >= _SLOWER:
        return None
    return Finding(
        "off-but-costs",
        "speculation is off in nearly all steps, and still costs",
        f"{coverage[1]:.1%} of the target's steps drafted, decoding at "
        f"{case.decode_speedup or span[1]:.3g} times the plain speed",
        (
            "a schedule with K = 0 that keeps the drafter's path (no full graph, steps in turn)",
            "a look-up that seldom matches and searches every time",
        ),
        "vllm-project/vllm issue 49548",
    )
