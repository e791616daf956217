r"""Requests that differ in acceptance: their rounds spread more than one acceptance rate allows.

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

from ..domain import Floats, as_floats, check
from ..formula import Number, equation
from ..rounds import tokens_pmf
from .distribution import rounds_moments, rounds_pmf

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
        alpha, weight = beta_nodes(a, b, nodes)
        return cls(alpha, weight)

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


def beta_nodes(a: float, b: float, nodes: int) -> tuple[Floats, Floats]:
    """Nodes in (0, 1) and weights of the Gauss rule of Beta(a, b), each of shape (nodes,).

    From the eigenvectors of the Jacobi matrix (Golub, Welsch 1969), so that the weights sum to 1
    without a normalising constant that overflows at large a and b. ValueError for a, b <= 0.
    """
    first = float(check("request_beta_a", a, label="a"))
    second = float(check("request_beta_b", b, label="b"))
    count = int(check("position", nodes, label="nodes"))
    n, both = np.arange(1.0, count), first + second
    centre = np.empty(count)
    centre[0] = (first - second) / both
    even = 2.0 * n + both - 2.0
    centre[1:] = (first - second) * (both - 2.0) / (even * (even + 2.0))
    squared = np.empty(count - 1)
    squared[:1] = 4.0 * first * second / (both * both * (both + 1.0))
    m, even = n[1:], even[1:]
    squared[1:] = 4.0 * m * (m + second - 1.0) * (m + first - 1.0) * (m + both - 2.0)
    squared[1:] /= even * even * (even + 1.0) * (even - 1.0)
    off = np.sqrt(squared)
    values, vectors = np.linalg.eigh(np.diag(centre) + np.diag(off, 1) + np.diag(off, -1))
    weight = vectors[0] ** 2
    return np.clip(0.5 * (1.0 + values), 0.0, 1.0), weight / weight.sum()
