"""Choosing gamma without knowing everything: from a sample of the unknowns, or in closed form.

`decide` takes speed-ups of draws x gammas and one of three objectives; `value_of_knowing` and
`value_of_measuring` say what there is to gain, `expected_after` what a measurement leaves.
`small` has the same for small variances.
"""

from __future__ import annotations

from .ahead import Ahead, at_hand, expected_after
from .samples import (
    OBJECTIVES,
    Decision,
    Objective,
    decide,
    score,
    value_of_knowing,
    value_of_measuring,
)
from .small import (
    decided_tokens_value,
    measurement_value,
    optima_gap,
    timed_point_value,
    unknown_alpha_regret,
)

__all__ = [
    "OBJECTIVES",
    "Ahead",
    "Decision",
    "Objective",
    "at_hand",
    "decide",
    "decided_tokens_value",
    "expected_after",
    "measurement_value",
    "optima_gap",
    "score",
    "timed_point_value",
    "unknown_alpha_regret",
    "value_of_knowing",
    "value_of_measuring",
]
