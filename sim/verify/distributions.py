"""Next-token distributions of a target and a draft model, given explicitly.

A distribution is an array of probabilities whose last axis is the vocabulary. A `Pair` holds the
target's p and the draft's q over the same vocabulary, either one row for every position
(independent positions, any vocabulary) or one row per previous token (a Markov language model).

The draft token x ~ q is kept with probability min(1, p(x)/q(x)), so that it is accepted with
probability sum min(p, q) = 1 - TV(p, q); after a rejection the token comes from the residual
norm((p - q)_+) (arXiv:2211.17192, arXiv:2302.01318). Both hold for the distributions that are
really sampled from: temperature, top-k and top-p are applied to both models first.

Pairs are given, or drawn at random for the simulation of verification rules.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from ...theory.domain import Floats
from ...theory.limits.rejections import total_variation as theory_total_variation
from ...theory.trees.verification import overlap, sampled_from
from ...theory.trees.verification import residual as theory_residual

_SUM_TOLERANCE = 1e-6  # a float32 softmax over a large vocabulary is off by about this


def distribution(name: str, values: ArrayLike) -> Floats:
    """Return probabilities as float64, normalised to rounding, on the last axis.

    values: shape (..., vocabulary), vocabulary >= 2, each in [0, 1], each row summing to 1 within
    1e-6. Raises ValueError with one line that names what is wrong.
    """
    try:
        p = np.array(values, dtype=np.float64)
    except (TypeError, ValueError):
        raise ValueError(f"{name} must be an array of probabilities") from None
    if p.ndim == 0 or p.shape[-1] < 2 or p.size == 0:
        raise ValueError(f"{name} must have a vocabulary of at least 2 tokens, got shape {p.shape}")
    bad = ~((p >= 0.0) & (p <= 1.0 + _SUM_TOLERANCE))  # true for NaN as well
    if bad.any():
        raise ValueError(f"{name} must hold probabilities in [0, 1], got {p[bad][0]:.12g}")
    total = p.sum(axis=-1, keepdims=True)
    off = np.abs(total - 1.0)
    if off.max() > _SUM_TOLERANCE:
        worst = total.ravel()[int(off.argmax())]
        raise ValueError(f"{name} must sum to 1 within 1e-06, got {worst:.12g}")
    return np.asarray(p / total)


@dataclass(frozen=True)
class Pair:
    """A target and a draft model over the same vocabulary of V tokens.

    target, draft: shape (V,), the same at every position, or (V, V), row = previous token.
    Raises ValueError unless both are distributions of the same shape.
    """

    target: Floats
    draft: Floats

    def __post_init__(self) -> None:
        p, q = distribution("target", self.target), distribution("draft", self.draft)
        if p.shape != q.shape:
            raise ValueError(
                "target and draft must share one vocabulary and its contexts, "
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


def acceptance(target: ArrayLike, draft: ArrayLike) -> Any:
    """sum min(p, q) on the last axis: the acceptance probability of one sampled draft token.

    Shapes broadcast except for the vocabulary; returns values in [0, 1], a float for one pair.
    """
    return overlap(*_matched(target, draft))


def total_variation(target: ArrayLike, draft: ArrayLike) -> Any:
    """Half the absolute difference of p and q on the last axis, in [0, 1]."""
    return theory_total_variation(*_matched(target, draft))


def residual(target: ArrayLike, draft: ArrayLike) -> Floats:
    """norm((p - q)_+): the law of the token after a rejection, shape of the broadcast inputs.

    Where p = q nothing is ever rejected and the residual is of no consequence; it is p there.
    """
    return theory_residual(*_matched(target, draft))


def greedy(values: ArrayLike) -> Floats:
    """One-hot at the most probable token (the first of equals): the draft that never samples.

    A drafter that takes its argmax has this distribution, whatever its softmax says; its token is
    accepted with probability p(argmax q).
    """
    p = distribution("distribution", values)
    return _one_hot(p)


def sampling_distribution(
    logits: ArrayLike,
    *,
    temperature: float = 1.0,
    top_k: int | None = None,
    top_p: float = 1.0,
) -> Floats:
    """Probabilities after temperature, then top-k, then top-p, on the last axis of the logits.

    logits: shape (..., vocabulary), finite or -inf (a token that cannot occur), not all -inf.
    temperature: >= 0; 0 is the argmax. top_k: >= 1, keeps the k largest, and ties with the last of
    them; None keeps all. top_p: in (0, 1], keeps the smallest set of most probable tokens that
    holds at least this mass, the token that crosses it included.
    Raises ValueError outside these ranges.
    """
    x = checked_logits("logits", logits)
    return sampled_from(x, temperature=temperature, top_k=top_k, top_p=top_p)


def pair_from_logits(
    target_logits: ArrayLike,
    draft_logits: ArrayLike,
    *,
    temperature: float = 1.0,
    top_k: int | None = None,
    top_p: float = 1.0,
) -> Pair:
    """The pair after the same sampling transforms on both models.

    logits: shape (V,) or (V, V), as in `sampling_distribution`, whose errors are raised. Each model
    keeps its own top-k or top-p set, so that the sets may differ and lower the acceptance.
    """
    target = sampling_distribution(target_logits, temperature=temperature, top_k=top_k, top_p=top_p)
    draft = sampling_distribution(draft_logits, temperature=temperature, top_k=top_k, top_p=top_p)
    return Pair(target, draft)


def _one_hot(values: Floats) -> Floats:
    """1 at the largest value of the last axis, the first of equals, else 0."""
    hot = np.zeros_like(values)
    np.put_along_axis(hot, values.argmax(axis=-1, keepdims=True), 1.0, axis=-1)
    return hot


def checked_logits(name: str, values: ArrayLike) -> Floats:
    """Return logits as float64; ValueError for NaN, +inf, a row of -inf or fewer than 2 tokens."""
    try:
        x = np.array(values, dtype=np.float64)
    except (TypeError, ValueError):
        raise ValueError(f"{name} must be an array of numbers") from None
    if x.ndim == 0 or x.shape[-1] < 2 or x.size == 0:
        raise ValueError(f"{name} must have a vocabulary of at least 2 tokens, got shape {x.shape}")
    bad: NDArray[np.bool_] = np.isnan(x) | (x == np.inf)
    if bad.any():
        raise ValueError(f"{name} must be finite or -inf, got {x[bad][0]}")
    if np.isneginf(x).all(axis=-1).any():
        raise ValueError(f"{name} must leave at least one token possible, got a row of -inf")
    return x


def softmax(x: Floats) -> Floats:
    """Probabilities of logits on the last axis, -inf giving 0."""
    e = np.exp(x - x.max(axis=-1, keepdims=True))
    return np.asarray(e / e.sum(axis=-1, keepdims=True))


def _matched(target: ArrayLike, draft: ArrayLike) -> tuple[Floats, Floats]:
    p, q = distribution("target", target), distribution("draft", draft)
    if p.shape[-1] != q.shape[-1]:
        raise ValueError(
            "target and draft must share one vocabulary, "
            f"got {p.shape[-1]} and {q.shape[-1]} tokens"
        )
    return p, q


_ATTEMPTS = 100
_LARGEST_SCALE = 1e6


def zipf(vocabulary: int, *, exponent: float = 1.0) -> Floats:
    """Probabilities proportional to rank^-exponent, shape (vocabulary,), most probable first."""
    if vocabulary < 2:
        raise ValueError(f"vocabulary must be an integer in [2, inf), got {vocabulary}")
    if not 0.0 <= exponent < math.inf:
        raise ValueError(f"exponent must be in [0, inf), got {exponent}")
    weights = np.arange(1.0, vocabulary + 1.0) ** -exponent
    return np.asarray(weights / weights.sum())


def dirichlet_pair(
    rng: np.random.Generator,
    *,
    vocabulary: int,
    concentration: float = 1.0,
    markov: bool = False,
) -> Pair:
    """Target and draft drawn independently from a symmetric Dirichlet law.

    concentration: > 0, of each token; small values give peaked distributions. With markov, one
    row per previous token. Raises ValueError outside these ranges.
    """
    if vocabulary < 2:
        raise ValueError(f"vocabulary must be an integer in [2, inf), got {vocabulary}")
    if not 0.0 < concentration < math.inf:
        raise ValueError(f"concentration must be in (0, inf), got {concentration}")
    size = vocabulary if markov else None
    weights = np.full(vocabulary, concentration)
    return Pair(rng.dirichlet(weights, size), rng.dirichlet(weights, size))


def perturbed_logits(
    rng: np.random.Generator, logits: ArrayLike, *, total_variation: float
) -> Floats:
    """Draft logits: the target's plus normal noise scaled to a wanted total variation.

    logits: shape (V,) or (V, V); total_variation: in [0, 1), reached within 1e-10 in every row.
    Infinite noise puts the draft on one token, at a distance 1 - p of that token; noise that stays
    too near is drawn again, up to 100 times a row. Raises ValueError where that does not help.
    """
    x = checked_logits("logits", logits)
    if not 0.0 <= total_variation < 1.0:
        raise ValueError(f"total_variation must be in [0, 1), got {total_variation}")
    rows = [_perturb(rng, row, total_variation) for row in np.atleast_2d(x)]
    return np.array(rows).reshape(x.shape)


def _perturb(rng: np.random.Generator, logits: Floats, wanted: float) -> Floats:
    from scipy.optimize import brentq

    if wanted == 0.0:
        return logits
    p = softmax(logits)
    for _ in range(_ATTEMPTS):
        noise = rng.standard_normal(logits.size)

        def gap(scale: float, noise: Floats = noise) -> float:
            return float(0.5 * np.abs(p - softmax(logits + scale * noise)).sum()) - wanted

        high = 1.0
        while gap(high) < 0.0 and high < _LARGEST_SCALE:
            high *= 2.0
        if gap(high) >= 0.0:
            return np.asarray(logits + brentq(gap, 0.0, high, xtol=1e-14, rtol=1e-14) * noise)
    raise ValueError(
        f"total_variation {wanted:g} is out of the reach of noise on these logits, "
        f"got less in {_ATTEMPTS} draws of it"
    )
