r"""The best number of draft tokens for any acceptance law with any cost law.

    S(gamma) = E[N] C(0) / C(gamma)
    draft one more token  iff  s_{gamma+1} > (C(gamma+1) - C(gamma)) / C(0) * S(gamma)

Where the cost rises by non-decreasing increments from the first draft token on, the first gamma at
which the rule fails is the best gamma >= 1, and under independent acceptance with equal increments
the closed form of `optimum` gives it. Elsewhere (tiles, graphs, mixture of experts) S has several
local maxima, and every gamma is tried. The answer says which of the three was used.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from ..acceptance.law import AcceptanceLaw, GammaDependentLaw, tokens_by_gamma
from ..domain import Floats, check
from ..formula import Number, equation
from ..optimum import best_gamma
from ..rounds import geometric, geometric_sum
from .law import CostLaw

Method = Literal["closed form", "rule", "scan"]
_EQUAL = 1e-9  # differences below this share of a round's time are rounding, not shape


@equation(r"\theta_\gamma", group="optimum", alpha=0.8, gamma=5, slope=0.05)
def draft_threshold(alpha: Number, gamma: Number, slope: Number) -> Number:
    """Survival s_{gamma+1} above which one more draft token raises the speed-up.

    The marginal cost of the token times the speed-up so far. At gamma = 0 it is the reduced cost
    itself, so speculation helps iff alpha > c'.

    Assumes: independent acceptance, affine costs in units of (1 + overhead) steps.
    Wrong when: a later token would make up for this one (costs that are not convex).
    Source: derived here from S(gamma + 1) > S(gamma).
    Returns: to compare with alpha^(gamma + 1).
    """
    return slope * geometric(alpha, gamma + 1) / (1 + slope * gamma)


@dataclass(frozen=True)
class Choice:
    """The best gamma, and what the other gammas give. Shapes are those of the laws, (*shape,).

    gamma: best whole gamma, 0 for plain decoding; the smallest of equals.
    speedup: speed-up over plain decoding at the best gamma; tokens: tokens per round there.
    by_gamma: speed-up at 0..gamma_max, (*shape, gamma_max + 1).
    window_low, window_high: ends of the run of gammas around the best one that lose no more than
    ``tolerance`` of its speed-up.
    peaks: whether each gamma is a local maximum of by_gamma, (*shape, gamma_max + 1).
    convex: whether the increments of the cost do not decrease from gamma = 1 on.
    method: "closed form" or "rule" where their conditions hold for all draws, else "scan".
    """

    gamma: NDArray[np.int64]
    speedup: Floats
    tokens: Floats
    by_gamma: Floats
    window_low: NDArray[np.int64]
    window_high: NDArray[np.int64]
    peaks: NDArray[np.bool_]
    convex: NDArray[np.bool_]
    method: Method
    tolerance: float

    @property
    def several_peaks(self) -> NDArray[np.bool_]:
        """Where the speed-up has more than one local maximum."""
        return np.asarray(self.peaks.sum(axis=-1) > 1)


def choose_gamma(
    acceptance: AcceptanceLaw,
    cost: CostLaw,
    *,
    gamma_max: int = 32,
    batch: float = 1,
    context: float = 0,
    tolerance: float = 0.01,
) -> Choice:
    """The gamma in 0..gamma_max with the largest speed-up at a batch and a context.

    acceptance, cost: laws whose shapes broadcast (posterior samples pair up draw by draw).
    gamma_max: whole number >= 1; tolerance: share of the speed-up that the window may lose, in
    [0, 1). Raises ValueError outside the ranges, or where a cost law gives times that are not
    positive.
    """
    whole = int(check("gamma", gamma_max, label="gamma_max", whole=True))
    if whole < 1:
        raise ValueError(f"gamma_max must be an integer >= 1, got {gamma_max}")
    if not 0.0 <= tolerance < 1.0:
        raise ValueError(f"tolerance must be in [0, 1), got {tolerance}")
    tokens, times = np.broadcast_arrays(
        tokens_by_gamma(acceptance, whole), cost.round_time(whole, batch=batch, context=context)
    )
    if not (np.isfinite(times) & (times > 0.0)).all():
        raise ValueError("times of a cost law must be in (0, inf)")
    by_gamma = tokens * times[..., :1] / times
    convex = increments_rise(times)
    best = np.asarray(by_gamma.argmax(axis=-1))
    method: Method = "scan"
    if convex.all() and not isinstance(acceptance, GammaDependentLaw):
        survival = np.broadcast_to(acceptance.survival(whole), times.shape)
        best, method = _by_shape(survival, times)
    low, high = flat_window(by_gamma, best, tolerance=tolerance)
    return Choice(
        gamma=best,
        speedup=_at(by_gamma, best),
        tokens=_at(tokens, best),
        by_gamma=by_gamma,
        window_low=low,
        window_high=high,
        peaks=local_maxima(by_gamma),
        convex=convex,
        method=method,
        tolerance=tolerance,
    )


def _at(values: Floats, index: NDArray[np.int64]) -> Floats:
    return np.asarray(np.take_along_axis(values, index[..., None], axis=-1)[..., 0])


def increments_rise(times: Floats) -> NDArray[np.bool_]:
    """Whether C(gamma + 1) - C(gamma) does not fall over gamma = 1, 2, ... along the last axis.

    The step from plain decoding to gamma = 1 is left out: a cost paid only when speculating makes
    it large, and comparing with plain decoding at the end allows for that.
    """
    bend = np.diff(times[..., 1:], n=2, axis=-1)
    return np.asarray((bend >= -_EQUAL * times[..., 1:2]).all(axis=-1))


def _by_shape(survival: Floats, times: Floats) -> tuple[NDArray[np.int64], Method]:
    """The best gamma where the increments of the cost rise for all draws."""
    bends = np.abs(np.diff(times[..., 1:], n=2, axis=-1))
    affine = bool((bends <= _EQUAL * times[..., 1:2]).all())
    powers = survival[..., 1:2] ** np.arange(survival.shape[-1])
    # The closed form needs the straight line through the rounds to start above zero.
    affine &= bool((2.0 * times[..., 1] > times[..., 2]).all()) if times.shape[-1] > 2 else True
    if affine and bool(np.allclose(survival, powers, rtol=1e-12, atol=0.0)):
        return _closed_form(survival[..., 1], times), "closed form"
    return first_failure(survival, times), "rule"


def _closed_form(alpha: Floats, times: Floats) -> NDArray[np.int64]:
    """`best_gamma` of the affine law through the times at 0, 1 and the last gamma."""
    top = times.shape[-1] - 1
    first, last = times[..., 1], times[..., -1]
    # All of the first step is overhead when there is only one gamma to try.
    per_token = np.maximum((last - first) / (top - 1), 0.0) if top > 1 else np.zeros_like(first)
    # The reduced cost decides among gamma >= 1, whatever the first step holds beyond it; plain
    # decoding is compared on its own below.
    g = np.asarray(best_gamma(alpha, per_token / (first - per_token), gamma_max=top))
    g = np.maximum(g, 1)
    tokens = geometric_sum(alpha, g + 1.0)
    return np.where(tokens * times[..., 0] > _at(times, g), g, 0)


def first_failure(survival: Floats, times: Floats) -> NDArray[np.int64]:
    """The first gamma >= 1 at which one more token does not pay, or 0 if plain decoding is as good.

    survival: s_0..s_g; times: C(0)..C(g), same shape, g >= 1. The largest speed-up when the
    increments of the cost rise (see `increments_rise`); otherwise possibly only a local maximum.
    """
    tokens = np.cumsum(survival, axis=-1)
    gain = survival[..., 2:] * times[..., 1:-1]
    pays = gain > np.diff(times, axis=-1)[..., 1:] * tokens[..., 1:-1]
    stop = np.concatenate([~pays, np.ones((*pays.shape[:-1], 1), bool)], axis=-1)
    first = stop.argmax(axis=-1) + 1
    return np.where(_at(tokens, first) * times[..., 0] > _at(times, first), first, 0)


def local_maxima(by_gamma: Floats) -> NDArray[np.bool_]:
    """Which gammas are above both neighbours; of a run of equals the first, along the last axis."""
    level = _EQUAL * by_gamma.max(axis=-1, keepdims=True)
    end = np.zeros((*by_gamma.shape[:-1], 1), bool)
    rises = np.diff(by_gamma, axis=-1) > level
    falls = np.diff(by_gamma, axis=-1) < -level
    came_up = np.concatenate([~end, rises], axis=-1)
    # A plateau counts once, at its start, if what follows it is a fall or the end.
    follows = np.concatenate([falls, ~end], axis=-1)
    for k in range(by_gamma.shape[-1] - 2, -1, -1):
        flat = ~rises[..., k] & ~falls[..., k]
        follows[..., k] |= flat & follows[..., k + 1]
    return np.asarray(came_up & follows)


def flat_window(
    by_gamma: Floats, best: NDArray[np.int64], *, tolerance: float
) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """Ends of the run of gammas around ``best`` with at least (1 - tolerance) of its speed-up."""
    good = by_gamma >= (1.0 - tolerance) * _at(by_gamma, best)[..., None]
    index = np.arange(by_gamma.shape[-1])
    bad_below = np.where(~good & (index < best[..., None]), index, -1).max(axis=-1)
    bad_above = np.where(~good & (index > best[..., None]), index, index.size).min(axis=-1)
    return np.asarray(bad_below + 1), np.asarray(bad_above - 1)
