"""Uncertainty of a fitted law: refit it to requests drawn anew.

Rounds of one request resemble each other, so requests, not rounds, are drawn with replacement.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import fields
from typing import TypeVar

import numpy as np

from .counts import RoundCounts
from .heterogeneity import BetaRequestAcceptance
from .law import DepthAcceptance
from .markov import MarkovAcceptance
from .mixture import BetaRoundAcceptance

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

    fit: from counts to a law with scalar parameters, such as `depth.fit_depth`,
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
