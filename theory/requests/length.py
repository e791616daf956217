r"""Rounds that a long request takes: mean, variance, percentiles in closed form.

    R(L) = min{ r : N_1 + ... + N_r >= L }
    E[R] -> L/mu + f_2/(2 mu^2),   Var[R] -> L sigma^2/mu^3 + a constant
    f_2 = E[N(N-1)],  f_3 = E[N(N-1)(N-2)],  sigma^2 = f_2 + mu - mu^2

The rounds are those of any acceptance law, through the moments of their lengths. The expansions
leave an error that falls geometrically in L; `distribution` is exact. Drafting never past the last
token of the request changes the cost of the last rounds, not their number.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import ArrayLike

from ..domain import check, unwrap
from ..formula import evaluates, formula
from ..symbols import register

register("round_mean", r"\mu", "mean tokens of a round", unit="token", low=1.0)
register("round_factorial_2", "f_2", "second factorial moment E[N(N-1)] of a round's tokens")
register("round_factorial_3", "f_3", "third factorial moment E[N(N-1)(N-2)] of a round's tokens")
register("normal_quantile", "z_p", "quantile of the standard normal law", low=-40.0, high=40.0)
_MOMENTS = {"round_mean": 3.69, "round_factorial_2": 14.0}


@formula("factorial_moment_2", "f_2", group="requests", alpha=0.8, gamma=5)
def FACTORIAL_2(s: Any) -> Any:
    """E[N(N-1)], twice the sum of n alpha^n over n <= gamma.

    Assumes: independent acceptance with one probability, gamma the same in every round.
    Wrong when: acceptance comes in bursts or falls with depth; use `round_moments` of the law.
    Source: derived here by summation by parts.
    """
    a, g = s.alpha, s.gamma
    return 2 * a * (1 - (g + 1) * a**g + g * a ** (g + 1)) / (1 - a) ** 2


@formula("factorial_moment_3", "f_3", group="requests", alpha=0.8, gamma=5)
def FACTORIAL_3(s: Any) -> Any:
    """E[N(N-1)(N-2)], three times the sum of n (n - 1) alpha^n over n <= gamma.

    Assumes: independent acceptance with one probability, gamma the same in every round.
    Wrong when: acceptance comes in bursts or falls with depth; use `round_moments` of the law.
    Source: derived here by summation by parts.
    """
    a, g = s.alpha, s.gamma
    inner = 2 * a**2 - g * (g + 1) * a ** (g + 1) + 2 * (g**2 - 1) * a ** (g + 2)
    return 3 * (inner - g * (g - 1) * a ** (g + 3)) / (1 - a) ** 3


@formula("rounds_mean", r"\mathrm{E}[R]", group="requests", length=200, **_MOMENTS)
def ROUNDS_MEAN(s: Any) -> Any:
    """Mean rounds for L tokens, up to a term that falls geometrically in L.

    Assumes: rounds independent and alike, a hard stop at L, a round of one token possible.
    Wrong when: L is a few rounds only, or acceptance differs between requests.
    Source: derived here; the renewal theorem to its second term (Feller 1968).
    """
    return s.length / s.round_mean + s.round_factorial_2 / (2 * s.round_mean**2)


@formula("rounds_variance", r"\mathrm{Var}[R]", group="requests",
         length=200, round_factorial_3=60.0, **_MOMENTS)  # fmt: skip
def ROUNDS_VARIANCE(s: Any) -> Any:
    """Variance of the rounds for L tokens, up to a term that falls geometrically in L.

    Assumes: rounds independent and alike, a hard stop at L, a round of one token possible.
    Wrong when: L is a few rounds only, or acceptance differs between requests, which adds more
    variance than there is here (see `heterogeneity`).
    Source: derived here from the double pole of the generating function of E[R^2].
    """
    mu, f2, f3 = s.round_mean, s.round_factorial_2, s.round_factorial_3
    variance = f2 + mu - mu**2
    constant = (15 * f2**2 - 6 * mu**2 * f2 - 8 * mu * f3) / (12 * mu**4)
    return s.length * variance / mu**3 + constant


@formula("overshoot", r"\mathrm{E}[\Sigma N] - L", group="requests", **_MOMENTS)
def OVERSHOOT(s: Any) -> Any:
    """Mean tokens that the last round makes beyond L, and that are thrown away.

    Assumes: as for the mean rounds; rounds are not shortened towards the end.
    Wrong when: L is a few rounds only.
    Source: derived here from Wald's identity E[N_1 + ... + N_R] = mu E[R].
    """
    return s.round_factorial_2 / (2 * s.round_mean)


@formula("length_factor", r"S_L/S", group="requests", length=200, **_MOMENTS)
def LENGTH_FACTOR(s: Any) -> Any:
    """Share of the long-run speed-up that a request of L tokens sees: L / (L + overshoot).

    Assumes: as for the mean rounds; every round costs the same, the last one too.
    Wrong when: the engine shortens the last rounds (see `horizon`).
    Source: derived here as L / (mu E[R]).
    """
    return s.length / (s.length + OVERSHOOT.build(s))


@formula("rounds_quantile_normal", "r_p", group="requests",
         length=200, normal_quantile=1.645, **_MOMENTS)  # fmt: skip
def ROUNDS_QUANTILE(s: Any) -> Any:
    """Percentile of the rounds for L tokens in the normal approximation.

    Assumes: as for the mean rounds, L many rounds; the result is a real number.
    Wrong when: requests differ in acceptance: mix their distributions instead.
    Source: derived here; the central limit theorem of renewal counts (Feller 1968).
    """
    import sympy

    mu, f2 = s.round_mean, s.round_factorial_2
    spread = sympy.sqrt(s.length * (f2 + mu - mu**2) / mu**3)
    return ROUNDS_MEAN.build(s) + s.normal_quantile * spread


def _factorial(alpha: ArrayLike, gamma: ArrayLike, order: int) -> Any:
    a, g = np.broadcast_arrays(check("alpha", alpha), check("gamma", gamma, whole=True))
    total = np.zeros(a.shape)
    # Terms are positive: the plain sum keeps every digit, where the closed form loses them.
    power = np.ones(a.shape)
    for n in range(1, int(g.max(initial=0.0)) + 1):
        power = power * a
        weight = 2.0 * n if order == 2 else 3.0 * n * (n - 1.0)
        total = total + np.where(n <= g, weight * power, 0.0)
    return unwrap(total)


@evaluates(FACTORIAL_2)
def factorial_moment_2(alpha: ArrayLike, gamma: ArrayLike) -> Any:
    """E[N(N-1)] under independent acceptance [token^2]; gamma (gamma + 1) at alpha = 1.

    alpha: in [0, 1]; gamma: whole number >= 0 [token]. Shapes broadcast; takes gamma steps.
    Raises ValueError outside the ranges.
    """
    return _factorial(alpha, gamma, 2)


@evaluates(FACTORIAL_3)
def factorial_moment_3(alpha: ArrayLike, gamma: ArrayLike) -> Any:
    """E[N(N-1)(N-2)] under independent acceptance [token^3]. As :func:`factorial_moment_2`."""
    return _factorial(alpha, gamma, 3)


@evaluates(ROUNDS_MEAN)
def rounds_mean(length: ArrayLike, *, round_mean: ArrayLike, round_factorial_2: ArrayLike) -> Any:
    """L/mu + f_2/(2 mu^2), the mean rounds of a long request.

    length: whole number >= 1 [token]; round_mean: >= 1 [token]; round_factorial_2: >= 0. Shapes
    broadcast. Raises ValueError outside the ranges. Exact: `distribution.rounds_moments`.
    """
    size, mu = check("length", length), check("round_mean", round_mean)
    return unwrap(size / mu + check("round_factorial_2", round_factorial_2) / (2.0 * mu * mu))


@evaluates(ROUNDS_VARIANCE)
def rounds_variance(
    length: ArrayLike,
    *,
    round_mean: ArrayLike,
    round_factorial_2: ArrayLike,
    round_factorial_3: ArrayLike,
) -> Any:
    """L sigma^2/mu^3 + (15 f_2^2 - 6 mu^2 f_2 - 8 mu f_3) / (12 mu^4), for a long request.

    Arguments as in :func:`rounds_mean`; round_factorial_3: >= 0. Shapes broadcast. The constant
    may be negative and outweigh the first term where L is a few rounds; exact:
    `distribution.rounds_moments`.
    """
    size, mu = check("length", length), check("round_mean", round_mean)
    f2 = check("round_factorial_2", round_factorial_2)
    f3 = check("round_factorial_3", round_factorial_3)
    constant = (15.0 * f2 * f2 - 6.0 * mu * mu * f2 - 8.0 * mu * f3) / (12.0 * mu**4)
    return unwrap(size * (f2 - mu * (mu - 1.0)) / mu**3 + constant)


@evaluates(OVERSHOOT)
def overshoot(*, round_mean: ArrayLike, round_factorial_2: ArrayLike) -> Any:
    """f_2/(2 mu), mean tokens made past the end of a long request [token].

    round_mean: >= 1 [token]; round_factorial_2: >= 0. Shapes broadcast; ValueError outside.
    """
    f2, mu = check("round_factorial_2", round_factorial_2), check("round_mean", round_mean)
    return unwrap(f2 / (2.0 * mu))


@evaluates(LENGTH_FACTOR)
def length_factor(length: ArrayLike, *, round_mean: ArrayLike, round_factorial_2: ArrayLike) -> Any:
    """L / (L + f_2/(2 mu)), by which the speed-up of a request falls short of the long-run one.

    Arguments as in :func:`rounds_mean`; shapes broadcast; values in (0, 1].
    """
    past = np.asarray(overshoot(round_mean=round_mean, round_factorial_2=round_factorial_2))
    size = check("length", length)
    return unwrap(np.asarray(size / (size + past)))


@evaluates(ROUNDS_QUANTILE)
def rounds_quantile_normal(
    length: ArrayLike,
    normal_quantile: ArrayLike,
    *,
    round_mean: ArrayLike,
    round_factorial_2: ArrayLike,
) -> Any:
    """L/mu + f_2/(2 mu^2) + z sqrt(L sigma^2/mu^3), a real number of rounds.

    normal_quantile: in [-40, 40]; the rest as in :func:`rounds_mean`, with the f_2 >=
    mu (mu - 1) that every round has. Shapes broadcast. Raises ValueError outside the ranges.
    """
    size, z = check("length", length), check("normal_quantile", normal_quantile)
    mu = check("round_mean", round_mean)
    variance = check("round_factorial_2", round_factorial_2) - mu * (mu - 1.0)
    if (variance < -1e-9 * mu * mu).any():
        raise ValueError("round_factorial_2 must be at least round_mean (round_mean - 1)")
    mean = rounds_mean(size, round_mean=mu, round_factorial_2=round_factorial_2)
    return unwrap(mean + z * np.sqrt(size * np.maximum(variance, 0.0) / mu**3))
