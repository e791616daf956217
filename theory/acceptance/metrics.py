r"""The numbers that engines and papers call acceptance, and what converts them.

    conditional rate   alpha_k    k-th draft token accepted, given that all before it were
    survival           s_k        first k draft tokens all accepted (engines log it per position)
    drafted rate       m          accepted / drafted, all positions together
    accepted per round A          accepted draft tokens of a round, without the bonus token
    acceptance length  tau        tokens of a round with the bonus token; the block efficiency E[N]

    alpha_k = s_k / s_{k-1},   A = sum of s_k = gamma m,   tau = 1 + A

A rate and a length are determined by the survival. The way back to one alpha needs independent
acceptance, and says so in its name. The drafted rate is not alpha: at fixed alpha it falls as
gamma grows.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import ArrayLike

from ..domain import Floats, as_floats, bisect, check, check_least, unwrap
from ..formula import Number, equation
from ..rounds import geometric, geometric_sum


@equation("m", group="metrics", least={"gamma": 1}, alpha=0.8, gamma=5)
def drafted_rate(alpha: Number, gamma: Number) -> Number:
    """Accepted draft tokens per drafted token under independent acceptance; falls with gamma.

    Assumes: one acceptance probability, independent positions, gamma >= 1 in every round.
    Wrong when: acceptance depends on depth, or rounds draft different numbers of tokens.
    Source: derived here, as (E[N] - 1) / gamma with E[N] of arXiv:2211.17192v2, equation 1.
    Returns: in [0, alpha].
    """
    return alpha * geometric(alpha, gamma) / gamma


@equation(r"\tau", group="metrics", least={"gamma": 1}, drafted_rate=0.5, gamma=5)
def acceptance_length(drafted_rate: Number, gamma: Number) -> Number:
    """Tokens per round, the bonus token included, from accepted / drafted; true of any acceptance.

    Assumes: every round drafts gamma tokens and yields one bonus or corrected token.
    Wrong when: some rounds draft fewer (end of a request, no match found), or the engine counts
    the bonus token as drafted.
    Source: derived here by counting tokens.
    Returns: tokens per round with the bonus token.
    """
    return 1 + gamma * drafted_rate


def _drafting(gamma: ArrayLike) -> Floats:
    return check_least("gamma", check("gamma", gamma), 1.0)


def _inside(name: str, value: ArrayLike, low: Floats | float, high: Floats | float) -> Floats:
    """``value`` as float64, or ValueError where it is outside [low, high] or NaN."""
    values = as_floats(name, value)
    bad = ~((values >= low) & (values <= high))
    if bad.any():
        values, lows, highs = np.broadcast_arrays(values, low, high)
        where = np.unravel_index(int(np.argmax(bad)), bad.shape)
        raise ValueError(
            f"{name} must be in [{lows[where]:g}, {highs[where]:g}], got {values[where]:.12g}"
        )
    return values


def alpha_from_drafted_rate(drafted_rate: ArrayLike, gamma: ArrayLike) -> Any:
    """The alpha whose drafted rate at gamma is the given one, if acceptance is independent.

    drafted_rate: in [0, 1]; gamma: >= 1 [token]. Shapes broadcast; returns values in [0, 1].
    Raises ValueError outside the ranges.
    """
    g = _drafting(gamma)
    return unwrap(_alpha_from_accepted(check("drafted_rate", drafted_rate) * g, g))


def alpha_from_length(length: ArrayLike, gamma: ArrayLike) -> Any:
    """The alpha whose acceptance length at gamma is the given one, if acceptance is independent.

    length: tokens per round with the bonus token, in [1, gamma + 1] [token]; gamma: >= 1 [token].
    Shapes broadcast; returns values in [0, 1]. Raises ValueError outside the ranges.
    """
    g = _drafting(gamma)
    return unwrap(_alpha_from_accepted(_inside("length", length, 1.0, g + 1.0) - 1.0, g))


def _alpha_from_accepted(accepted: Floats, gamma: Floats) -> Floats:
    """Solve alpha (1 - alpha^gamma) / (1 - alpha) = accepted, with 0 <= accepted <= gamma.

    The left side rises strictly in alpha, and alpha <= left side <= gamma alpha, so the root lies
    in [accepted / gamma, min(accepted, 1)]. Bisection of that bracket reaches the last digit also
    for small roots; d ln(left) / d ln(alpha) >= 1, so no digit is lost in the inverse.
    """
    low = accepted / gamma
    low, high = bisect(
        lambda a: a * geometric_sum(a, gamma) >= accepted, low,
        np.minimum(accepted, 1.0) + 0.0 * low, halvings=80,
    )  # fmt: skip
    return np.asarray(0.5 * (low + high))


@dataclass(frozen=True, eq=False)
class ConditionalRates:
    """alpha_1..alpha_gamma on the last axis: token k accepted, given that all before it were.

    values: in [0, 1], shape (..., gamma). Raises ValueError outside that range.
    """

    values: Floats

    def __post_init__(self) -> None:
        object.__setattr__(self, "values", _positions("conditional rate", self.values))

    @property
    def gamma(self) -> int:
        """Draft tokens per round."""
        return int(self.values.shape[-1])

    def survival(self) -> Survival:
        """s_k, the running product of the conditional rates."""
        return Survival(np.asarray(np.cumprod(self.values, axis=-1), np.float64))


@dataclass(frozen=True, eq=False)
class Survival:
    """s_1..s_gamma on the last axis: the first k draft tokens were all accepted.

    It is what engines log as acceptance per position. values: in [0, 1], shape (..., gamma),
    non-increasing along it. Raises ValueError otherwise: a rise with position cannot be a
    survival, and points to a log that holds conditional rates or counts of different rounds.
    """

    values: Floats

    def __post_init__(self) -> None:
        s = _positions("survival", self.values)
        rising = np.diff(s, axis=-1) > 0.0
        if rising.any():
            where = np.unravel_index(int(np.argmax(rising)), rising.shape)
            after = (*where[:-1], where[-1] + 1)
            raise ValueError(
                f"survival must not rise with position, got {s[after]:g} at position "
                f"{where[-1] + 2} after {s[where]:g}; conditional rates are another metric"
            )
        object.__setattr__(self, "values", s)

    @property
    def gamma(self) -> int:
        """Draft tokens per round."""
        return int(self.values.shape[-1])

    def conditional(self) -> ConditionalRates:
        """alpha_k = s_k / s_{k-1}; 0 at positions that are never reached."""
        before = np.concatenate(
            [np.ones((*self.values.shape[:-1], 1)), self.values[..., :-1]], axis=-1
        )
        zero = np.zeros_like(before)
        return ConditionalRates(np.divide(self.values, before, out=zero, where=before > 0.0))


def _positions(name: str, values: ArrayLike) -> Floats:
    array = _inside(name, values, 0.0, 1.0)
    if array.ndim == 0 or array.shape[-1] == 0:
        raise ValueError(f"{name} must have one value per position, got shape {array.shape}")
    return array
