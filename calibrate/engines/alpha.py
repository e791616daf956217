r"""Interval of alpha from imported statistics, if one alpha holds for every draft token.

Counts by position, A accepted tokens and R rounds that ended with a rejected one, are Bernoulli
trials:
    low = B^-1(q; A, R + 1),  high = B^-1(1 - q; A + 1, R),  q = (1 - level) / 2
the interval of Clopper and Pearson, whose coverage is at least the level. R = rounds x (1 - share
of the last position); where shares are printed, it is known to their digits only, and the interval
runs from the low end of the most R to the high end of the least.

The sum alone (A of n rounds of gamma tokens, no shares) is a sum of n truncated geometric numbers:
    (|A - n m(alpha)| - 1/2)^2 = z^2 n v(alpha)
m, v: mean and variance of one round; the half is the continuity correction.

A mean length over k intervals has Student's interval with k - 1 degrees of freedom.
Source: Clopper and Pearson 1934, Biometrika 26; the bounds by digits are derived here.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
from scipy.special import betaincinv, ndtri, stdtrit

from ...theory.domain import bisect
from ...theory.interval import check_level
from .counted import Counted
from .numbers import MOST_POSITIONS

if TYPE_CHECKING:
    from ..tokens import AcceptanceFit


@dataclass(frozen=True)
class AlphaInterval:
    """Estimate and interval of alpha, each in [0, 1]; basis: what of the source they rest on."""

    estimate: float
    low: float
    high: float
    level: float
    basis: str


def alpha_interval(counts: Counted, *, level: float = 0.95) -> AlphaInterval:
    """The interval that holds alpha with probability ``level``, in (0, 1), if rounds are alike.

    Rounds count as independent with one alpha: where requests differ, it is too narrow.
    Raises ValueError where the source determines no interval.
    """
    check_level(level)
    for basis in (_by_position, _by_sum, _by_scatter):
        found = basis(counts, 0.5 * (1.0 - level))
        if found is not None:
            estimate, low, high, name = found
            low, high = min(low, estimate), max(high, estimate)
            return AlphaInterval(estimate, low, high, level, name)
    raise ValueError(
        f"{counts.format}: an interval of alpha needs accepted tokens by position, or rounds and "
        "accepted tokens with a fixed gamma, or several intervals with gamma; the source "
        "determines none of them"
    )


def interval_or_none(counts: Counted) -> dict[str, Any] | None:
    """`alpha_interval` at 95 % as plain values, None where the source determines none."""
    try:
        return asdict(alpha_interval(counts))
    except ValueError:
        return None


_Found = tuple[float, float, float, str] | None


def _by_position(counts: Counted, tail: float) -> _Found:
    """From accepted and rejected tokens, exact or to the printed digits."""
    bounds = _rejections(counts)
    if bounds is None or counts.accepted is None or not counts.accepted_is_prefix:
        return None
    accepted, (least, most) = counts.accepted, bounds
    if not accepted + most > 0:
        return None
    low = betaincinv(accepted, most + 1.0, tail) if accepted else 0.0
    high = betaincinv(accepted + 1.0, least, 1.0 - tail) if least > 0.0 else 1.0
    basis = "counts by position" if least == most else "shares by position, to their digits"
    return accepted / (accepted + 0.5 * (least + most)), float(low), float(high), basis


def _rejections(counts: Counted) -> tuple[float, float] | None:
    """Fewest and most rounds that ended with a rejected token; None where they are not bounded.

    Rounds that drafted less than gamma end without one where all they drafted was accepted; there
    are at most gamma x rounds - drafted of them.
    """
    survival, gamma, drafted = counts.survival, counts.gamma, counts.drafted
    if counts.tried is not None and counts.per_position_accepted is not None:
        exact = float(sum(counts.tried) - sum(counts.per_position_accepted))
        return exact, exact
    rounds = counts.rounds_range if counts.rounds is None else (counts.rounds, counts.rounds)
    if rounds is None or gamma is None or drafted is None:
        return None
    if not survival or len(survival) != gamma:
        return None
    half = counts.survival_half_width or 0.0
    short = max(gamma * rounds[1] - drafted, 0)
    least = rounds[1] * (1.0 - survival[-1] - half) - short
    return max(least, 0.0), rounds[1] * min(1.0 - survival[-1] + half, 1.0)


def _by_sum(counts: Counted, tail: float) -> _Found:
    """From the accepted tokens of so many rounds of one gamma."""
    rounds, gamma, accepted = counts.rounds, counts.gamma, counts.accepted
    if not rounds or not gamma or not counts.fixed_gamma or gamma > MOST_POSITIONS:
        return None
    if not counts.accepted_is_prefix:
        accepted = None
        if counts.acceptance_length is not None:
            accepted = round((counts.acceptance_length - 1.0) * rounds)
    if accepted is None:
        return None
    z = float(ndtri(1.0 - tail))

    def outside(alpha: float, side: float) -> float:
        mean, variance = _round(alpha, gamma)
        return side * (accepted - rounds * mean) - 0.5 - z * math.sqrt(rounds * variance)

    estimate = _alpha_of(accepted / rounds, gamma)
    low = _root(lambda a: -outside(a, 1.0), 0.0, estimate)
    high = _root(lambda a: outside(a, -1.0), estimate, 1.0)
    return estimate, low, high, "accepted tokens of all rounds"


def _round(alpha: float, gamma: int) -> tuple[float, float]:
    """Mean and variance of the accepted tokens of one round."""
    survival = alpha ** np.arange(1.0, gamma + 1.0)
    mean = float(survival.sum())
    square = float(((2.0 * np.arange(1.0, gamma + 1.0) - 1.0) * survival).sum())
    return mean, max(square - mean * mean, 0.0)


def _alpha_of(accepted: float, gamma: int) -> float:
    """The alpha of so many accepted tokens a round, in [0, gamma]."""
    if accepted >= gamma:
        return 1.0
    return _root(lambda a: _round(a, gamma)[0] - accepted, 0.0, 1.0) if accepted > 0.0 else 0.0


def _root(rising: Callable[[float], float], low: float, high: float) -> float:
    """Where a function that rises through 0 in [low, high] does so; an end where it does not."""
    ends = bisect(lambda x: np.asarray(rising(float(x)) > 0.0), low, high)
    return float(0.5 * sum(ends))


def _by_scatter(counts: Counted, tail: float) -> _Found:
    """From the scatter of an acceptance length between intervals."""
    length, gamma = counts.acceptance_length, counts.gamma
    if length is None or gamma is None or counts.length_error is None:
        return None
    if not counts.intervals or counts.intervals < 2:
        return None
    if length > gamma + 1.0 or gamma > MOST_POSITIONS:
        return None
    reach = counts.length_error * float(stdtrit(counts.intervals - 1, 1.0 - tail))
    ends = np.clip([length, length - reach, length + reach], 1.0, gamma + 1.0)
    estimate, low, high = (_alpha_of(float(e) - 1.0, gamma) for e in ends)
    return estimate, low, high, f"scatter of the length between {counts.intervals} intervals"


def fit_engine_counts(
    counts: Counted, rng: np.random.Generator, *, draws: int = 2000
) -> AcceptanceFit:
    """Fit (alpha, decay) to counts by position where they are known, else to the mean length.

    Raises ValueError where the source determines neither.
    """
    from ..tokens import fit_counts, fit_tokens  # the fits are many and only needed here

    positions = counts.position_counts()
    if positions is not None:
        tried, kept = positions
        reached = max(1, int((tried > 0).sum()))
        # Whole where the counts are known; a share times the rounds keeps the printed rounding.
        kept = np.minimum(kept, tried)
        return fit_counts(tried[:reached].tolist(), kept[:reached].tolist(), rng, draws=draws)
    if counts.gamma and counts.acceptance_length is not None:
        if counts.acceptance_length > counts.gamma + 1.0:
            raise ValueError(
                f"acceptance length must be in [1, gamma + 1 = {counts.gamma + 1}], got "
                f"{counts.acceptance_length:g}"
            )
        return fit_tokens([counts.gamma], [counts.acceptance_length], rng, draws=draws)
    raise ValueError(
        f"{counts.format}: alpha needs counts by position, or an acceptance length and gamma; "
        f"the source determines neither"
    )
