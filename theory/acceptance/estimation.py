"""Estimating one acceptance probability from counts of rounds.

    alpha_hat = accepted / (accepted + rejected)
    Var(alpha_hat) = alpha (1 - alpha)^2 / (n (1 - alpha^gamma))      n rounds, independent

The denominator counts the draft tokens whose fate was decided: after a rejection the rest of the
draft says nothing, so drafted tokens are not the denominator. Rounds of one request are alike, so
the interval uses the variance between requests (sandwich) where the requests are known.

What an uncertain alpha means for the best number of draft tokens.

The real optimum carries a delta-method interval; the best whole gamma carries a probability for
each value, because an interval of a whole number hides how close the race is.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from ..domain import Floats, bisect, check
from ..either import demand
from ..formula import Number, equation
from ..optimum import best_gamma, optimal_gamma, optimal_gamma_gradient, optimum_d_alpha
from ..rounds import geometric
from .counts import RoundCounts


@equation(r"\hat{\alpha}", group="estimation", accepted_tokens=167, rejections=48)
def alpha_estimate(accepted_tokens: Number, rejections: Number) -> Number:
    """Maximum-likelihood acceptance probability from rounds cut off at gamma.

    The number of drafted tokens does not enter, so rounds of different gamma may be pooled.

    Assumes: one acceptance probability; how much a round drafts is chosen without knowing its fate.
    Wrong when: positions that no round visits are averaged in.
    Source: derived here; the likelihood is alpha^accepted (1 - alpha)^rejected.
    Returns: in [0, 1]; without a decided draft token there is none.
    """
    decided = accepted_tokens + rejections
    demand(decided > 0, "accepted_tokens + rejections must be in (0, inf)", decided)
    return accepted_tokens / decided


@equation(r"\mathrm{Var}(\hat{\alpha})", group="estimation", least={"gamma": 1}, alpha=0.8, gamma=5,
          measured_rounds=1000)  # fmt: skip
def alpha_variance(alpha: Number, gamma: Number, measured_rounds: Number) -> Number:
    """Large-sample variance of the estimated acceptance probability.

    Assumes: independent rounds, each drafting gamma tokens, one acceptance probability.
    Wrong when: rounds of one request are alike; the variance is then a multiple of this.
    Source: derived here; alpha (1 - alpha) over the expected number of decided draft tokens.
    Returns: 0 at alpha = 0 and at alpha = 1.
    """
    return alpha * (1 - alpha) / (measured_rounds * geometric(alpha, gamma))


@equation("n_{\\mathrm{r}}", group="estimation", alpha=0.8, gamma=5, halfwidth=0.01,
          z_quantile=1.96)  # fmt: skip
def rounds_to_measure(
    alpha: Number, gamma: Number, halfwidth: Number, z_quantile: Number = 1.959963984540054
) -> Number:
    """Rounds after which the interval for alpha has the wanted half-width.

    Assumes: independent rounds, each drafting gamma tokens; multiply by the design effect.
    Wrong when: alpha is so near 0 or 1 that the normal approximation fails.
    Source: derived here by solving the variance for the number of rounds.
    Returns: a real number; 0 at alpha = 0 and at alpha = 1. Multiply by the design effect of an
    :class:`AlphaEstimate` where rounds come from requests.
    """
    return (z_quantile / halfwidth) ** 2 * alpha_variance(alpha, gamma, 1)


@dataclass(frozen=True)
class AlphaEstimate:
    """An estimated acceptance probability.

    alpha: maximum-likelihood estimate. accepted, rejections: the counts behind it.
    variance: if rounds are independent. cluster_variance: from the scatter between ``clusters``,
    which are requests, or single rounds where requests are unknown.
    """

    alpha: float
    accepted: int
    rejections: int
    variance: float
    cluster_variance: float
    clusters: int

    @property
    def design_effect(self) -> float:
        """Cluster variance over independent variance, at least 1; 1 where alpha is 0 or 1.

        An estimate below 1 is chance or negative dependence; it is not used to claim precision.
        """
        if self.variance == 0.0:
            return 1.0
        return max(1.0, self.cluster_variance / self.variance)

    def posterior(
        self, prior_accept: float = 0.5, prior_reject: float = 0.5
    ) -> tuple[float, float]:
        """Shapes (a, b) of the Beta posterior at the effective number of decided draft tokens.

        The counts are divided by the design effect and by (t / z)^2, which pays for estimating the
        variance from few clusters (Korn and Graubard 1998). The default prior is Jeffreys'. With
        alpha estimated as 0 or 1 the clustering cannot be seen and counts as absent.
        """
        share = 1.0 / (self.design_effect * _few_clusters(self.clusters))
        return prior_accept + self.accepted * share, prior_reject + self.rejections * share

    def interval(self, confidence: float = 0.95) -> tuple[float, float]:
        """Equal-tailed interval of the posterior."""
        from scipy.stats import beta

        tail = 0.5 * (1.0 - check_confidence(confidence))
        a, b = self.posterior()
        return float(beta.ppf(tail, a, b)), float(beta.ppf(1.0 - tail, a, b))

    def draw(self, rng: np.random.Generator, *, draws: int) -> Floats:
        """A sample of the posterior, shape (draws,)."""
        return np.asarray(rng.beta(*self.posterior(), size=draws))


def check_confidence(confidence: float, *, label: str = "confidence") -> float:
    """Return the probability, or raise ValueError naming it unless it is in (0, 1)."""
    if not 0.0 < confidence < 1.0:
        raise ValueError(f"{label} must be in (0, 1), got {confidence}")
    return confidence


def _few_clusters(clusters: int, tail: float = 0.975) -> float:
    from scipy.stats import norm, t

    return float((t.ppf(tail, max(clusters - 1, 1)) / norm.ppf(tail)) ** 2)


def estimate_alpha(counts: RoundCounts) -> AlphaEstimate:
    """Maximum-likelihood acceptance probability of counted rounds, with both variances.

    The cluster variance is the sandwich estimate, sum over clusters of (accepted - alpha trials)^2
    over the squared number of trials, times m / (m - 1) for m clusters.
    Raises ValueError where nothing was drafted, or there is only one cluster.
    """
    kept, trials = counts.by_request()
    total = float(trials.sum())
    if total == 0.0:
        raise ValueError("the counts hold no drafted token")
    if kept.size < 2:
        raise ValueError("the counts must hold at least 2 requests, got 1")
    alpha = float(kept.sum() / total)
    residual = kept - alpha * trials
    sandwich = float(np.sum(residual**2)) / total**2 * kept.size / (kept.size - 1)
    accepted = int(kept.sum())
    return AlphaEstimate(
        alpha,
        accepted,
        int(total) - accepted,
        alpha * (1.0 - alpha) / total,
        sandwich,
        int(kept.size),
    )


def bootstrap_alpha(rng: np.random.Generator, counts: RoundCounts, *, samples: int) -> Floats:
    """Cluster bootstrap of the estimated alpha: requests drawn with replacement, shape (samples,).

    Where requests are unknown the rounds are the clusters. A sample without a decided draft token
    is drawn again from the rest, by leaving clusters without trials out from the start.
    """
    kept, trials = counts.by_request()
    kept, trials = kept[trials > 0], trials[trials > 0]
    if kept.size == 0:
        raise ValueError("the counts hold no drafted token")
    weights = rng.multinomial(kept.size, np.full(kept.size, 1.0 / kept.size), size=samples)
    return np.asarray((weights @ kept) / (weights @ trials))


@equation(r"\mathrm{Var}(\hat{\gamma}^*)", group="estimation", alpha=0.8, slope=0.05, gamma=5,
          measured_rounds=1000)  # fmt: skip
def optimal_gamma_variance(
    alpha: Number, slope: Number, gamma: Number, measured_rounds: Number
) -> Number:
    """Variance of the real optimal gamma when alpha is estimated from rounds at gamma.

    Assumes: independent rounds, one acceptance probability, costs known, an interior optimum.
    Wrong when: the optimum is so near 0 that the estimate often falls on it.
    Source: derived here by the delta method.
    Returns: in token^2; NaN where there is no interior optimum.
    """
    return optimum_d_alpha(alpha, slope) ** 2 * alpha_variance(alpha, gamma, measured_rounds)


def optimal_gamma_interval(
    estimate: AlphaEstimate,
    cost_ratio: float,
    *,
    verify_slope: float = 0.0,
    overhead: float = 0.0,
    slope_error: float = 0.0,
    confidence: float = 0.95,
) -> tuple[float, float, float]:
    """(gamma*, low, high): the real optimum and its delta-method interval [token].

    The variance of alpha is the one of the posterior, so it allows for clustered rounds.
    slope_error: standard error of the reduced cost (c + b) / (1 + o), independent of alpha, >= 0
    [target step]. Not cut at 0, so that the interval shows where the method fails; NaN where there
    is no interior optimum. Raises ValueError outside the ranges.
    """
    from scipy.stats import norm

    costs = {"verify_slope": verify_slope, "overhead": overhead}
    error = check("cost_ratio", slope_error, label="slope_error")
    centre = optimal_gamma(estimate.alpha, cost_ratio, **costs)
    by_alpha, by_slope = optimal_gamma_gradient(estimate.alpha, cost_ratio, **costs)
    a, b = estimate.posterior()
    variance = a * b / ((a + b) ** 2 * (a + b + 1.0))
    half = norm.ppf(0.5 + 0.5 * check_confidence(confidence)) * np.sqrt(
        by_alpha**2 * variance + by_slope**2 * error**2
    )
    return float(centre), float(centre - half), float(centre + half)


def best_gamma_probabilities(
    shape_accept: float,
    shape_reject: float,
    cost_ratio: float,
    *,
    verify_slope: float = 0.0,
    overhead: float = 0.0,
    gamma_max: int = 32,
) -> Floats:
    """Probability that each whole gamma in 0..gamma_max is the best, for alpha ~ Beta; sums to 1.

    shape_accept, shape_reject: > 0, shapes of the posterior of alpha; costs as in
    :func:`~..optimum.best_gamma`. Returns shape (gamma_max + 1,). Exact: the best gamma does not
    fall as alpha rises, because a longer draft gains more from a larger alpha, so each gamma owns
    one range of alpha, whose ends are found by bisection. Raises ValueError outside the ranges.
    """
    from scipy.stats import beta

    a, b = float(check("shape_accept", shape_accept)), float(check("shape_reject", shape_reject))
    wanted = np.arange(1, int(check("gamma", gamma_max, label="gamma_max", whole=True)) + 1)
    costs = {"verify_slope": verify_slope, "overhead": overhead}

    def enough(alpha: Floats) -> NDArray[np.bool_]:
        return np.asarray(best_gamma(alpha, cost_ratio, **costs, gamma_max=gamma_max) >= wanted)

    _, high = bisect(enough, np.zeros(wanted.size), np.ones(wanted.size))
    at_least = np.concatenate([[1.0], beta.sf(high, a, b), [0.0]])
    return np.asarray(at_least[:-1] - at_least[1:])
