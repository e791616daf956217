r"""The turning point in two axes, parameters and bits: cost follows bytes, acceptance parameters.

    1 - alpha = d + R_s + R_b,   R_s = A s^-beta,   R_b = C e^(-kappa w)
    c = c_0 + c_1 s w / w_t

s is the draft's share of the target's parameters, w its bits a weight, w_t the target's. Rounding
leaves an error of the order of 2^-w, so that kappa is near ln 2 where rejection follows the error,
and near 2 ln 2 where it follows its square. At a given number of bytes x = s w / w_t the cost is
fixed, so that the best bits are those of least rejection, whatever gamma and the costs are:

    beta R_s = kappa w R_b,   w^(beta - 1) e^(kappa w) = kappa C x^beta w_t^beta / (A beta)

A larger draft at fewer bits and the same bytes is better iff beta R_s > kappa w R_b. The left side
of the second equation rises in w from w = (1 - beta)/kappa on; below that no number of bits is a
minimum. Along the best bits w grows by about beta/kappa for each factor e of bytes, and

    -d ln(1 - alpha)/d ln x = beta R_s / (1 - alpha),

so that ln(1 - alpha) is convex in ln x, and there is one turning point in bytes at each gamma, if
d kappa w (kappa w - 1) >= beta R_s: a floor d above a few thousandths is enough. Without a floor
the elasticity rises a little with x, and the grid has to say.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from ..domain import check
from ..either import exp, probability
from ..formula import Number, equation, symbolic
from .law import DraftScaleLaw

_SIZE: dict[str, Any] = {"rejection_coefficient": 0.08, "rejection_exponent": 0.25}
_BITS: dict[str, Any] = {"bits_coefficient": 1.0, "bits_exponent": 0.8}


@equation(r"\alpha(s, w)", group="draft scale", scale=0.05, bits=4.5, rejection_floor=0.05, **_SIZE,
          **_BITS)  # fmt: skip
def acceptance_at_bits(scale: Number, bits: Number, *, rejection_floor: Number,
                       rejection_coefficient: Number, rejection_exponent: Number,
                       bits_coefficient: Number, bits_exponent: Number) -> Number:  # fmt: skip
    """Acceptance probability of a draft of relative size s whose weights take w bits.

    Assumes: what size and what rounding leave in rejection adds up; one way of rounding.
    Wrong when: a small draft feels rounding more than a large one, or the formats differ in more
    than bits.
    Source: derived here; that rounding errors fall as 2^-w is elementary, the rate is fitted.
    Returns: NaN where the law leaves [0, 1].
    """
    by_size = rejection_coefficient * scale**-rejection_exponent
    by_bits = bits_coefficient * exp(-bits_exponent * bits)
    return probability(1 - rejection_floor - by_size - by_bits)


@equation("c(s, w)", group="draft scale", scale=0.05, bits=4.5, target_bits=16, cost_floor=0.02,
          cost_slope=1.0)  # fmt: skip
def cost_at_bits(
    scale: Number, bits: Number, *, target_bits: Number, cost_floor: Number, cost_slope: Number
) -> Number:
    """Draft step time of a draft of relative size s whose weights take w bits.

    Assumes: a draft step is bound by reading its weights; a latency floor.
    Wrong when: unpacking few bits takes longer than reading them, as on small batches of some
    kernels, or the batch makes the step bound by arithmetic.
    Source: derived here from the bytes of the weights.
    """
    return cost_floor + cost_slope * scale * bits / target_bits


@equation("w^*", group="draft scale", byte_share=0.02, target_bits=16, **_SIZE, **_BITS)
def best_bits(byte_share: Number, *, target_bits: Number, rejection_coefficient: Number,
              rejection_exponent: Number, bits_coefficient: Number,
              bits_exponent: Number) -> Number:  # fmt: skip
    """Bits a weight that make a draft of given bytes accepted most often, for beta < 1.

    Assumes: the two laws above; interior optimum.
    Wrong when: the formats that exist are few; take the better neighbour.
    Source: derived here by a Lagrange multiplier, W_-1 the lower branch of Lambert's function.
    Returns: 0 where fewer bits are always better; any exponent of rejection. Solved in ln w by
    Newton's method, so that nothing overflows.
    """
    if symbolic(byte_share, target_bits):
        import sympy

        p = 1 - rejection_exponent
        total = (byte_share * target_bits) ** rejection_exponent
        level = bits_exponent * bits_coefficient * total
        level = level / (rejection_coefficient * rejection_exponent)
        argument = -bits_exponent / p * level ** (-1 / p)
        return -p / bits_exponent * sympy.LambertW(argument, -1)
    a, beta = (rejection_coefficient, rejection_exponent)
    c, kappa = bits_coefficient, bits_exponent
    total = byte_share * target_bits
    level = np.log(kappa) + np.log(c) + beta * np.log(total) - np.log(a) - np.log(beta)
    # e^(kappa w) w^(beta - 1) = e^level; with y = kappa w: y + (beta - 1) ln y = level'.
    p = 1.0 - beta
    goal = level - p * np.log(kappa)
    least = np.where(p > 0.0, p - p * np.log(np.where(p > 0.0, p, 1.0)), -np.inf)
    up = goal > least
    goal = np.where(up, goal, np.where(p > 0.0, least + 1.0, 1.0))
    # In z = ln y the left side is convex; start above the root for p > 0, else anywhere near.
    gap = np.where(p > 0.0, goal - least, 0.0)
    y = np.where(p > 0.0, p + np.sqrt(2.0 * np.abs(p) * gap) + 2.0 * gap, 1.0)
    y = np.where(np.isfinite(y), y, 1.0)
    z = np.where(p > 0.0, np.log(y), np.minimum(goal, 0.0) / np.maximum(beta, 1.0))
    for _ in range(60):
        y = np.exp(z)
        z = z - np.clip((y - p * z - goal) / (y - p), -1.0, 1.0)
    return np.where(up, np.exp(z) / kappa, 0.0)


@equation("Q", group="draft scale", scale=0.05, bits=4.5, **_SIZE, **_BITS)
def size_over_bits(scale: Number, bits: Number, *, rejection_coefficient: Number,
                   rejection_exponent: Number, bits_coefficient: Number,
                   bits_exponent: Number) -> Number:  # fmt: skip
    """beta R_s / (kappa w R_b): above 1, a larger draft at fewer bits of the same bytes is better.

    Assumes: the two laws above.
    Wrong when: one of them fails, or the formats that exist are few.
    Source: derived here; the ratio of the two sides of the condition for the best bits.
    Returns: inf where rounding rejects nothing.
    """
    by_size = rejection_coefficient * scale**-rejection_exponent
    by_bits = bits_coefficient * exp(-bits_exponent * bits)
    return rejection_exponent * by_size / (bits_exponent * bits * by_bits)


@dataclass(frozen=True)
class BitsChoice:
    """The best draft in two axes: bits, share of the target's parameters, gamma, speed-up."""

    bits: float
    scale: float
    gamma: int
    speedup: float


@dataclass(frozen=True)
class QuantisedScaleLaw:
    """Acceptance and cost of a draft by relative size and bits; scalars, as in the module.

    law: of drafts in the target's own bits, without what rounding adds. Raises ValueError outside
    the ranges.
    """

    law: DraftScaleLaw
    bits_coefficient: float
    bits_exponent: float
    target_bits: float = 16.0

    def __post_init__(self) -> None:
        for name in ("bits_coefficient", "bits_exponent", "target_bits"):
            check(name, getattr(self, name))
        if np.shape(self.law.smallest_scale()) != ():
            raise ValueError("a law in two axes takes a single law of size")

    def at_bits(self, bits: float) -> DraftScaleLaw:
        """The law of size at that number of bits, whose turning point is known.

        Rounding adds to the floor, bits shrink the cost of size. Raises ValueError where the floor
        reaches 1: no size of so few bits is ever accepted.
        """
        w = float(check("bits", bits))
        rounding = self.bits_coefficient * float(np.exp(-self.bits_exponent * w))
        one = self.law
        return DraftScaleLaw(
            float(np.asarray(one.rejection_floor)) + rounding,
            one.rejection_coefficient,
            one.rejection_exponent,
            one.cost_floor,
            float(np.asarray(one.cost_slope)) * w / self.target_bits,
            one.verify_slope,
            one.overhead,
        )

    def turning_point(
        self, bits: ArrayLike, *, gamma_max: int = 16, largest: float = 1.0
    ) -> BitsChoice:
        """The best of the given bits with its best size and gamma.

        bits: of the formats that exist, > 0, shape (n,); the rest as in
        `DraftScaleLaw.turning_point`. Formats that are never accepted are passed over; gamma is 0,
        bits and scale NaN where none beats plain decoding.
        """
        best = BitsChoice(float("nan"), float("nan"), 0, 1.0)
        formats: NDArray[np.float64] = np.atleast_1d(check("bits", bits))
        for w in formats.tolist():
            try:
                law = self.at_bits(w)
            except ValueError:
                continue
            scale, gamma, value = law.turning_point(gamma_max, largest=largest)
            if float(value) > best.speedup:
                best = BitsChoice(w, float(scale), int(gamma), float(value))
        return best
