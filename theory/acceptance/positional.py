"""A table of conditional rates, one per draft position, and rates that change geometrically.

    s_k = alpha_1 ... alpha_k,   E[N] = sum of s_k over k = 0..gamma

Exact for the gamma at which it was measured, whatever makes the rates differ. It says nothing
about positions beyond the table: those need a rule, and the rule is an assumption.

Acceptance that changes geometrically with depth: tokens per round, and the fit.

    E[N] = sum over k = 0..gamma of prod over j = 1..k of min(1, alpha decay^(j-1))

The law itself is :class:`~.law.DepthAcceptance`; decay = 1 is independent acceptance.

Beyond the depth that acceptance was seen at, a fall continues and a rise dies out (`trend`): rises
of published pairs come from rounds of some five draft tokens; one that continued for ever would
promise long drafts that nobody has seen.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

import numpy as np
from numpy.typing import ArrayLike, NDArray

from ..domain import Floats, as_floats, check
from ..formula import Number, equation, symbolic
from .counts import RoundCounts
from .law import DepthAcceptance, conditional_rate, count_accepted, single

Extension = Literal["refuse", "last", "none"]
_SEEN = 5  # draft tokens of a round in most published measurements
# Share of a rise that is left from one position beyond the measured ones to the next: a choice, so
# that a rise adds at most 0.7 / 0.3 = 2.3 further steps of itself.
_DAMPING = 0.7


@dataclass(frozen=True, eq=False)
class PositionalAcceptance:
    """Acceptance by a table of conditional rates.

    rates: alpha_1..alpha_m on the last axis, in [0, 1], shape (*shape, m).
    extension: what holds beyond position m. "refuse" (the default) raises ValueError, "last" goes
    on with alpha_m, "none" accepts nothing there, the cautious lower bound.
    Raises ValueError outside the ranges.
    """

    rates: ArrayLike
    extension: Extension = "refuse"

    def __post_init__(self) -> None:
        table = check("alpha", self.rates, label="rates")
        if table.ndim == 0 or table.shape[-1] == 0:
            raise ValueError(f"rates must have one value per position, got shape {table.shape}")
        if self.extension not in ("refuse", "last", "none"):
            raise ValueError(
                f"extension must be 'refuse', 'last' or 'none', got {self.extension!r}"
            )

    @property
    def shape(self) -> tuple[int, ...]:
        return np.shape(self.rates)[:-1]

    def conditional(self, gamma: int) -> Floats:
        """alpha_1..alpha_gamma on the last axis, shape (*shape, gamma).

        Raises ValueError where gamma exceeds the table and no rule for that was chosen.
        """
        g = int(check("gamma", gamma, whole=True))
        table = as_floats("rates", self.rates)
        beyond = g - table.shape[-1]
        if beyond <= 0:
            return table[..., :g]
        if self.extension == "refuse":
            raise ValueError(
                f"gamma must be in [0, {table.shape[-1]}], the positions of the table, got {g}; "
                "choose an extension to go further"
            )
        fill = table[..., -1:] if self.extension == "last" else np.zeros((*self.shape, 1))
        return np.concatenate([table, np.repeat(fill, beyond, axis=-1)], axis=-1)

    def survival(self, gamma: int) -> Floats:
        start = np.ones((*self.shape, 1))
        return np.concatenate([start, np.cumprod(self.conditional(gamma), axis=-1)], axis=-1)

    def draw(self, rng: np.random.Generator, *, gamma: int, rounds: int) -> NDArray[np.int64]:
        single(self)
        return count_accepted(rng.random((rounds, gamma)) < self.conditional(gamma))


@dataclass(frozen=True, eq=False)
class PositionalEstimate:
    """Conditional rates and survival by position, shape (positions,) each.

    tried, accepted: draft tokens that were decided at each position, and accepted there.
    rates, rate_variance: maximum-likelihood alpha_k and its variance.
    survival, survival_variance: s_k and its variance by Greenwood's formula.
    """

    tried: Floats
    accepted: Floats
    rates: Floats
    rate_variance: Floats
    survival: Floats
    survival_variance: Floats

    def law(self, extension: Extension = "refuse") -> PositionalAcceptance:
        """The estimate as an acceptance law."""
        return PositionalAcceptance(self.rates, extension)

    def draw_law(
        self, rng: np.random.Generator, *, draws: int, extension: Extension = "refuse"
    ) -> PositionalAcceptance:
        """A posterior sample of the law under Jeffreys' prior, parameters of shape (draws,).

        The positions are independent given the counts, since each conditional rate has its own
        trials. Rounds are taken as independent; see `selection.resample_requests` otherwise.
        """
        lost = self.tried - self.accepted
        size = (draws, self.tried.size)
        return PositionalAcceptance(rng.beta(self.accepted + 0.5, lost + 0.5, size), extension)


def estimate_positional(counts: RoundCounts) -> PositionalEstimate:
    """Maximum-likelihood conditional rates and survival by position, with censored rounds.

    alpha_k is accepted_k / tried_k, where a round tries position k only if it drafted that far and
    accepted all before it. s_k is their product (the Kaplan-Meier estimate) and

        Var s_k = s_k^2 sum of (1 - alpha_j) / (alpha_j tried_j) over j <= k   (Greenwood).

    Only positions that were tried are listed. Raises ValueError where nothing was drafted. How many
    tokens a round drafts must not be chosen with knowledge of their acceptance.
    Source: Kaplan and Meier 1958 for censored survival, applied here to rounds.
    """
    tried, kept = (x.astype(np.float64) for x in counts.by_position())
    tried, kept = tried[tried > 0], kept[tried > 0]
    if tried.size == 0:
        raise ValueError("the counts hold no drafted token")
    rates = kept / tried
    survival = np.asarray(np.cumprod(rates), np.float64)
    # Where a rate is 0 the survival is 0 from there on, and so is its plug-in variance.
    lost = np.divide(1.0 - rates, kept, out=np.zeros_like(rates), where=kept > 0.0)
    return PositionalEstimate(
        tried, kept, rates, rates * (1.0 - rates) / tried, survival, survival**2 * np.cumsum(lost)
    )


@equation(r"\mathrm{E}[N]", group="acceptance laws", whole=("gamma",), broadcast=True, alpha=0.8,
          decay=0.95, gamma=5)  # fmt: skip
def depth_tokens(alpha: Number, decay: Number, gamma: Number) -> Number:
    """Mean tokens per round when the acceptance probability changes geometrically with depth.

    Assumes: the rate changes by one factor per position, and is 1 where the product exceeds 1;
    rounds independent; gamma a whole number.
    Wrong when: the depth effect saturates, or bursts rather than depth make rates differ.
    Source: derived here; decay = 1 is arXiv:2211.17192v2, equation 1.
    Returns: in [1, gamma + 1]; time grows with the largest gamma.
    """
    if symbolic(alpha, decay):
        import sympy

        j, k = sympy.symbols("j k", integer=True, positive=True, cls=sympy.Dummy)
        survival = sympy.Product(conditional_rate(alpha, decay, j), (j, 1, k))
        return 1 + sympy.Sum(survival, (k, 1, gamma))
    a, r, g = alpha, decay, gamma
    total, survival = np.ones(g.shape), np.ones(g.shape)
    for k in range(1, int(g.max(initial=0.0)) + 1):
        survival = survival * conditional_rate(a, r, k)
        total = total + np.where(k <= g, survival, 0.0)
    return total


def depth_log_likelihood(law: DepthAcceptance, counts: RoundCounts) -> float:
    """Log-probability of the counts under the law: every decided draft token is one trial."""
    tried, kept = (x.astype(np.float64) for x in counts.by_position())
    rates = conditional_rate(law.alpha, law.decay, np.arange(1.0, tried.size + 1.0))
    return float(_binomial(kept, tried - kept, rates))


def _binomial(kept: Floats, lost: Floats, rates: Floats) -> float:
    from scipy.special import xlog1py, xlogy

    with np.errstate(divide="ignore"):
        return float(np.sum(xlogy(kept, rates) + xlog1py(lost, -rates)))


def fit_depth(counts: RoundCounts) -> DepthAcceptance:
    """Maximum-likelihood depth law of the counts.

    Raises ValueError where fewer than two positions were reached, so that no depth effect can be
    seen, or nothing was accepted. A round draws on each position at most once, so the counts by
    position are sufficient.
    """
    from scipy.optimize import minimize

    tried, kept = (x.astype(np.float64) for x in counts.by_position())
    if (tried > 0).sum() < 2 or kept.sum() == 0:
        raise ValueError("fitting a depth law needs accepted tokens at two draft positions")
    position = np.arange(1.0, tried.size + 1.0)

    def loss(x: Floats) -> float:
        rates = conditional_rate(1.0 / (1.0 + np.exp(-x[0])), np.exp(x[1]), position)
        value = -_binomial(kept, tried - kept, rates)
        return value if np.isfinite(value) else 1e300

    share = (kept.sum() + 0.5) / (tried.sum() + 1.0)
    start = np.array([np.log(share / (1.0 - share)), 0.0])
    best = minimize(loss, start, method="Nelder-Mead", options={"xatol": 1e-7, "fatol": 1e-9})
    return DepthAcceptance(float(1.0 / (1.0 + np.exp(-best.x[0]))), float(np.exp(best.x[1])))


def trend(decay: Floats, steps: Floats) -> Floats:
    """Factor of a rate after so many positions beyond the measured ones, decay ** steps if falling.

    decay: factor a position; broadcasts with steps >= 0.
    """
    rising = _DAMPING * (1.0 - _DAMPING**steps) / (1.0 - _DAMPING)
    return np.asarray(decay ** np.where(decay > 1.0, rising, steps))


def damped(law: DepthAcceptance, positions: int) -> PositionalAcceptance:
    """The law at positions 1..positions, its rise dying out beyond the fifth; positions: >= 1."""
    alpha, decay = np.broadcast_arrays(np.asarray(law.alpha, float), np.asarray(law.decay, float))
    at = np.arange(float(positions))
    inside = np.minimum(at, _SEEN - 1.0)
    factor = decay[..., None] ** inside * trend(decay[..., None], at - inside)
    return PositionalAcceptance(np.minimum(alpha[..., None] * factor, 1.0))


def powered(log_hazard: ArrayLike, exponent: ArrayLike, positions: int) -> PositionalAcceptance:
    """alpha_k = exp(-exp(log_hazard) k^exponent) at k = 1..positions; shapes broadcast.

    Rejection that grows, or falls, as a power of the position; positions: >= 1.
    """
    at = np.log(np.arange(1.0, positions + 1.0))
    log_h = np.asarray(log_hazard, float)[..., None] + np.asarray(exponent, float)[..., None] * at
    return PositionalAcceptance(np.exp(-np.exp(np.minimum(log_h, 6.0))))
