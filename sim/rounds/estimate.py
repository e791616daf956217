"""Estimates with their standard errors.

A simulated number without its error is not a result. Independent values use the plain standard
error, sums over requests the request as the unit: rounds of one request are alike.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike

from ...theory.domain import Floats, as_floats
from .compiled import check_count


@dataclass(frozen=True)
class Estimate:
    """A mean, its standard error and the number of independent values behind it.

    mean, se: in the unit of the values; se >= 0. n: values, batches or requests.
    """

    mean: float
    se: float
    n: int

    def z(self, value: float) -> float:
        """(mean - value) / se; 0 where both agree exactly, inf where only the error is 0."""
        gap = self.mean - value
        if self.se == 0.0:
            return (
                0.0 if abs(gap) <= 1e-12 * max(1.0, abs(value)) else float(np.copysign(np.inf, gap))
            )
        return gap / self.se


def _values(name: str, values: ArrayLike, least: int) -> Floats:
    array = as_floats(name, values)
    if array.ndim != 1 or array.size < least or not np.isfinite(array).all():
        raise ValueError(
            f"{name} must be {least} or more finite numbers in one dimension, "
            f"got shape {array.shape}"
        )
    return array


def mean_estimate(values: ArrayLike) -> Estimate:
    """Estimate of the mean of independent values, shape (n,), n >= 2."""
    x = _values("values", values, 2)
    return Estimate(float(x.mean()), float(x.std(ddof=1) / np.sqrt(x.size)), int(x.size))


def ratio_estimate(numerator: ArrayLike, denominator: ArrayLike) -> Estimate:
    """Estimate of E[numerator] / E[denominator] from sums per request, both of shape (n,).

    The standard error is linearised with the request as the unit, n >= 2. Raises ValueError where
    the denominators do not sum to a positive number.
    """
    a, b = _values("numerator", numerator, 2), _values("denominator", denominator, 2)
    if a.shape != b.shape or not b.sum() > 0.0:
        raise ValueError(
            f"denominator must match the numerator and have a positive sum, got {b.sum():g}"
        )
    ratio = float(a.sum() / b.sum())
    spread = float((a - ratio * b).std(ddof=1)) / float(b.mean())
    return Estimate(ratio, spread / float(np.sqrt(a.size)), int(a.size))


def cluster_bootstrap(
    rng: np.random.Generator, numerator: ArrayLike, denominator: ArrayLike, *, resamples: int = 2000
) -> Floats:
    """Resampled ratios of sums over requests, shape (resamples, *trailing).

    numerator, denominator: sums per request, request on the first axis; trailing axes (such as
    one per gamma) broadcast and share each resample, so their differences keep their correlation.
    """
    a, b = as_floats("numerator", numerator), as_floats("denominator", denominator)
    if a.ndim == 0 or b.ndim == 0 or a.shape[0] != b.shape[0] or a.shape[0] < 2:
        raise ValueError(
            f"numerator and denominator need two or more requests on the first axis, "
            f"got shapes {a.shape} and {b.shape}"
        )
    # How often each request occurs in each resample: their sums are then one matrix product.
    size, count = a.shape[0], check_count("resamples", resamples)
    weights = rng.multinomial(size, np.full(size, 1.0 / size), size=count).astype(np.float64)
    return np.asarray(np.tensordot(weights, a, axes=1) / np.tensordot(weights, b, axes=1))
