"""Acceptance that collapses after a position: a head used beyond what it was trained for.

Source: vllm-project/vllm pull request 34552 (MTP with more than one token), where a head trained
for one token drafts several; NVIDIA/Model-Optimizer pull request 2247 (0.85, then 0.30).
"""

from __future__ import annotations

from .case import Case, Finding, share_bounds

_FALL, _LEAST, _TRIED = 0.4, 0.3, 100.0


def collapses(case: Case) -> Finding | None:
    """A conditional rate below 40 % of the one before it, of positions tried 100 times and more."""
    counts = case.counts
    found = None if counts is None or not counts.accepted_is_prefix else counts.position_counts()
    if found is None:
        return None
    tried, kept = found
    for k in range(1, kept.size):
        if tried[k] < _TRIED or not tried[k - 1]:
            return None
        before, now = kept[k - 1] / tried[k - 1], kept[k] / tried[k]
        if before >= _LEAST and share_bounds(kept[k], tried[k])[1] < _FALL * before:
            return Finding(
                "collapse",
                f"acceptance collapses after position {k}",
                f"{before:.1%} of the tokens tried at position {k} are accepted, {now:.1%} at "
                f"position {k + 1}",
                (
                    f"a head that was trained for {k} token{'s' if k > 1 else ''} drafts more: "
                    f"set {k}",
                    "the state of the draft is not updated between its steps",
                    "positions or masks of the second step are wrong",
                ),
                "vllm-project/vllm pull request 34552",
            )
    return None
