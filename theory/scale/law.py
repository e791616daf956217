r"""How small a draft: the turning point of the speed-up in the size of the draft.

    1 - alpha(s) = d + A s^{-beta},   c(s) = c_0 + c_1 s

s is the draft's size as a share of the target's. A smaller draft is cheaper and is rejected more
often. If ln(1 - alpha) and ln of the round's cost are convex in ln s, ln S is concave in ln s at
every fixed gamma, so there is exactly one turning point; both laws above satisfy this. With whole
gamma chosen anew at every size the best speed-up is the largest of such curves, and can have two
local maxima: with d = .1606, A = .1394, beta = .1445, c_0 = 0, c_1 = .4788 they are 0.02 % apart.
Where their gammas are neighbours, `neighbour_loss` bounds the gap; among 3,000 random laws 131 had
two, all of them at neighbouring gammas and at most 0.19 % apart.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from ..domain import Floats, Parameters, bisect, check, check_gamma_max, check_least, unwrap
from ..either import demand, probability, share
from ..formula import Number, equation, symbolic
from ..rounds import geometric_sum, tokens_per_round


@equation(r"\alpha(s)", group="draft scale", scale=0.05, rejection_floor=0.05,
          rejection_coefficient=0.1, rejection_exponent=0.25)  # fmt: skip
def acceptance_at_scale(scale: Number, rejection_floor: Number, rejection_coefficient: Number,
                        rejection_exponent: Number) -> Number:  # fmt: skip
    """Acceptance probability of a draft of relative size s; rejection is a power law on a floor.

    Assumes: one family of drafts that differ in size only; the law is used where it gives [0, 1].
    Wrong when: training data, distillation or depth differ along the ladder, or s nears 1.
    Source: the form of loss scaling laws (arXiv:2203.15556) carried over to rejection; the
    exponent is fitted, not taken from there.
    Returns: NaN where the law leaves [0, 1]; it is not clipped.
    """
    return probability(1 - rejection_floor - rejection_coefficient * scale**-rejection_exponent)


@equation("c(s)", group="draft scale", scale=0.05, cost_floor=0.02, cost_slope=1.0)
def cost_at_scale(scale: Number, cost_floor: Number, cost_slope: Number) -> Number:
    """Draft step time of a draft of relative size s: a latency floor and a part in its size.

    Assumes: one device and one software stack for the whole ladder.
    Wrong when: depth varies along the ladder, since launches, not bytes, then set the floor.
    Source: derived here; c_0 = 0 is the cost law of arXiv:2603.11053.
    """
    return cost_floor + cost_slope * scale


@equation("1 - r", group="draft scale", broadcast=True, alpha=0.8, gamma=5)
def rejection_sensitivity(alpha: Number, gamma: Number) -> Number:
    """-d ln E[N] / d ln(1 - alpha): how much of a relative fall in rejection reaches the tokens.

    1 - (gamma + 1) / (sum of alpha^-j for j = 0..gamma), written with alpha^gamma multiplied
    through. It falls in alpha, from 1 at alpha = 0 to 0 at alpha = 1.

    Assumes: independent acceptance, gamma held fixed.
    Wrong when: gamma is changed together with the draft.
    Source: derived here by differentiating E[N].
    Returns: in [0, 1]; 0 at alpha = 1 and at gamma = 0. Near alpha = 1 the difference cancels, and
    its expansion in 1 - alpha is summed instead.
    """
    if symbolic(alpha, gamma):
        return 1 - (gamma + 1) * alpha**gamma / tokens_per_round(alpha, gamma)
    a, g = alpha, gamma
    total = geometric_sum(a, g + 1.0)
    direct = 1.0 - (g + 1.0) * np.power(a, g) / total
    q = 1.0 - a
    near = g * q < 0.05
    if near.any():
        direct = np.where(near, _sensitivity_near_one(np.where(near, q, 0.0), g) / total, direct)
    return np.where(g == 0.0, 0.0, direct)


@equation(r"\mathrm{share}", group="draft scale", alpha=0.8, gamma=5, rejection_exponent=0.25,
          rejection_floor=0.05)  # fmt: skip
def drafting_share(
    alpha: Number, gamma: Number, rejection_exponent: Number, rejection_floor: Number = 0.0
) -> Number:
    """Share of a round that goes into the size of the draft, when the size is the best one.

    gamma c_1 s / (round cost) = beta (1 - d / (1 - alpha)) (1 - r): never more than beta. A round
    that spends more on it has too large a draft, one that spends less too small a draft.

    Assumes: an interior optimum, gamma held fixed.
    Wrong when: the best size is bounded by the sizes that exist.
    Source: derived here from d ln S / d ln s = 0.
    Returns: in [0, beta].
    """
    left = 1 - alpha
    demand(left >= rejection_floor, "alpha must be in [0, 1 - rejection_floor]", alpha)
    elasticity = rejection_exponent * (1 - share(rejection_floor, left))
    return elasticity * rejection_sensitivity(alpha, gamma)


def _sensitivity_near_one(q: Floats, g: Floats) -> Floats:
    """E[N] - (g + 1) alpha^g as a series in q = 1 - alpha: (-1)^(j+1) j C(g + 1, j + 1) q^j.

    C(g + 1, j + 1) q^j is carried as one term, each at most 0.05 of the one before, so that it
    cannot overflow however long the draft is; the tenth is below 1e-17 of the first.
    """
    total = np.zeros(np.broadcast_shapes(q.shape, g.shape))
    term = g + 1.0  # C(g+1, 1)
    for j in range(1, 10):
        term = term * (q * (g + 1.0 - j) / (j + 1.0))
        total = total + (1.0 if j % 2 else -1.0) * j * term
    return total


@dataclass(frozen=True)
class DraftScaleLaw(Parameters):
    """Acceptance and cost of a draft as functions of its relative size, for one target and device.

    The parameters are those of :func:`acceptance_at_scale`, :func:`cost_at_scale` and the round
    cost. Arrays (a posterior sample) broadcast. Raises ValueError outside the ranges.
    """

    rejection_floor: ArrayLike
    rejection_coefficient: ArrayLike
    rejection_exponent: ArrayLike
    cost_floor: ArrayLike
    cost_slope: ArrayLike
    verify_slope: ArrayLike = 0.0
    overhead: ArrayLike = 0.0

    def acceptance(self, scale: ArrayLike) -> Any:
        """alpha(s), NaN where the law leaves [0, 1]. scale: > 0, broadcast with the parameters."""
        return acceptance_at_scale(
            scale, self.rejection_floor, self.rejection_coefficient, self.rejection_exponent
        )

    def cost(self, scale: ArrayLike) -> Any:
        """c(s) [target step]. scale: > 0, broadcast with the parameters."""
        return cost_at_scale(scale, self.cost_floor, self.cost_slope)

    def speedup(self, scale: ArrayLike, gamma: ArrayLike) -> Any:
        """Speed-up with a draft of that size, NaN where the acceptance law leaves [0, 1]."""
        alpha, g = np.asarray(self.acceptance(scale)), check("gamma", gamma)
        per_token = np.asarray(self.cost(scale)) + check("verify_slope", self.verify_slope)
        extra = np.where(g > 0.0, check("overhead", self.overhead), 0.0)
        return unwrap(geometric_sum(alpha, g + 1.0) / (1.0 + g * per_token + extra))

    def smallest_scale(self) -> Floats:
        """The size at which the law gives alpha = 0; below it the law says nothing."""
        with np.errstate(over="ignore"):
            return np.asarray(np.exp(self._log_smallest_scale()))

    def _log_smallest_scale(self) -> Floats:
        d, a = np.asarray(self.rejection_floor), np.asarray(self.rejection_coefficient)
        with np.errstate(over="ignore"):  # a flat law (beta near 0) has no size at which alpha is 0
            return np.asarray((np.log(a) - np.log1p(-d)) / np.asarray(self.rejection_exponent))

    def optimal_scale(self, gamma: ArrayLike, *, largest: float = 1.0) -> Any:
        """The size with the largest speed-up at this gamma, by bisection on the sign of dS/ds.

        gamma: >= 1 [token], broadcast with the parameters; largest: upper end of the search, the
        returned value where the optimum lies beyond. NaN where the law gives no acceptance up to
        ``largest``. ln S is concave in ln s, so the sign changes once (derived in this module).
        """
        g = check_least("gamma", check("gamma", gamma), 1.0)
        high = np.asarray(np.log(check("scale", largest, label="largest")))
        # A hair above the size with alpha = 0, at which rounding decides whether the law holds.
        low, high, g = np.broadcast_arrays(self._log_smallest_scale() + 1e-9, high, g)
        empty = low >= high
        # exp(-700) stands for the sizes that double precision cannot hold.
        low = np.clip(np.where(empty, high, low), -700.0, None)
        low, high = bisect(
            lambda s: ~(self._slope_in_log_scale(s, g) > 0.0), low, high, halvings=64
        )
        return unwrap(np.where(empty, np.nan, np.exp(0.5 * (low + high))))

    def _slope_in_log_scale(self, log_scale: Floats, gamma: Floats) -> Floats:
        """d ln S / d ln s at ln s; what the drafting gains less what it takes of the round."""
        d, b = np.asarray(self.rejection_floor), np.asarray(self.rejection_exponent)
        with np.errstate(over="ignore", divide="ignore", invalid="ignore"):
            above = np.exp(np.log(np.asarray(self.rejection_coefficient)) - b * log_scale)
            share_above = np.where(d > 0.0, above / (d + above), 1.0)
        alpha = np.clip(1.0 - d - above, 0.0, 1.0)  # the bisection may step an ulp outside
        gain = b * share_above * np.asarray(rejection_sensitivity(alpha, gamma))
        grows = np.asarray(self.cost_slope) * np.exp(log_scale)
        per_token = np.asarray(self.cost_floor) + grows + np.asarray(self.verify_slope)
        share = gamma * grows / (1.0 + gamma * per_token + np.asarray(self.overhead))
        return np.asarray(gain - share)

    def turning_point(
        self, gamma_max: int = 16, *, largest: float = 1.0
    ) -> tuple[Floats, NDArray[np.int64], Floats]:
        """The best size and the best gamma together: (scale, gamma, speedup), each of law shape.

        Every gamma in 1..gamma_max is tried at its own best size, so the result is the largest of
        all. There is one turning point at each gamma; where gamma is chosen anew at each size there
        can be a local maximum for each of two neighbouring gammas. gamma is 0, speedup 1 and scale
        NaN where nothing beats plain decoding.
        """
        top = int(check_gamma_max(gamma_max))
        shape = np.shape(self.smallest_scale())
        best_scale, best_gamma = np.full(shape, np.nan), np.zeros(shape, np.int64)
        best = np.ones(shape)
        for g in range(1, top + 1):
            scale = np.asarray(self.optimal_scale(g, largest=largest))
            defined = np.isfinite(scale)
            value = np.asarray(self.speedup(np.where(defined, scale, largest), g))
            better = defined & (value > best)
            best_scale = np.where(better, scale, best_scale)
            best_gamma = np.where(better, g, best_gamma)
            best = np.where(better, value, best)
        return best_scale, best_gamma, best
