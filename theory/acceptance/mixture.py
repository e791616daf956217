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

from ..domain import Floats, as_floats, check, unwrap
from ..formula import evaluates, formula
from ..symbols import register
from .counts import RoundCounts
from .law import count_accepted, single

register("shape_accept", "a", "shape of the Beta law of acceptance, on accepting", open_low=True)
register(
    "shape_reject",
    r"b_{\mathrm{r}}",
    "shape of the Beta law of acceptance, on rejecting",
    open_low=True,
)


@formula(
    "beta_survival", "s_k", group="acceptance laws", shape_accept=6, shape_reject=2.5, position=3
)
def BETA_SURVIVAL(s: Any) -> Any:
    """Probability that the first k draft tokens survive, each round drawing alpha from a Beta law.

    Assumes: alpha is constant within a round, drawn independently for each round.
    Wrong when: easy stretches last longer than a round (bursts), or requests differ for good.
    Source: derived here; the moments of the Beta law.
    """
    import sympy

    a, b, k = s.shape_accept, s.shape_reject, s.position
    return sympy.rf(a, k) / sympy.rf(a + b, k)  # rising factorials


@formula(
    "beta_conditional_rate", r"\alpha_k", group="acceptance laws",
    shape_accept=6, shape_reject=2.5, position=3,
)  # fmt: skip
def BETA_RATE(s: Any) -> Any:
    """Acceptance probability of the k-th draft token given those before it; rises with depth.

    Assumes: alpha is constant within a round, drawn from a Beta law for each round.
    Wrong when: the draft degrades with depth, which makes rates fall.
    Source: derived here as a ratio of successive moments of the Beta law.
    """
    before = s.shape_accept + s.position - 1
    return before / (before + s.shape_reject)


@formula(
    "beta_tokens", r"\mathrm{E}[N]", group="acceptance laws",
    shape_accept=6, shape_reject=2.5, gamma=5,
)  # fmt: skip
def BETA_TOKENS(s: Any) -> Any:
    """Mean tokens per round when each round draws its acceptance probability from a Beta law.

    At least the tokens of independent acceptance with the same mean, since alpha^k is convex.

    Assumes: alpha is constant within a round, drawn independently for each round.
    Wrong when: easy stretches last longer than a round, or requests differ for good.
    Source: derived here by summing the moments of the Beta law; a digamma difference at b = 1.
    """
    import sympy

    a, b, g = s.shape_accept, s.shape_reject, s.gamma
    next_survival = BETA_SURVIVAL.build(s).subs(s.position, g + 1)
    general = (a + b - 1 - (a + b + g) * next_survival) / (b - 1)
    at_one = a * (sympy.digamma(a + g + 1) - sympy.digamma(a))
    return sympy.Piecewise((general, sympy.Ne(b, 1)), (at_one, True))


@formula(
    "beta_tokens_limit", r"\lim_{\gamma\to\infty}\mathrm{E}[N]", group="acceptance laws",
    shape_accept=6, shape_reject=2.5,
)  # fmt: skip
def BETA_TOKENS_LIMIT(s: Any) -> Any:
    """Tokens per round of endless drafts when each round draws alpha from a Beta law.

    Assumes: as for beta_tokens, and b > 1; at b <= 1 the tokens grow without bound.
    Wrong when: easy stretches last longer than a round, or requests differ for good.
    Source: derived here as the mean of 1 / (1 - alpha).
    """
    return (s.shape_accept + s.shape_reject - 1) / (s.shape_reject - 1)


@evaluates(BETA_RATE)
def beta_conditional_rate(
    shape_accept: ArrayLike, shape_reject: ArrayLike, position: ArrayLike
) -> Any:
    """(a + k - 1) / (a + b + k - 1), in (0, 1].

    shape_accept, shape_reject: > 0; position: whole number >= 1. Shapes broadcast.
    Raises ValueError outside the ranges.
    """
    a, b = check("shape_accept", shape_accept), check("shape_reject", shape_reject)
    before = a + (check("position", position) - 1.0)
    return unwrap(before / (before + b))


@evaluates(BETA_SURVIVAL)
def beta_survival(shape_accept: ArrayLike, shape_reject: ArrayLike, position: ArrayLike) -> Any:
    """B(a + k, b) / B(a, b): probability that the first k draft tokens survive, in [0, 1].

    shape_accept, shape_reject: > 0; position: whole number >= 1. Shapes broadcast; a product over
    the positions, so no difference of log-gammas cancels. Raises ValueError outside the ranges.
    """
    a, b, k = np.broadcast_arrays(
        check("shape_accept", shape_accept),
        check("shape_reject", shape_reject),
        check("position", position),
    )
    value = np.ones(k.shape)
    for j in range(1, int(k.max(initial=0.0)) + 1):
        value = np.where(j <= k, value * beta_conditional_rate(a, b, j), value)
    return unwrap(value)


@evaluates(BETA_TOKENS)
def beta_tokens(shape_accept: ArrayLike, shape_reject: ArrayLike, gamma: ArrayLike) -> Any:
    """Mean tokens per round, alpha drawn for each round from a Beta law, in [1, gamma + 1] [token].

    shape_accept, shape_reject: > 0; gamma: whole number >= 0 [token]. Shapes broadcast; time grows
    with the largest gamma. Summed with positive terms, because the closed form is a difference
    that cancels near b = 1. Raises ValueError outside the ranges.
    """
    a, b, g = np.broadcast_arrays(
        check("shape_accept", shape_accept),
        check("shape_reject", shape_reject),
        check("gamma", gamma, whole=True),
    )
    total, survival = np.ones(g.shape), np.ones(g.shape)
    for k in range(1, int(g.max(initial=0.0)) + 1):
        survival = survival * beta_conditional_rate(a, b, k)
        total = total + np.where(k <= g, survival, 0.0)
    return unwrap(total)


@evaluates(BETA_TOKENS_LIMIT)
def beta_tokens_limit(shape_accept: ArrayLike, shape_reject: ArrayLike) -> Any:
    """Tokens per round as gamma grows: (a + b - 1) / (b - 1) for b > 1, inf for b <= 1 [token].

    shape_accept, shape_reject: > 0. Shapes broadcast; ValueError outside that range.
    """
    a, b = check("shape_accept", shape_accept), check("shape_reject", shape_reject)
    a, b = np.broadcast_arrays(a, b)
    bounded = b > 1.0
    value = 1.0 + np.divide(a, b - 1.0, out=np.full(b.shape, np.inf), where=bounded)
    return unwrap(value)


@dataclass(frozen=True)
class BetaRoundAcceptance:
    """Acceptance probability drawn afresh for every round from Beta(shape_accept, shape_reject).

    Both shapes > 0; arrays of parameters broadcast. Raises ValueError outside that range.
    """

    shape_accept: ArrayLike
    shape_reject: ArrayLike

    def __post_init__(self) -> None:
        check("shape_accept", self.shape_accept)
        check("shape_reject", self.shape_reject)

    @property
    def shape(self) -> tuple[int, ...]:
        return np.broadcast_shapes(np.shape(self.shape_accept), np.shape(self.shape_reject))

    def survival(self, gamma: int) -> Floats:
        g = int(check("gamma", gamma, whole=True))
        a = np.broadcast_to(as_floats("shape_accept", self.shape_accept), self.shape)[..., None]
        b = np.broadcast_to(as_floats("shape_reject", self.shape_reject), self.shape)[..., None]
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
