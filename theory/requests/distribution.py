"""The exact law of the rounds that a request of L tokens takes, for any law of round lengths.

m(L) = 1 + sum of P(N = n) m(L - n),   P(R = r) by walking the tokens made so far

Several sequences decoded together: the last to finish, and rounds cut to the shortest.

E[max R] = sum over r of 1 - P(R <= r)^B
E[min N] = (1 - alpha^{B (gamma+1)}) / (1 - alpha^B)      lockstep: acceptance alpha^B
E[max N] = sum over n <= gamma of 1 - (1 - alpha^n)^B     the most that any sequence emits
"""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from ..acceptance.law import AcceptanceLaw
from ..domain import Floats, as_floats, check, unwrap
from ..either import at_least_once
from ..formula import Number, equation, symbolic

_SUM = 1e-9  # how far the sum of probabilities may be from 1


def probabilities(name: str, values: ArrayLike) -> Floats:
    """``values`` as float64 if they are a probability law on the last axis, else ValueError."""
    law = as_floats(name, values)
    total = law.sum(axis=-1) if law.ndim else np.nan
    if not ((np.abs(total - 1.0) <= _SUM).all() and (law >= 0.0).all()):
        raise ValueError(f"{name} must be >= 0 and sum to 1 on its last axis")
    return law


def round_length_pmf(law: AcceptanceLaw, gamma: int) -> Floats:
    """P(N = n), n = 1..gamma + 1, of any acceptance law, shape (*law.shape, gamma + 1).

    The differences of its survival: a round of n tokens has n - 1 accepted drafts.
    """
    survival = law.survival(int(check("gamma", gamma, whole=True)))
    return np.asarray(np.concatenate([-np.diff(survival), survival[..., -1:]], axis=-1))


def round_moments(pmf: Floats) -> tuple[Floats, Floats, Floats]:
    """(mu, f_2, f_3) of round lengths, each of shape pmf.shape[:-1]."""
    pmf = probabilities("pmf", pmf)
    n = np.arange(1.0, pmf.shape[-1] + 1.0)
    second, third = n * (n - 1.0), n * (n - 1.0) * (n - 2.0)
    return tuple(np.asarray((pmf * w).sum(axis=-1)) for w in (n, second, third))  # type: ignore[return-value]


def rounds_moments(pmf: Floats, length: int) -> tuple[Floats, Floats]:
    """Exact (mean, variance) of the rounds for ``length`` tokens, shapes pmf.shape[:-1].

    pmf: P(N = n), n = 1..gamma + 1, on the last axis; length: whole number >= 1 [token].
    By the recursion m(L) = 1 + sum of P(N = n) m(L - n), and the one of the variance by
    conditioning on the first round: Var R(L) = E[Var R(L - N)] + Var E[R(L - N)].
    """
    pmf = probabilities("pmf", pmf)
    size, width = int(check("length", length)), pmf.shape[-1]
    mean = np.zeros((*pmf.shape[:-1], size + width))  # index width - 1 + L; 0 for L <= 0
    variance = np.zeros_like(mean)
    for left in range(1, size + 1):
        window = slice(left - 1, left + width - 1)  # remaining L - width .. L - 1
        past_mean, past_var = mean[..., window][..., ::-1], variance[..., window][..., ::-1]
        rest = (pmf * past_mean).sum(axis=-1)
        spread = (pmf * (past_mean - rest[..., None]) ** 2).sum(axis=-1)
        mean[..., width - 1 + left] = 1.0 + rest
        variance[..., width - 1 + left] = (pmf * past_var).sum(axis=-1) + spread
    return mean[..., width - 1 + size], variance[..., width - 1 + size]


def rounds_pmf(pmf: Floats, length: int) -> Floats:
    """Exact P(R = r), r = 0..length, on a new last axis, shape (*pmf.shape[:-1], length + 1).

    pmf: P(N = n), n = 1..gamma + 1; length: whole number >= 1 [token]. Walks the law of the tokens
    made so far round by round; takes at most length (gamma + 1) additions of length-sized rows.
    """
    pmf = probabilities("pmf", pmf)
    size, width = int(check("length", length)), pmf.shape[-1]
    made = np.zeros((*pmf.shape[:-1], size))  # made[t] = P(t tokens so far, t < length)
    made[..., 0] = 1.0
    # tail[t] = P(N >= length - t): the round that starts at t is the last
    survival = np.cumsum(pmf[..., ::-1], axis=-1)[..., ::-1]
    tail = np.zeros_like(made)
    reach = min(width, size)
    tail[..., size - reach :] = survival[..., :reach][..., ::-1]
    result = np.zeros((*pmf.shape[:-1], size + 1))
    for r in range(1, size + 1):
        result[..., r] = (made * tail).sum(axis=-1)
        after = np.zeros_like(made)
        for n in range(1, reach + (reach < size)):
            after[..., n:] += pmf[..., n - 1 : n] * made[..., : size - n]
        made = after
        if not made.any():
            break
    return result


def rounds_quantile(distribution: Floats, probability: ArrayLike) -> NDArray[np.int64]:
    """Smallest r with P(R <= r) >= probability, shape (*distribution.shape[:-1], *probabilities).

    distribution: P(R = r), r = 0, 1, ...; probability: in [0, 1], any shape. Raises ValueError
    outside it. Sums within 1e-12 of the asked probability count as reaching it.
    """
    asked = check("z", probability, label="probability")
    cumulative = np.cumsum(probabilities("distribution", distribution), axis=-1)
    # The top of the sum is rounding away from 1.
    short = cumulative[..., None, :] < (np.atleast_1d(asked)[:, None] - 1e-12)
    index = np.minimum(short.sum(axis=-1), distribution.shape[-1] - 1)
    return np.asarray(index.reshape((*distribution.shape[:-1], *asked.shape)), dtype=np.int64)


@equation(r"\mathrm{E}[\min N]", group="requests", alpha=0.9, gamma=5, batch=4)
def lockstep_tokens(alpha: Number, gamma: Number, batch: Number) -> Number:
    """Tokens per round when every sequence of a batch is cut to the shortest: acceptance alpha^B.

    Assumes: independent sequences with one acceptance probability.
    Wrong when: the engine lets sequences advance by different amounts, as most do.
    Source: derived here; batches of unequal advance are the subject of arXiv:2404.15778.
    Returns: in [1, gamma + 1]; gamma + 1 at alpha = 1.
    """
    if symbolic(alpha, gamma):
        return (1 - alpha ** (batch * (gamma + 1))) / (1 - alpha**batch)
    a, g, rows = alpha, gamma, batch
    with np.errstate(divide="ignore", invalid="ignore"):
        log_ratio = rows * np.log(a)  # not the log of alpha^B, whose digits are gone near 1
        total = np.expm1((g + 1.0) * log_ratio) / np.expm1(log_ratio)
    return np.where(a == 1.0, g + 1.0, total)


@equation(r"\mathrm{E}[\max N]", group="requests", whole=("gamma",), broadcast=True, alpha=0.9,
          gamma=5, batch=4)  # fmt: skip
def longest_round(alpha: Number, gamma: Number, batch: Number) -> Number:
    """Mean of the most tokens that any sequence of a batch emits in one round.

    Assumes: independent sequences with one acceptance probability.
    Wrong when: sequences share a prompt, so that their acceptance moves together.
    Source: derived here from the survival of a maximum.
    Returns: in [E[N], gamma + 1]; takes gamma steps.
    """
    if symbolic(alpha, gamma):
        import sympy

        k = sympy.Dummy("k", integer=True, nonnegative=True)
        return 1 + sympy.Sum(1 - (1 - alpha**k) ** batch, (k, 1, gamma))
    a, g, rows = alpha, gamma, batch
    total, reached = np.ones(a.shape), np.ones(a.shape)
    for n in range(1, int(g.max(initial=0.0)) + 1):
        reached = reached * a
        total = total + np.where(n <= g, at_least_once(reached, rows), 0.0)
    return total


def completion_rounds(distribution: Floats, batch: int | None = None) -> Any:
    """E[max R], the mean rounds until a whole batch is done. As :func:`completion_pmf`."""
    mass = probabilities("distribution", distribution)
    return unwrap(np.asarray(_survival_of_maximum(mass, batch).sum(axis=-1)))


def _survival_of_maximum(mass: Floats, batch: int | None) -> Floats:
    """P(max R > r), r = 0, 1, ...; through P(R > r), so that small tails keep their digits."""
    if batch is None and mass.ndim < 2:
        raise ValueError("give a batch, or one distribution per sequence")
    tail = np.cumsum(mass[..., ::-1], axis=-1)[..., ::-1]
    above = np.concatenate([tail[..., 1:], np.zeros((*mass.shape[:-1], 1))], axis=-1)
    with np.errstate(divide="ignore"):  # P(R > r) = 1: log 0, and the maximum exceeds r surely
        logs = np.log1p(-np.minimum(above, 1.0))
    total = logs.sum(axis=-2) if batch is None else logs * float(check("batch", batch))
    return np.asarray(-np.expm1(total))
