r"""Several sequences decoded together: the last to finish, and rounds cut to the shortest.

E[max R] = sum over r of 1 - P(R <= r)^B
E[min N] = (1 - alpha^{B (gamma+1)}) / (1 - alpha^B)      lockstep: acceptance alpha^B
E[max N] = sum over n <= gamma of 1 - (1 - alpha^n)^B     the most that any sequence emits
"""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import ArrayLike

from ..domain import Floats, check, unwrap
from ..formula import Number, equation, symbolic
from ..rounds import geometric_sum
from .distribution import probabilities


@equation(r"\mathrm{E}[\min N]", group="requests", alpha=0.9, gamma=5, batch=4)
def lockstep_tokens(alpha: Number, gamma: Number, batch: Number) -> Number:
    """Tokens per round when every sequence of a batch is cut to the shortest: acceptance alpha^B.

    Assumes: independent sequences with one acceptance probability.
    Wrong when: the engine lets sequences advance by different amounts, as most do.
    Source: derived here; batches of unequal advance are the subject of arXiv:2404.15778.
    Returns: E[min N] over the batch [token], in [1, gamma + 1]; gamma + 1 at alpha = 1.
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
    Returns: E[max N] over the batch [token], in [E[N], gamma + 1].
    """
    if symbolic(alpha, gamma):
        import sympy

        k = sympy.Dummy("k", integer=True, nonnegative=True)
        return 1 + sympy.Sum(1 - (1 - alpha**k) ** batch, (k, 1, gamma))
    a, g, rows = alpha, gamma, batch
    total, reached = np.ones(a.shape), np.ones(a.shape)
    for n in range(1, int(g.max(initial=0.0)) + 1):
        reached = reached * a
        with np.errstate(divide="ignore"):  # alpha = 1: log 0, and the term is 1
            term = -np.expm1(rows * np.log1p(-reached))
        total = total + np.where(n <= g, term, 0.0)
    return total


def lockstep_penalty(alpha: ArrayLike, gamma: ArrayLike, batch: ArrayLike) -> Any:
    """E[min N] / E[N], the share of tokens per round that lockstep keeps, in (0, 1].

    Arguments as in :func:`lockstep_tokens`.
    """
    own = geometric_sum(check("alpha", alpha), check("gamma", gamma) + 1.0)
    return unwrap(np.asarray(lockstep_tokens(alpha, gamma, batch) / own))


def completion_pmf(distribution: Floats, batch: int | None = None) -> Floats:
    """P(max R = r) of the rounds until a whole batch is done, on the last axis.

    distribution: P(R = r), r = 0, 1, ... on the last axis. With ``batch`` every one of that many
    sequences has this law; without it the axis before the last holds one law per sequence.
    Raises ValueError where neither is the case, and for laws that do not sum to 1.
    """
    mass = probabilities("distribution", distribution)
    survival = _survival_of_maximum(mass, batch)
    above = np.concatenate([np.ones((*survival.shape[:-1], 1)), survival[..., :-1]], axis=-1)
    return np.asarray(above - survival)


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
