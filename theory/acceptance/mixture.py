r"""Acceptance drawn anew in every round from a Beta law: some rounds are easy, some are hard.

    s_k     = B(a + k, b) / B(a, b) = a (a + 1) ... (a + k - 1) / ((a + b) ... (a + b + k - 1))
    alpha_k = (a + k - 1) / (a + b + k - 1), rising with depth: a round that got far is an easy one
    E[N]    = (a + b - 1 - (a + b + gamma) s_{gamma+1}) / (b - 1),  with its limit at b = 1

a and b are the shapes of the Beta law for accepting and for rejecting; the mean is a / (a + b).
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from ..domain import Floats, Parameters, as_floats, check
from ..formula import Number, equation, symbolic
from .counts import RoundCounts
from .law import count_accepted, single


@equation("s_k", group="acceptance laws", broadcast=True, shape_accept=6, shape_reject=2.5,
          position=3)  # fmt: skip
def beta_survival(shape_accept: Number, shape_reject: Number, position: Number) -> Number:
    """Probability that the first k draft tokens survive, each round drawing alpha from a Beta law.

    Assumes: alpha is constant within a round, drawn independently for each round.
    Wrong when: easy stretches last longer than a round (bursts), or requests differ for good.
    Source: derived here; the moments of the Beta law.
    Returns: in [0, 1]; a product over the positions, so that no difference of log-gammas cancels.
    """
    a, b, k = shape_accept, shape_reject, position
    if symbolic(shape_accept, shape_reject):
        import sympy

        return sympy.rf(a, k) / sympy.rf(a + b, k)  # rising factorials
    value = np.ones(k.shape)
    for j in range(1, int(k.max(initial=0.0)) + 1):
        value = np.where(j <= k, value * beta_conditional_rate(a, b, j), value)
    return value


@equation(r"\alpha_k", group="acceptance laws", shape_accept=6, shape_reject=2.5, position=3)
def beta_conditional_rate(shape_accept: Number, shape_reject: Number, position: Number) -> Number:
    """Acceptance probability of the k-th draft token given those before it; rises with depth.

    Assumes: alpha is constant within a round, drawn from a Beta law for each round.
    Wrong when: the draft degrades with depth, which makes rates fall.
    Source: derived here as a ratio of successive moments of the Beta law.
    Returns: in (0, 1].
    """
    before = shape_accept + (position - 1)
    return before / (before + shape_reject)


@equation(r"\mathrm{E}[N]", group="acceptance laws", whole=("gamma",), broadcast=True,
          shape_accept=6, shape_reject=2.5, gamma=5)  # fmt: skip
def beta_tokens(shape_accept: Number, shape_reject: Number, gamma: Number) -> Number:
    """Mean tokens per round when each round draws its acceptance probability from a Beta law.

    At least the tokens of independent acceptance with the same mean, since alpha^k is convex.

    Assumes: alpha is constant within a round, drawn independently for each round.
    Wrong when: easy stretches last longer than a round, or requests differ for good.
    Source: derived here by summing the moments of the Beta law; a digamma difference at b = 1.
    Returns: in [1, gamma + 1]; summed with positive terms, because the closed form is a difference
    that cancels near b = 1. Time grows with the largest gamma.
    """
    a, b, g = shape_accept, shape_reject, gamma
    if symbolic(shape_accept, shape_reject):
        import sympy

        next_survival = beta_survival(a, b, g + 1)
        general = (a + b - 1 - (a + b + g) * next_survival) / (b - 1)
        at_one = a * (sympy.digamma(a + g + 1) - sympy.digamma(a))
        return sympy.Piecewise((general, sympy.Ne(b, 1)), (at_one, True))
    total, survival = np.ones(g.shape), np.ones(g.shape)
    for k in range(1, int(g.max(initial=0.0)) + 1):
        survival = survival * beta_conditional_rate(a, b, k)
        total = total + np.where(k <= g, survival, 0.0)
    return total


@equation(r"\lim_{\gamma\to\infty}\mathrm{E}[N]", group="acceptance laws", broadcast=True,
          shape_accept=6, shape_reject=2.5)  # fmt: skip
def beta_tokens_limit(shape_accept: Number, shape_reject: Number) -> Number:
    """Tokens per round of endless drafts when each round draws alpha from a Beta law.

    Assumes: as for beta_tokens, and b > 1; at b <= 1 the tokens grow without bound.
    Wrong when: easy stretches last longer than a round, or requests differ for good.
    Source: derived here as the mean of 1 / (1 - alpha).
    Returns: inf for b <= 1.
    """
    if symbolic(shape_accept, shape_reject):
        return (shape_accept + shape_reject - 1) / (shape_reject - 1)
    a, b = shape_accept, shape_reject
    value = np.divide(a, b - 1.0, out=np.full(b.shape, np.inf), where=b > 1.0)
    return 1.0 + value


@dataclass(frozen=True)
class BetaRoundAcceptance(Parameters):
    """Acceptance probability drawn afresh for every round from Beta(shape_accept, shape_reject).

    Both shapes > 0; arrays of parameters broadcast. Raises ValueError outside that range.
    """

    shape_accept: ArrayLike
    shape_reject: ArrayLike

    def survival(self, gamma: int) -> Floats:
        g = int(check("gamma", gamma, whole=True))
        a, b = self.columns()
        rates = np.asarray(beta_conditional_rate(a, b, np.arange(1.0, g + 1.0)))
        return np.concatenate([np.ones((*self.shape, 1)), np.cumprod(rates, axis=-1)], axis=-1)

    def draw(self, rng: np.random.Generator, *, gamma: int, rounds: int) -> NDArray[np.int64]:
        single(self)
        a, b = as_floats("a", self.shape_accept), as_floats("b", self.shape_reject)
        alpha = rng.beta(a, b, (rounds, 1))
        return count_accepted(rng.random((rounds, gamma)) < alpha)


def beta_round_log_likelihood(law: BetaRoundAcceptance, counts: RoundCounts) -> float:
    """Log-probability of the counts under the law; the counts by position are sufficient."""
    tried, kept = (x.astype(np.float64) for x in counts.by_position())
    rates = beta_conditional_rate(
        law.shape_accept, law.shape_reject, np.arange(1.0, tried.size + 1.0)
    )
    return float(np.sum(kept * np.log(rates) + (tried - kept) * np.log1p(-rates)))


def fit_beta_round(counts: RoundCounts) -> BetaRoundAcceptance:
    """Maximum-likelihood Beta law of rounds, from rates that rise with depth.

    Raises ValueError where fewer than two positions were reached or one outcome never occurred.
    Where the rates do not rise, the likelihood grows towards independent acceptance, and the
    shapes end at a + b = 1e6, which is that for every practical gamma.
    """
    tried, kept = counts.by_position()
    if (tried > 0).sum() < 2 or kept.sum() == 0 or kept.sum() == tried.sum():
        raise ValueError("fitting a Beta law of rounds needs accepted and rejected tokens at depth")
    a, b = maximise_beta(
        lambda a, b: beta_round_log_likelihood(BetaRoundAcceptance(a, b), counts),
        float(kept.sum() / tried.sum()),
    )
    return BetaRoundAcceptance(a, b)


def maximise_beta(likelihood: Any, mean: float) -> tuple[float, float]:
    """Shapes (a, b) with the largest likelihood(a, b), 1e-2 <= a + b <= 1e6, from a start mean."""
    from scipy.optimize import minimize

    def loss(x: Floats) -> float:
        m, total = 1.0 / (1.0 + np.exp(-x[0])), np.exp(x[1])
        return -float(likelihood(m * total, (1.0 - m) * total))

    logit = float(np.log(mean / (1.0 - mean)))
    ends = [
        minimize(
            loss,
            np.array([logit, np.log(total)]),
            method="Nelder-Mead",
            bounds=[(-20.0, 20.0), (np.log(1e-2), np.log(1e6))],
            options={"xatol": 1e-7, "fatol": 1e-9, "maxiter": 2000},
        )
        for total in (2.0, 50.0)
    ]
    best = min(ends, key=lambda end: float(end.fun))
    m, total = 1.0 / (1.0 + np.exp(-best.x[0])), np.exp(best.x[1])
    return float(m * total), float((1.0 - m) * total)
