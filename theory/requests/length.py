"""Rounds that a long request takes: mean, variance, percentiles in closed form.

    R(L) = min{ r : N_1 + ... + N_r >= L }
    E[R] -> L/mu + f_2/(2 mu^2),   Var[R] -> L sigma^2/mu^3 + a constant
    f_2 = E[N(N-1)],  f_3 = E[N(N-1)(N-2)],  sigma^2 = f_2 + mu - mu^2

The rounds are those of any acceptance law, through the moments of their lengths. The expansions
leave an error that falls geometrically in L; `distribution` is exact. Drafting never past the last
token of the request changes the cost of the last rounds, not their number.

Requests that differ in acceptance: their rounds spread more than one acceptance rate allows.

    Var[R] = E[ Var[R | alpha] ] + Var[ E[R | alpha] ]

The second part grows with the square of the length and dominates the tails of long requests. With
alpha ~ Beta(a, b) over requests and drafts that are never too short, the rounds of L tokens are
exactly 1 + a beta-binomial number; for any gamma they are mixed over the requests or over the
nodes of a Gauss rule for the Beta law.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import ArrayLike

from ..acceptance.heterogeneity import beta_nodes
from ..domain import Floats, as_floats, check
from ..formula import Number, equation, symbolic
from ..rounds import tokens_pmf
from .distribution import rounds_moments, rounds_pmf

_MOMENTS: dict[str, Any] = {"round_mean": 3.69, "round_factorial_2": 14.0}


@equation("f_2", group="requests", whole=("gamma",), broadcast=True, alpha=0.8, gamma=5)
def factorial_moment_2(alpha: Number, gamma: Number) -> Number:
    """E[N(N-1)], twice the sum of n alpha^n over n <= gamma.

    Assumes: independent acceptance with one probability, gamma the same in every round.
    Wrong when: acceptance comes in bursts or falls with depth; use `round_moments` of the law.
    Source: derived here by summation by parts.
    Returns: gamma (gamma + 1) at alpha = 1; takes gamma steps.
    """
    a, g = alpha, gamma
    if symbolic(alpha, gamma):
        return 2 * a * (1 - (g + 1) * a**g + g * a ** (g + 1)) / (1 - a) ** 2
    return _factorial(alpha, gamma, 2)


@equation("f_3", group="requests", whole=("gamma",), broadcast=True, alpha=0.8, gamma=5)
def factorial_moment_3(alpha: Number, gamma: Number) -> Number:
    """E[N(N-1)(N-2)], three times the sum of n (n - 1) alpha^n over n <= gamma.

    Assumes: independent acceptance with one probability, gamma the same in every round.
    Wrong when: acceptance comes in bursts or falls with depth; use `round_moments` of the law.
    Source: derived here by summation by parts.
    Returns: takes gamma steps.
    """
    a, g = alpha, gamma
    if symbolic(alpha, gamma):
        inner = 2 * a**2 - g * (g + 1) * a ** (g + 1) + 2 * (g**2 - 1) * a ** (g + 2)
        return 3 * (inner - g * (g - 1) * a ** (g + 3)) / (1 - a) ** 3
    return _factorial(alpha, gamma, 3)


@equation(r"\mathrm{E}[R]", group="requests", length=200, **_MOMENTS)
def rounds_mean(length: Number, *, round_mean: Number, round_factorial_2: Number) -> Number:
    """Mean rounds for L tokens, up to a term that falls geometrically in L.

    Assumes: rounds independent and alike, a hard stop at L, a round of one token possible.
    Wrong when: L is a few rounds only, or acceptance differs between requests.
    Source: derived here; the renewal theorem to its second term (Feller 1968).
    Returns: exact: `distribution.rounds_moments`.
    """
    return length / round_mean + round_factorial_2 / (2 * round_mean**2)


@equation(r"\mathrm{Var}[R]", group="requests", length=200, round_factorial_3=60.0, **_MOMENTS)
def rounds_variance(
    length: Number, *, round_mean: Number, round_factorial_2: Number, round_factorial_3: Number
) -> Number:
    """Variance of the rounds for L tokens, up to a term that falls geometrically in L.

    Assumes: rounds independent and alike, a hard stop at L, a round of one token possible.
    Wrong when: L is a few rounds only, or acceptance differs between requests, which adds more
    variance than there is here (see `heterogeneity`).
    Source: derived here from the double pole of the generating function of E[R^2].
    Returns: L sigma^2/mu^3 + (15 f_2^2 - 6 mu^2 f_2 - 8 mu f_3) / (12 mu^4), for a long request.
    Arguments as in :func:`rounds_mean`; round_factorial_3: >= 0. The constant may be negative and
    outweigh the first term where L is a few rounds; exact: `distribution.rounds_moments`.
    """
    mu, f2, f3 = round_mean, round_factorial_2, round_factorial_3
    if symbolic(length, round_mean):
        variance = f2 + mu - mu**2
        constant = (15 * f2**2 - 6 * mu**2 * f2 - 8 * mu * f3) / (12 * mu**4)
        return length * variance / mu**3 + constant
    size = length
    constant = (15.0 * f2 * f2 - 6.0 * mu * mu * f2 - 8.0 * mu * f3) / (12.0 * mu**4)
    return size * (f2 - mu * (mu - 1.0)) / mu**3 + constant


@equation(r"\mathrm{E}[\Sigma N] - L", group="requests", **_MOMENTS)
def overshoot(*, round_mean: Number, round_factorial_2: Number) -> Number:
    """Mean tokens that the last round makes beyond L, and that are thrown away.

    Assumes: as for the mean rounds; rounds are not shortened towards the end.
    Wrong when: L is a few rounds only.
    Source: derived here from Wald's identity E[N_1 + ... + N_R] = mu E[R].
    """
    return round_factorial_2 / (2 * round_mean)


@equation(r"S_L/S", group="requests", length=200, **_MOMENTS)
def length_factor(length: Number, *, round_mean: Number, round_factorial_2: Number) -> Number:
    """Share of the long-run speed-up that a request of L tokens sees: L / (L + overshoot).

    Assumes: as for the mean rounds; every round costs the same, the last one too.
    Wrong when: the engine shortens the last rounds (see `horizon`).
    Source: derived here as L / (mu E[R]).
    Returns: in (0, 1], by which the speed-up of a request falls short of the long-run one.
    """
    return length / (length + overshoot(round_mean=round_mean, round_factorial_2=round_factorial_2))


@equation("r_p", group="requests", length=200, normal_quantile=1.645, **_MOMENTS)
def rounds_quantile_normal(
    length: Number, normal_quantile: Number, *, round_mean: Number, round_factorial_2: Number
) -> Number:
    """Percentile of the rounds for L tokens in the normal approximation.

    Assumes: as for the mean rounds, L many rounds; the result is a real number.
    Wrong when: requests differ in acceptance: mix their distributions instead.
    Source: derived here; the central limit theorem of renewal counts (Feller 1968).
    """
    mu, f2 = round_mean, round_factorial_2
    if symbolic(length, normal_quantile):
        import sympy

        spread = sympy.sqrt(length * (f2 + mu - mu**2) / mu**3)
        return (
            rounds_mean(length, round_mean=round_mean, round_factorial_2=round_factorial_2)
            + normal_quantile * spread
        )
    size, z = length, normal_quantile
    variance = round_factorial_2 - mu * (mu - 1.0)
    if (variance < -1e-9 * mu * mu).any():
        raise ValueError("round_factorial_2 must be at least round_mean (round_mean - 1)")
    mean = rounds_mean(size, round_mean=mu, round_factorial_2=round_factorial_2)
    return mean + z * np.sqrt(size * np.maximum(variance, 0.0) / mu**3)


def _factorial(alpha: Floats, gamma: Floats, order: int) -> Floats:
    """The sum itself: positive terms keep every digit, where the closed form loses them."""
    total, power = np.zeros(alpha.shape), np.ones(alpha.shape)
    for n in range(1, int(gamma.max(initial=0.0)) + 1):
        power = power * alpha
        weight = 2.0 * n if order == 2 else 3.0 * n * (n - 1.0)
        total = total + np.where(n <= gamma, weight * power, 0.0)
    return total


_POINT: dict[str, Any] = {"length": 200, "request_beta_a": 8.0, "request_beta_b": 2.0}


@equation(r"\mathrm{E}[R]", group="requests", **_POINT)
def mixed_rounds_mean(length: Number, *, request_beta_a: Number, request_beta_b: Number) -> Number:
    """Mean rounds for L tokens of requests with alpha ~ Beta(a, b), drafts never too short.

    Assumes: one alpha in all rounds of a request, gamma >= L - 1.
    Wrong when: gamma is short: then rounds also end at the last draft token.
    Source: derived here; each token after the first starts a round with probability 1 - alpha.
    """
    a, b = request_beta_a, request_beta_b
    return 1 + (length - 1) * b / (a + b)


@equation(r"\mathrm{Var}[R]", group="requests", **_POINT)
def mixed_rounds_variance(
    length: Number, *, request_beta_a: Number, request_beta_b: Number
) -> Number:
    """Variance of those rounds: the beta-binomial one, quadratic in L.

    Assumes: one alpha in all rounds of a request, gamma >= L - 1.
    Wrong when: acceptance drifts within a request, which averages some of the spread out.
    Source: derived here by total variance.
    """
    a, b, trials = request_beta_a, request_beta_b, length - 1
    return trials * a * b * (a + b + trials) / ((a + b) ** 2 * (a + b + 1))


@dataclass(frozen=True)
class RequestMix:
    """Acceptance probabilities of requests, with weights: what the next request may be like.

    alpha: in [0, 1], shape (m,); weight: >= 0, same shape, summing to 1; equal weights if left out.
    Raises ValueError outside the ranges.
    """

    alpha: ArrayLike
    weight: ArrayLike | None = None

    def __post_init__(self) -> None:
        if check("alpha", self.alpha).ndim != 1 or np.size(self.alpha) < 1:
            raise ValueError(f"alpha must be one-dimensional, got shape {np.shape(self.alpha)}")
        if self.weight is not None:
            w = check("z", self.weight, label="weight")
            if w.shape != np.shape(self.alpha) or abs(float(w.sum()) - 1.0) > 1e-9:
                raise ValueError("weight must have the shape of alpha and sum to 1")

    @classmethod
    def beta(cls, a: float, b: float, *, nodes: int = 96) -> RequestMix:
        """The Beta(a, b) law as the nodes of its Gauss rule, exact for degree 2 nodes - 1.

        a, b: > 0; nodes: whole number >= 1; more of them where length (gamma + 1) is large.
        """
        first, second = check("request_beta_a", a, label="a"), check("request_beta_b", b, label="b")
        count = int(check("position", nodes, label="nodes"))
        return cls(*beta_nodes(float(first), float(second), count))

    @property
    def weights(self) -> Floats:
        """The weights as an array."""
        if self.weight is None:
            return np.full(np.shape(self.alpha), 1.0 / np.size(self.alpha))
        return as_floats("weight", self.weight)

    def rounds_pmf(self, gamma: int, length: int) -> Floats:
        """P(R = r), r = 0..length, of a request drawn from the mix, shape (length + 1,)."""
        each = rounds_pmf(tokens_pmf(self.alpha, gamma), length)
        return np.asarray(self.weights @ each)

    def rounds_variance(self, gamma: int, length: int) -> tuple[float, float]:
        """(mean variance within a request, variance of the means between requests)."""
        mean, within = rounds_moments(tokens_pmf(self.alpha, gamma), length)
        centred = mean - self.weights @ mean
        return float(self.weights @ within), float(self.weights @ centred**2)
