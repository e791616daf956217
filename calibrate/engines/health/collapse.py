"""Acceptance that collapses after a position: a head used beyond what it was trained for.

Source: AEON-7/Qwen3.6-27B-AEON-Ultimate-Uncensored-DFlash issue 6 (0.062 at position 5, none after
it, and 0.242, 0.030, none): sliding-window layers of the draft run as full attention, mended in
vllm-project/vllm pull request 40898. A head that is applied more often than it was trained for
(issue 52688 there) falls as well, less steeply.
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
                    "layers of the draft with another attention than they were trained with",
                    "the state of the draft is not updated between its steps",
                    "positions or masks of the second step are wrong",
                ),
                "vllm-project/vllm pull request 40898",
            )
    return None
