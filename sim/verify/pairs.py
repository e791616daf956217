r"""Explicit distributions of a target and a draft, and the tables that rounds are drawn from.

A distribution is an array of probabilities whose last axis is the vocabulary; temperature, top-k
and top-p have been applied to both models (`howspec.theory.trees.verification.sampled_from`). A
draft token x ~ q is kept with probability min(1, p(x)/q(x)); after a rejection the token comes from
the residual norm((p - q)_+) (arXiv:2211.17192, arXiv:2302.01318).

Rules on several drafts need the excess mass Z(c) and K-SEQ a constant rho,

    Z(c) = sum (p - c q)_+,   rho = (1 - Z(rho)) / (1 - Z(rho)^{1/K})

K-SEQ accepts each of K draft tokens with probability min(1, p/(rho q)) (arXiv:2310.15141). With
beta = sum min(q, p/rho) = (1 - Z(rho))/rho, the smallest lossless rho has 1 - (1 - beta)^K = rho
beta, which is the equation above; the residual is then norm((p - rho q)_+). Derived here.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike, NDArray

from ...theory.domain import Floats, as_floats, bisect
from ...theory.trees.verification import distribution, sampled_from
from . import kernels

_ATTEMPTS = 100
_LARGEST_SCALE = 1e6


@dataclass(frozen=True)
class Pair:
    """A target and a draft model over the same vocabulary of V tokens.

    target, draft: shape (V,), the same at every position (independent positions), or (V, V), row =
    previous token (a Markov model). Raises ValueError unless both are distributions of one shape.
    """

    target: Floats
    draft: Floats

    def __post_init__(self) -> None:
        p, q = distribution("target", self.target), distribution("draft", self.draft)
        if p.shape != q.shape or p.shape[-1] < 2:
            raise ValueError(
                "target and draft must share one vocabulary of 2 tokens or more, and its contexts, "
                f"got shapes {p.shape} and {q.shape}"
            )
        if p.ndim > 2 or (p.ndim == 2 and p.shape[0] != p.shape[1]):
            raise ValueError(f"a pair must have shape (V,) or (V, V), got {p.shape}")
        object.__setattr__(self, "target", p)
        object.__setattr__(self, "draft", q)

    @property
    def vocabulary(self) -> int:
        """Number of tokens V."""
        return int(self.target.shape[-1])

    @property
    def markov(self) -> bool:
        """Whether the distributions depend on the previous token."""
        return self.target.ndim == 2

    def rows(self) -> tuple[Floats, Floats]:
        """Target and draft with one row per context, shape (1, V) or (V, V)."""
        return np.atleast_2d(self.target), np.atleast_2d(self.draft)

    def after(self, token: int) -> tuple[Floats, Floats]:
        """Target and draft after a token, shape (V,) each."""
        return (self.target[token], self.draft[token]) if self.markov else (self.target, self.draft)


def zipf(vocabulary: int, *, exponent: float = 1.0) -> Floats:
    """Probabilities proportional to rank^-exponent, shape (vocabulary,), most probable first."""
    if vocabulary < 2:
        raise ValueError(f"vocabulary must be an integer in [2, inf), got {vocabulary}")
    if not 0.0 <= exponent < math.inf:
        raise ValueError(f"exponent must be in [0, inf), got {exponent}")
    weights = np.arange(1.0, vocabulary + 1.0) ** -exponent
    return np.asarray(weights / weights.sum())


def perturbed_logits(
    rng: np.random.Generator, logits: ArrayLike, *, total_variation: float
) -> Floats:
    """Draft logits: the target's plus normal noise scaled to a wanted total variation.

    logits: shape (V,) or (V, V); total_variation: in [0, 1), reached within 1e-10 in every row.
    Infinite noise puts the draft on one token, at a distance 1 - p of that token; noise that stays
    too near is drawn again, up to 100 times a row. Raises ValueError where that does not help.
    """
    x = as_floats("logits", logits)
    if not 0.0 <= total_variation < 1.0:
        raise ValueError(f"total_variation must be in [0, 1), got {total_variation}")
    rows = [_perturb(rng, row, total_variation) for row in np.atleast_2d(x)]
    return np.array(rows).reshape(x.shape)


def _perturb(rng: np.random.Generator, logits: Floats, wanted: float) -> Floats:
    from scipy.optimize import brentq

    if wanted == 0.0:
        return logits
    p = sampled_from(logits)
    for _ in range(_ATTEMPTS):
        noise = rng.standard_normal(logits.size)

        def gap(scale: float, noise: Floats = noise) -> float:
            return float(0.5 * np.abs(p - sampled_from(logits + scale * noise)).sum()) - wanted

        high = 1.0
        while gap(high) < 0.0 and high < _LARGEST_SCALE:
            high *= 2.0
        if gap(high) >= 0.0:
            return np.asarray(logits + brentq(gap, 0.0, high, xtol=1e-14, rtol=1e-14) * noise)
    raise ValueError(
        f"total_variation {wanted:g} is out of the reach of noise on these logits, "
        f"got less in {_ATTEMPTS} draws of it"
    )


def prepare(pair: Pair) -> kernels.Tables:
    """Alias tables and sorted running sums of every context; some 80 bytes a probability."""
    p, q = (np.ascontiguousarray(rows) for rows in pair.rows())
    q = np.where(q < kernels.TINY, 0.0, q)  # so that no quotient by draft mass overflows
    with np.errstate(divide="ignore", invalid="ignore", over="ignore"):
        ratio = np.where(p > 0.0, q / p, np.inf)
    order = np.argsort(ratio, axis=1, kind="stable")
    target_keep, target_alias = _alias(p)
    draft_keep, draft_alias = _alias(q)
    return kernels.Tables(
        target=p,
        draft=q,
        target_keep=target_keep,
        target_alias=target_alias,
        draft_keep=draft_keep,
        draft_alias=draft_alias,
        order=order.astype(np.int32),
        ratio=np.take_along_axis(ratio, order, axis=1),
        target_sum=_running_sum(np.take_along_axis(p, order, axis=1)),
        draft_sum=_running_sum(np.take_along_axis(q, order, axis=1)),
        support=(q > 0.0).sum(axis=1),
        draft_order=np.argsort(-q, axis=1, kind="stable").astype(np.int32),
    )


def k_seq_constants(tables: kernels.Tables, drafts: int) -> Floats:
    """The smallest lossless rho for K = drafts of every context, shape (R,), in [1, K].

    Bisection keeps the upper end, where the rule is lossless whatever the rounding.
    """
    rows = range(tables.target.shape[0])

    def lossless(rho: Floats) -> NDArray[np.bool_]:
        kept = 1.0 - np.array([kernels.excess(tables, row, rho[row]) for row in rows])
        whole: NDArray[np.bool_] = kept >= 1.0 - (1.0 - kept / rho) ** drafts
        return whole

    return bisect(lossless, np.ones(len(rows)), float(drafts))[1]


def _alias(rows: Floats) -> tuple[Floats, NDArray[np.int32]]:
    keep, alias = np.empty_like(rows), np.empty(rows.shape, np.int32)
    kernels.alias_tables(rows, keep, alias)
    return keep, alias


def _running_sum(sorted_rows: Floats) -> Floats:
    start = np.zeros((sorted_rows.shape[0], 1))
    return np.concatenate([start, np.cumsum(sorted_rows, axis=1)], axis=1)
