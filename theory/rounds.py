r"""Tokens that one round emits when every draft token is accepted with the same probability.

    P(N = n) = (1 - alpha) alpha^{n-1} for n <= gamma,  P(N = gamma + 1) = alpha^gamma
    E[N]     = (1 - alpha^{gamma+1}) / (1 - alpha)

N counts the accepted draft tokens and the bonus token that the verifying pass always yields.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import ArrayLike

from .domain import Floats, check, in_blocks
from .formula import Number, equation, symbolic


@equation(r"\mathrm{E}[N]", group="rounds", alpha=0.8, gamma=5)
def tokens_per_round(alpha: Number, gamma: Number) -> Number:
    """Mean number of tokens that a round emits, the bonus token included.

    Assumes: one acceptance probability, independent positions, gamma the same in every round.
    Wrong when: acceptance comes in bursts, falls with depth, or differs between requests.
    Source: Leviathan, Kalman, Matias 2023, arXiv:2211.17192v2, equation 1.
    Returns: in [1, gamma + 1]; a real gamma gives the smooth continuation.
    """
    return geometric(alpha, gamma + 1)


@equation(r"\mathrm{P}(N > n)", group="rounds", alpha=0.8, n=3)
def tokens_survival(alpha: Number, n: Number) -> Number:
    """Probability that a round emits more than n tokens, for n up to gamma.

    Assumes: one acceptance probability, independent positions; n <= gamma.
    Wrong when: acceptance comes in bursts, falls with depth, or differs between requests.
    Source: derived here; the tail of the geometric law in arXiv:2211.17192v2, section 3.1.
    Returns: in [0, 1]; the first n draft tokens are then all accepted.
    """
    return alpha**n


@equation(r"\mathrm{Var}[N]", group="rounds", whole=("gamma",), alpha=0.8, gamma=5)
def tokens_variance(alpha: Number, gamma: Number) -> Number:
    """Variance of the number of tokens that a round emits.

    Assumes: one acceptance probability, independent positions, gamma the same in every round.
    Wrong when: acceptance differs between requests, which adds a variance between them.
    Source: derived here from the second moment, the sum of (2 n + 1) alpha^n over n <= gamma.
    Returns: in token^2; the closed form cancels where (gamma + 1)(1 - alpha) is small, and its
    expansion in 1 - alpha is summed there instead.
    """
    a, g = alpha, gamma
    if symbolic(alpha, gamma):
        return (a - (2 * g + 1) * (1 - a) * a ** (g + 1) - a ** (2 * g + 2)) / (1 - a) ** 2
    return in_blocks(_variance, a, g)


@equation("G(z)", group="rounds", whole=("gamma",), alpha=0.8, gamma=5, z=0.5)
def tokens_generating_function(alpha: Number, gamma: Number, z: Number) -> Number:
    """Probability generating function E[z^N] of the number of tokens that a round emits.

    Assumes: one acceptance probability, independent positions, gamma the same in every round.
    Wrong when: acceptance comes in bursts, falls with depth, or differs between requests.
    Source: derived here by summation by parts of the survival function.
    Returns: summed with positive terms only; the gamma-th power is taken of each factor, because it
    would multiply the rounding of their product by gamma.
    """
    if symbolic(alpha, gamma):
        az = alpha * z
        return 1 + (z - 1) * (1 - az ** (gamma + 1)) / (1 - az)
    a, x = alpha, z
    g = gamma
    return in_blocks(_generating_function, a, g, x)


def geometric_sum(ratio: Floats, terms: Floats) -> Floats:
    """Sum of ``ratio**i`` for i = 0..terms - 1, to a few ulp on all of [0, 1].

    ratio: in [0, 1]; terms: >= 0, whole or not. Shapes broadcast. The quotient (1 - r^t)/(1 - r)
    loses digits where r is near 1; -expm1(t log r)/(1 - r) does not, because 1 - r is exact there.
    Rounding may carry it an ulp past its bounds, 1 and ``terms``; it is held to them, so that one
    term sums to exactly 1.
    """
    return in_blocks(_geometric_sum, ratio, terms)


def geometric(ratio: Number, terms: Number) -> Number:
    """:func:`geometric_sum` of numbers, (1 - ratio^terms) / (1 - ratio) of symbols."""
    if symbolic(ratio, terms):
        return (1 - ratio**terms) / (1 - ratio)
    return geometric_sum(np.asarray(ratio), np.asarray(terms))


def _geometric_sum(ratio: Floats, terms: Floats) -> Floats:
    gap = ratio - 1.0
    with np.errstate(divide="ignore", invalid="ignore", over="ignore"):
        total = np.expm1(terms * np.log(ratio)) / gap
    at_one = gap == 0.0
    if at_one.any():
        total = np.where(at_one, terms, total)
    if terms.min(initial=1.0) >= 1.0:
        return np.minimum(np.maximum(total, 1.0), terms)
    total = np.clip(total, np.minimum(terms, 1.0), np.maximum(terms, 1.0))
    return np.asarray(np.where(terms == 0.0, 0.0, total))


def tokens_pmf(alpha: ArrayLike, gamma: int) -> Floats:
    """P(N = n) for n = 1..gamma + 1, on a new last axis of length gamma + 1.

    alpha: in [0, 1], any shape; gamma: whole number >= 0 [token]. Sums to 1 along the last axis.
    Raises ValueError outside these ranges. Source: arXiv:2211.17192v2, section 3.1.
    """
    a = check("alpha", alpha)[..., None]
    g = int(check("gamma", gamma, whole=True))
    powers: Floats = np.power(a, np.arange(g + 1.0))
    powers[..., :-1] *= 1.0 - a
    return powers


def _variance(alpha: Floats, gamma: Floats) -> Floats:
    a, g = np.broadcast_arrays(alpha, gamma)
    q = 1.0 - a
    near_one = (g + 1.0) * q < 0.5
    power = a ** (g + 1.0)
    direct = a - 2.0 * ((g + 0.5) * q * power) - power * power
    value = np.divide(direct, q * q, out=np.zeros(a.shape), where=~near_one)
    series = near_one & (q > 0.0)  # at q = 0 the variance is 0, and C(2g + 2, 2) may overflow
    if series.any():
        value[series] = _variance_near_one(q[series], g[series])
    return np.asarray(np.where(g == 0.0, 0.0, value))


def _variance_near_one(q: Floats, g: Floats, terms: int = 22) -> Floats:
    """The variance as a series in q = 1 - alpha, for (gamma + 1) q < 1/2.

    The coefficient of q^(j-2) is (-1)^j [(2 g + 1) C(g + 1, j - 1) - C(2 g + 2, j)], zero at j = 2;
    its size is at most (2 (g + 1))^j / j!, so 22 terms reach 1e-17 of the first.
    """
    total = np.zeros(np.broadcast_shapes(q.shape, g.shape))
    full = (2 * g + 2) * (2 * g + 1) / 2  # C(2g+2, j) at j = 2
    power = np.ones_like(total)
    small = g + 1.0  # C(g+1, j-1) at j = 2
    for j in range(3, terms + 3):
        small = small * (g + 3.0 - j) / (j - 1)
        full = full * (2 * g + 3.0 - j) / j
        power = power * q
        total = total + (-1) ** j * ((2 * g + 1) * small - full) * power
    return total


def _generating_function(a: Floats, g: Floats, x: Floats) -> Floats:
    return np.asarray(x * ((1.0 - a) * _geometric_sum(a * x, g) + a**g * x**g))
