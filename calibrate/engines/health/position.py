"""Nothing accepted at position 1: the drafter does not work at all.

Source: vllm-project/vllm issue 6768 (42,272 draft tokens of Medusa, none accepted) and issue 55605
(MTP at most 2.4 % at position 1 on repetitive text, where a working head has 60 to 80 %).
"""

from __future__ import annotations

from .case import Case, Finding, share_bounds

_WORKING = 0.05  # a drafter that works at all is accepted more often at its first token
_TOKENS = 200


def nothing_accepted(case: Case) -> Finding | None:
    """Fewer than 5 % accepted at position 1, whatever the luck of the draw."""
    counts = case.counts
    if counts is None or counts.drafted is None or counts.drafted < _TOKENS:
        return None
    rounds = counts.rounds or (counts.rounds_range or (0, 0))[0]
    if counts.accepted == 0:
        hits, trials = 0.0, float(rounds or counts.drafted)
    elif rounds and counts.survival and counts.accepted_is_prefix:
        hits, trials = counts.survival[0] * rounds, float(rounds)
    else:
        return None
    if share_bounds(hits, trials)[1] >= _WORKING:
        return None
    share = "nothing" if hits == 0 else f"{hits / trials:.1%}"
    return Finding(
        "position-1",
        f"the drafter does not work: {share} accepted at position 1",
        f"{counts.drafted} draft tokens, {counts.accepted} accepted",
        (
            "a head or draft of another target or revision",
            "another vocabulary or chat template",
            "hidden states of the wrong layers, or weights that were not loaded",
            "a kernel or quantisation that breaks the drafter",
        ),
        "vllm-project/vllm issues 6768 and 55605",
    )
