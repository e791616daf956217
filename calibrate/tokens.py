r"""Fit of acceptance to tokens per round, or to the counts behind them.

    tau(K) = N_K(alpha, rho) = 1 + sum over k <= K of the product of min(1, alpha rho^(j-1)), j <= k

Mean tokens per round have the scatter of a measurement; counts have the likelihood of the trials
that were resolved: a draft token behind a rejected one was never put to the test.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache

import numpy as np
from numpy.typing import NDArray

from ..theory import DepthAcceptance, conditional_rate
from .grid import (
    Floats,
    Priors,
    draw_cells,
    log_scatter_prior,
    marginals,
    support,
    survival_sums,
)


@dataclass(frozen=True)
class AcceptanceFit:
    """Posterior sample of an acceptance law: alpha, decay and scatter of shape (draws,).

    scatter: relative scatter of one measured mean; 0 for a fit to counts, whose scatter is that
    of the trials.
    """

    alpha: Floats
    decay: Floats
    scatter: Floats

    def law(self) -> DepthAcceptance:
        """The sample as one law with arrays of shape (draws,)."""
        return DepthAcceptance(self.alpha, self.decay)


def _axes(size: int) -> tuple[Floats, Floats, Floats]:
    return (
        np.linspace(0.5 / size, 1.0 - 0.5 / size, size),
        np.linspace(-0.7, 0.7, 101),
        np.geomspace(5e-4, 0.12, 24),
    )


@lru_cache(maxsize=8)
def _first_sums(gammas: tuple[int, ...]) -> Floats:
    """Tokens per round on the axes of the first pass: every fit to these gammas begins there."""
    alpha, log_decay, _ = _axes(160)
    return survival_sums(alpha, np.exp(log_decay), np.array(gammas))


def _log_decay_prior(log_decay: Floats, priors: Priors) -> Floats:
    """Student's t with 1.5 degrees of freedom: narrow at heart, with tails that data can reach.

    Tokens per round show the decay directly, and some drafters change by far more than most from
    one position to the next.
    """
    z = log_decay / priors.log_decay
    return np.asarray(-1.25 * np.log1p(z * z / 1.5))


def fit_tokens(
    gammas: Sequence[int] | NDArray[np.int64],
    tokens: Sequence[float] | Floats,
    rng: np.random.Generator,
    *,
    draws: int = 2000,
    priors: Priors = Priors(),  # noqa: B008 - frozen
) -> AcceptanceFit:
    """Fit (alpha, decay) to mean tokens per round, the bonus token included.

    gammas: shape (points,), >= 1 [token]; tokens: shape (points,), in [1, gamma + 1] [token].
    One point is enough for a proper answer, which then leans on the prior of the decay.
    Raises ValueError outside these ranges.
    """
    k = np.asarray(gammas, dtype=np.int64)
    tau = np.asarray(tokens, dtype=np.float64)
    if k.ndim != 1 or k.shape != tau.shape or not k.size or k.min() < 1:
        raise ValueError(f"gammas must be whole numbers >= 1, one for each of tokens, got {k}")
    bad = ~((tau >= 1.0) & (tau <= k + 1.0))
    if bad.any():
        raise ValueError(
            f"tokens_per_round must be in [1, gamma + 1], got {tau[bad][0]} at gamma {k[bad][0]}"
        )
    alpha, log_decay, scatter = _axes(160)
    sums = _first_sums(tuple(k.tolist()))
    for last in (False, False, True):
        error = sums / tau - 1.0  # (decay, alpha, points)
        squares = (error * error).sum(-1)[..., None]
        weight = -0.5 * squares / scatter**2 - k.size * np.log(scatter)
        weight = weight + _log_decay_prior(log_decay, priors)[:, None, None]
        weight = weight + log_scatter_prior(scatter, priors)
        if not last:
            of_decay, of_alpha, of_scatter = marginals(weight)
            log_decay, alpha = support(of_decay, log_decay), support(of_alpha, alpha)
            scatter = np.exp(support(of_scatter, np.log(scatter)))
            sums = survival_sums(alpha, np.exp(log_decay), k)
    j, i, s = draw_cells(rng, weight, draws)
    return AcceptanceFit(alpha[i], np.exp(log_decay[j]), scatter[s])


def fit_counts(
    tried: Sequence[int] | NDArray[np.int64],
    accepted: Sequence[int] | NDArray[np.int64],
    rng: np.random.Generator,
    *,
    draws: int = 2000,
    priors: Priors = Priors(),  # noqa: B008 - frozen
) -> AcceptanceFit:
    """Fit (alpha, decay) to counts by draft position, by the censored likelihood.

    tried, accepted: shape (positions,): how often the draft token at that position was put to the
    test (all before it in the round accepted) and how often it was accepted; the `by_position` of
    `howspec.theory.acceptance.RoundCounts`, or an engine's counts. Counts of several gammas add up.
    Assumes independent rounds: where requests differ, the interval is too narrow.
    Raises ValueError for counts that cannot be.
    """
    trials, kept = np.asarray(tried, dtype=np.float64), np.asarray(accepted, dtype=np.float64)
    if trials.ndim != 1 or trials.shape != kept.shape or not trials.size:
        raise ValueError(
            "tried and accepted must be one count a draft position, "
            f"got shapes {trials.shape} and {kept.shape}"
        )
    bad = ~((kept >= 0) & (kept <= trials) & np.isfinite(trials))
    if bad.any() or trials[0] < 1:
        at = int(bad.argmax())
        raise ValueError(
            f"accepted must be in [0, tried], with something tried, got {kept[at]:g} of "
            f"{trials[at]:g} at position {at + 1}"
        )
    depth = trials.size
    alpha, log_decay, _ = _axes(400)
    for last in (False, False, True):
        rates = conditional_rate(
            alpha[None, :, None], np.exp(log_decay)[:, None, None], np.arange(1.0, depth + 1.0)
        )
        with np.errstate(divide="ignore", invalid="ignore"):
            won = np.where(kept > 0, kept * np.log(rates), 0.0)
            lost = np.where(trials > kept, (trials - kept) * np.log1p(-rates), 0.0)
        weight = (won + lost).sum(-1) + _log_decay_prior(log_decay, priors)[:, None]
        if not last:
            of_decay, of_alpha = marginals(weight)
            log_decay, alpha = support(of_decay, log_decay), support(of_alpha, alpha)
    j, i = draw_cells(rng, weight, draws)
    return AcceptanceFit(alpha[i], np.exp(log_decay[j]), np.zeros(draws))
