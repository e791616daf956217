"""Acceptance that depends on the replica: one of several engines drafts worse than its twins.

Source: ggml-org/llama.cpp issue 26750 (one draft on two devices: 41 % accepted, and 92 %); metrics
by engine are those of vllm-project/vllm pull request 24049.
"""

from __future__ import annotations

import math
import re

from ..counts import Group
from .case import Case, Finding

_ROUNDS, _APART, _Z = 200, 0.15, 6.0
# Rounds of one request are alike: the variance of a mean over requests is some times larger.
_DESIGN = 10.0
_REPLICA = re.compile(r"\b(engine|instance|pod|dp_rank|engine_id|replica|endpoint_url)=")


def replicas_differ(case: Case) -> Finding | None:
    """Acceptance lengths of two replicas further apart than 15 % and than their scatter."""
    counts = case.counts
    if counts is None or not counts.format.endswith("prometheus"):
        return None
    parts = [
        g for g in counts.groups if g.rounds and g.rounds >= _ROUNDS and g.accepted is not None
    ]
    parts = [g for g in parts if _REPLICA.search(g.label)]
    alike = {re.sub(r"(engine|instance|pod|dp_rank|engine_id|replica|endpoint_url)=[^,]*,? ?", "",
                    g.label) for g in parts}  # fmt: skip
    if len(parts) < 2 or len(alike) != 1:
        return None
    worst, best = (pick(parts, key=_mean) for pick in (min, max))
    gap = _mean(best) - _mean(worst)
    error = math.sqrt(_DESIGN * (_variance(best) + _variance(worst)))
    if gap < _APART * (1.0 + _mean(best)) or gap < _Z * error:
        return None
    return Finding(
        "replicas",
        "acceptance depends on the replica",
        f"{1 + _mean(worst):.3f} tokens a round at {worst.label}, {1 + _mean(best):.3f} at "
        f"{best.label}",
        (
            "replicas with other weights, builds or settings of the draft",
            "a router that sends them other work",
            "a drafter that is broken on one device",
        ),
        "ggml-org/llama.cpp issue 26750",
    )


def _mean(group: Group) -> float:
    return (group.accepted or 0) / (group.rounds or 1)


def _variance(group: Group) -> float:
    """Of a mean of geometric counts with the same mean."""
    mean = _mean(group)
    return mean * (1.0 + mean) / (group.rounds or 1)
