"""Which acceptance law do the counts of rounds call for?

Three tests against independent acceptance, each blind to what the others see:

    dispersion   do requests differ more than chance?   index of dispersion, chi-square
    lag one      does a round resemble the one before?  autocorrelation, permutation moments
    depth        does the rate change with depth?       conditional rates by position, chi-square

If none rejects, acceptance is taken as independent. Otherwise the laws that differ from it are
fitted and compared by their likelihood, less half a logarithm of the rounds for the second
parameter (BIC).

Uncertainty of a fitted law: refit it to requests drawn anew.

Rounds of one request resemble each other, so requests, not rounds, are drawn with replacement.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, fields
from typing import Literal, TypeVar

import numpy as np

from ..domain import Floats
from ..rounds import geometric_sum
from .counts import RoundCounts
from .estimation import check_confidence
from .heterogeneity import BetaRequestAcceptance, beta_request_log_likelihood, fit_beta_request
from .law import AcceptanceLaw, DepthAcceptance
from .markov import MarkovAcceptance, fit_markov, markov_log_likelihood
from .mixture import BetaRoundAcceptance, beta_round_log_likelihood, fit_beta_round
from .positional import depth_log_likelihood, fit_depth

Family = Literal["independent", "depth", "markov", "beta per round", "beta per request"]
_ALTERNATIVES: tuple[Family, ...] = ("depth", "markov", "beta per round", "beta per request")


@dataclass(frozen=True)
class Test:
    """A test of independent acceptance.

    effect: what is measured, in its own scale. statistic: its standardised form. p_value: the
    probability of so large a statistic under independent acceptance; 1 where it cannot be formed.
    """

    effect: float
    statistic: float
    p_value: float

    __test__ = False  # not a test case, whatever its name


NO_TEST = Test(0.0, 0.0, 1.0)


def dispersion_test(counts: RoundCounts, *, block: int = 20) -> Test:
    """Index of dispersion of accepted tokens between requests; chi-square with m - 1 degrees.

    effect: sum of (accepted - alpha trials)^2 / (alpha (1 - alpha) E[trials]) over m - 1, near 1
    under independent acceptance, larger where requests differ or bursts are long. The trials are
    random, and only their mean makes each term's mean 1. Where the counts name fewer than two
    requests, blocks of ``block`` consecutive rounds stand for them.
    """
    from scipy.stats import chi2

    code = counts.request
    if counts.requests < 2:
        code = np.minimum(np.arange(counts.rounds) // block, max(counts.rounds // block - 1, 0))
    kept = np.bincount(code, weights=counts.accepted)
    trials = np.bincount(code, weights=counts.trials)
    kept, trials, used = kept[trials > 0], trials[trials > 0], trials > 0
    if kept.size < 2 or kept.sum() in (0.0, trials.sum()):
        return NO_TEST
    alpha = kept.sum() / trials.sum()
    decided = geometric_sum(np.asarray(alpha), counts.drafted.astype(np.float64))
    expected = np.bincount(code, weights=decided)[used]
    total = float(np.sum((kept - alpha * trials) ** 2 / (alpha * (1.0 - alpha) * expected)))
    return Test(total / (kept.size - 1), total, float(chi2.sf(total, kept.size - 1)))


def lag_one_test(counts: RoundCounts) -> Test:
    """Autocorrelation of accepted tokens between successive rounds of a request; two-sided normal.

    effect: circular autocorrelation pooled over requests, around each request's own mean, so that
    requests that differ for good do not show. Its mean and variance are those over all orders of
    the rounds of each request (Wald and Wolfowitz 1943), exact at any size. Requests of fewer than
    3 rounds, or without any variation, say nothing.
    """
    from scipy.stats import norm

    size = np.bincount(counts.request).astype(np.float64)
    mean = np.bincount(counts.request, weights=counts.accepted) / size
    x = counts.accepted - mean[counts.request]
    ends = np.cumsum(size).astype(np.int64)
    after = np.roll(x, -1)
    after[ends - 1] = x[np.concatenate([[0], ends[:-1]])]  # close the circle within the request
    product = np.bincount(counts.request, weights=x * after)
    second = np.bincount(counts.request, weights=x**2)
    fourth = np.bincount(counts.request, weights=x**4)
    use = (size >= 3) & (second > 0.0)
    if not use.any():
        return NO_TEST
    n, c, s2, s4 = size[use], product[use], second[use], fourth[use]
    expected = -s2 / (n - 1.0)
    spread = (s2**2 - s4) / (n - 1.0) + (s2**2 - 2.0 * s4) / ((n - 1.0) * (n - 2.0)) - expected**2
    if spread.sum() <= 0.0:
        return NO_TEST
    z = float((c - expected).sum() / np.sqrt(spread.sum()))
    return Test(float((c - expected).sum() / s2.sum()), z, float(2.0 * norm.sf(abs(z))))


def depth_test(counts: RoundCounts, *, least: int = 20) -> Test:
    """Equality of the conditional rates over draft positions; chi-square.

    effect: slope of the rate per position, weighted by trials: negative where the draft decays with
    depth, positive where rounds or stretches differ. Deep positions with fewer than ``least``
    trials are pooled with the last that has as many.
    """
    from scipy.stats import chi2

    tried, kept = (x.astype(np.float64) for x in counts.by_position())
    groups = max(int((tried >= least).sum()), 1)
    position = np.minimum(np.arange(tried.size), groups - 1)
    tried = np.bincount(position, weights=tried).astype(np.float64)
    kept = np.bincount(position, weights=kept).astype(np.float64)
    if groups < 2 or kept.sum() in (0.0, tried.sum()):
        return NO_TEST
    alpha = kept.sum() / tried.sum()
    total = float(np.sum((kept - alpha * tried) ** 2 / tried) / (alpha * (1.0 - alpha)))
    k = np.arange(groups) - np.sum(np.arange(groups) * tried) / tried.sum()
    slope = float(np.sum(k * kept) / np.sum(k * k * tried))
    return Test(slope, total, float(chi2.sf(total, groups - 1)))


@dataclass(frozen=True)
class Diagnosis:
    """The tests, the laws fitted and the choice.

    family: the chosen law's name. law: it, fitted. independent: fitted alpha with decay 1.
    scores: twice the log-likelihood gained over the independent law less ln(rounds), for each law
    that could be fitted; positive speaks for it.
    """

    family: Family
    law: AcceptanceLaw
    independent: DepthAcceptance
    dispersion: Test
    lag_one: Test
    depth: Test
    scores: dict[Family, float]


def choose_law(counts: RoundCounts, *, level: float = 0.05) -> Diagnosis:
    """Choose between independent, depth-decay, Markov and Beta acceptance.

    level: probability of leaving the independent law although it holds, in (0, 1); each of the
    three tests gets a third of it. Raises ValueError where nothing was drafted. Short logs cannot
    show a departure: "independent" then means not contradicted, or that no law does better.

    The likelihood weighs the rounds at the gamma that was measured. Where requests differ a lot,
    "beta per request" can win over a depth effect that matters more for the tokens at a larger
    gamma; read ``scores`` before extrapolating.
    """
    threshold = check_confidence(level, label="level") / 3.0
    trials, kept = int(counts.trials.sum()), int(counts.accepted.sum())
    if trials == 0:
        raise ValueError("the counts hold no drafted token")
    independent = DepthAcceptance(kept / trials)
    tests = dispersion_test(counts), lag_one_test(counts), depth_test(counts)
    laws: dict[Family, AcceptanceLaw] = {}
    scores: dict[Family, float] = {}
    for name in _ALTERNATIVES:
        try:
            laws[name], gain = _fit(name, counts, independent)
        except ValueError:  # the counts cannot show this law
            continue
        scores[name] = 2.0 * gain - float(np.log(counts.rounds))
    family: Family = "independent"
    if min(t.p_value for t in tests) < threshold:
        best = max(scores, key=lambda name: scores[name], default=family)
        family = best if scores.get(best, 0.0) > 0.0 else family
    return Diagnosis(family, laws.get(family, independent), independent, *tests, scores)


def _fit(
    name: Family, counts: RoundCounts, independent: DepthAcceptance
) -> tuple[AcceptanceLaw, float]:
    """The fitted law and its log-likelihood above the independent law on the same tokens."""
    alpha = float(np.asarray(independent.alpha))
    base = depth_log_likelihood(independent, counts)
    if name == "depth":
        depth: DepthAcceptance = fit_depth(counts)
        return depth, depth_log_likelihood(depth, counts) - base
    if name == "beta per round":
        rounds: BetaRoundAcceptance = fit_beta_round(counts)
        return rounds, beta_round_log_likelihood(rounds, counts) - base
    if name == "beta per request":
        fleet: BetaRequestAcceptance = fit_beta_request(counts)
        return fleet, beta_request_log_likelihood(fleet, counts) - base
    chain: MarkovAcceptance = fit_markov(counts)
    # The Markov likelihood leaves out each request's first token, so its base must too.
    same = markov_log_likelihood(MarkovAcceptance(alpha, alpha), counts)
    return chain, markov_log_likelihood(chain, counts) - same


def hazards(counts: RoundCounts) -> Floats:
    """Conditional acceptance rates by draft position, as far as any round reached."""
    tried, kept = (x.astype(np.float64) for x in counts.by_position())
    return np.asarray(kept[tried > 0] / tried[tried > 0])


FittedLaw = TypeVar(
    "FittedLaw", DepthAcceptance, MarkovAcceptance, BetaRoundAcceptance, BetaRequestAcceptance
)


def resample_requests(rng: np.random.Generator, counts: RoundCounts) -> RoundCounts:
    """One bootstrap sample: as many requests, drawn with replacement, each with all its rounds.

    Raises ValueError where the requests are unknown, since drawing single rounds would hide their
    dependence.
    """
    if not counts.clustered or counts.requests < 2:
        raise ValueError("resampling needs counts that name at least 2 requests")
    return counts.subset(rng.integers(counts.requests, size=counts.requests))


def bootstrap_law(
    rng: np.random.Generator,
    counts: RoundCounts,
    fit: Callable[[RoundCounts], FittedLaw],
    *,
    samples: int,
) -> FittedLaw:
    """A sample of the fitted law, each parameter an array of shape (samples,).

    fit: from counts to a law with scalar parameters, such as `positional.fit_depth`,
    `markov.fit_markov`, `mixture.fit_beta_round` or `heterogeneity.fit_beta_request`. Its spread is
    that of repeating the measurement with other requests. Raises ValueError where the requests are
    unknown, or where a drawn sample cannot be fitted.
    """
    if samples < 1:
        raise ValueError(f"samples must be an integer in [1, inf), got {samples}")
    laws = [fit(resample_requests(rng, counts)) for _ in range(samples)]
    names = [f.name for f in fields(laws[0])]
    columns = {n: np.array([float(getattr(law, n)) for law in laws]) for n in names}
    return type(laws[0])(**columns)
