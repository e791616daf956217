r"""Published numbers of acceptance turned into the one that the prior speaks of, and back.

The prior's alpha is the conditional rate pooled over a round: accepted draft tokens over those
whose fate was decided; what goes on inside a round is in `acceptance_forecast`.

| metric | back to alpha |
|---|---|
| `alpha_conditional`, `overlap`, `argmax_agreement` | itself |
| `accepted_over_drafted` = A / gamma, `tau_with_bonus` = 1 + A | with gamma, else unsure |
| `first_position` = alpha_1, `survival_K` = s_K | with the rise |
| any but the first row for a tree or a varying number of draft tokens | not convertible |

An overlap at temperature 0 is the agreement of the two most probable tokens. It averages over all
tokens of the text, and so does the pooled rate of rounds, which try every token but the bonus.
"""

from __future__ import annotations

import re

import numpy as np
from numpy.typing import ArrayLike

from ...theory.domain import Floats
from .acceptance_forecast import FIRST, POOLED_GAMMA, RISE, first_alpha, law_of, pooled_alpha

UNSTATED_GAMMAS = (3, 4, 5, 6, 8)  # what engines and papers draft where they do not say
SAME = ("alpha_conditional", "overlap", "argmax_agreement")
LENGTHS = ("accepted_over_drafted", "tau_with_bonus")


def convertible(metric: str, drafting: str = "chain") -> bool:
    """Whether a number of this metric determines the pooled alpha."""
    if drafting in ("tree", "adaptive"):
        return metric in SAME
    return metric in (*SAME, *LENGTHS, "first_position") or _position(metric) > 0


def metric_value(
    metric: str, alpha: ArrayLike, gamma: int | None, *, rise: ArrayLike = RISE
) -> Floats:
    """The number that rounds of pooled rate alpha give in this metric; shapes broadcast.

    gamma: None where the source does not state it, for the mean over the usual ones.
    Raises ValueError for a metric that alpha does not determine.
    """
    a = np.asarray(alpha, dtype=float)
    if metric in SAME:
        return a
    gammas = _gammas(metric, gamma)
    return np.asarray(
        np.mean([_of_first(metric, first_alpha(a, g, rise=rise), g, rise) for g in gammas], axis=0)
    )


def alpha_from_metric(
    metric: str, value: float, gamma: int | None, *, rise: float = RISE
) -> tuple[float, float]:
    """(alpha, its standard error from an unstated gamma) behind a published number.

    Raises ValueError where the number is outside the metric's range or does not determine alpha.
    """
    found = []
    for g in _gammas(metric, gamma):
        alpha = FIRST if metric in SAME else pooled_alpha(FIRST, g, rise=rise)
        curve = FIRST if metric in SAME else _of_first(metric, FIRST, g, rise)
        if not curve[0] <= value <= curve[-1]:
            raise ValueError(f"{metric} must be in [{curve[0]:g}, {curve[-1]:g}], got {value:g}")
        found.append(float(np.interp(value, curve, alpha)))
    return float(np.mean(found)), float(np.std(found))


def _gammas(metric: str, gamma: int | None) -> tuple[int, ...]:
    if not convertible(metric):
        known = ", ".join((*SAME, *LENGTHS, "first_position", "survival_K"))
        raise ValueError(f"metric must be one of {known}, got {metric!r}")
    if metric in LENGTHS and gamma is None:
        return UNSTATED_GAMMAS
    return (max(gamma or POOLED_GAMMA, _position(metric)),)


def _of_first(metric: str, first: ArrayLike, gamma: int, rise: ArrayLike) -> Floats:
    s = law_of(first, rise).survival(gamma)
    accepted = np.asarray(s[..., 1:].sum(axis=-1))
    if metric == "accepted_over_drafted":
        return accepted / gamma
    if metric == "tau_with_bonus":
        return 1.0 + accepted
    return np.asarray(s[..., _position(metric) or 1])


def _position(metric: str) -> int:
    """K of ``survival_K``, 0 for other metrics."""
    match = re.fullmatch(r"survival_([1-9]\d{0,2})", metric)
    return int(match[1]) if match else 0
