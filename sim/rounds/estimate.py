"""Estimates with their standard errors, and ways to make the errors small.

A simulated number without its error is not a result. Independent values use the plain standard
error, values in the order of time batch means, sums over requests the request as the unit
(rounds of one request are alike), and where the mean of something that was simulated along is
known in closed form, regression on it removes the shared noise (control variates).
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike, NDArray

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

    def interval(self, confidence: float = 0.95) -> tuple[float, float]:
        """Normal interval (low, high) of that confidence, in (0, 1)."""
        from scipy.stats import norm

        if not 0.0 < confidence < 1.0:
            raise ValueError(f"confidence must be in (0, 1), got {confidence}")
        half = float(norm.ppf(0.5 + 0.5 * confidence)) * self.se
        return self.mean - half, self.mean + half

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


def counts_estimate(values: ArrayLike, counts: ArrayLike) -> Estimate:
    """Estimate of a mean from a histogram: ``counts[k]`` independent draws had ``values[k]``.

    Both of shape (outcomes,); counts >= 0, at least two draws.
    """
    x, c = _values("values", values, 1), _values("counts", counts, 1)
    if x.shape != c.shape:
        raise ValueError(f"values and counts must have one shape, got {x.shape} and {c.shape}")
    n = float(c.sum())
    if c.min() < 0.0 or n < 2.0:
        raise ValueError(f"counts must be in [0, inf) and sum to 2 or more, got a sum of {n:g}")
    mean = float(c @ x / n)
    return Estimate(mean, float(np.sqrt(c @ (x - mean) ** 2 / (n - 1.0) / n)), int(n))


def batch_means(values: ArrayLike, *, batches: int = 32) -> Estimate:
    """Estimate of the mean of a stationary, possibly correlated sequence, shape (n,).

    The sequence is cut into ``batches`` >= 2 equal pieces (a remainder at the front is dropped as
    warm-up) whose means count as independent; n of the result is the number of batches.
    """
    pieces = check_count("batches", batches, low=2)
    x = _values("values", values, pieces)
    return mean_estimate(x[x.size % pieces :].reshape(pieces, -1).mean(axis=1))


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


def bootstrap_weights(
    rng: np.random.Generator, *, requests: int, resamples: int
) -> NDArray[np.int64]:
    """How often each request occurs in each resample, shape (resamples, requests).

    Sums over resampled requests are then one matrix product with the sums per request.
    """
    size = check_count("requests", requests)
    shares = np.full(size, 1.0 / size)
    return rng.multinomial(size, shares, size=check_count("resamples", resamples))


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
    weights = bootstrap_weights(rng, requests=a.shape[0], resamples=resamples).astype(np.float64)
    return np.asarray(np.tensordot(weights, a, axes=1) / np.tensordot(weights, b, axes=1))


@dataclass(frozen=True)
class Controlled:
    """An estimate made with control variates.

    estimate: after regression; plain: without it; reduction: variance of the plain estimate over
    that of the controlled one (the factor by which fewer draws are needed).
    """

    estimate: Estimate
    plain: Estimate
    reduction: float


def control_variates(values: ArrayLike, controls: ArrayLike, *, means: ArrayLike) -> Controlled:
    """Estimate of the mean of ``values`` with the help of quantities of known mean.

    values: shape (n,), independent; controls: shape (n,) or (n, k), simulated together with the
    values; means: their exact means, scalar or shape (k,). The regression coefficients are
    estimated from the same draws, which biases the result by O(1/n) only; the standard error has
    n - k - 1 degrees of freedom. Raises ValueError unless n > k + 1.
    """
    y = _values("values", values, 3)
    x = as_floats("controls", controls).reshape(y.size, -1) - as_floats("means", means)
    size, width = x.shape
    if size <= width + 1 or not np.isfinite(x).all():
        raise ValueError(f"controls must be finite and fewer than {size - 1}, got {width}")
    centred, target = x - x.mean(axis=0), y - y.mean()
    slope, *_ = np.linalg.lstsq(centred, target, rcond=None)
    rest = target - centred @ slope
    shift = x.mean(axis=0) @ slope
    se = float(np.sqrt(rest @ rest / (size - width - 1) / size))
    plain = mean_estimate(y)
    reduction = (plain.se / se) ** 2 if se > 0.0 else float("inf")
    return Controlled(Estimate(float(y.mean() - shift), se, size), plain, reduction)
