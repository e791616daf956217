"""What is believed of one draft's acceptance, and how its own measurements change that."""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from functools import cached_property

import numpy as np
from numpy.typing import ArrayLike

from ...theory import DepthAcceptance
from ...theory.domain import Floats
from .acceptance_metrics import RISE_WEIGHTS, RISES, first_alpha, law_of

# ln h, h = -ln alpha: alpha from 1 - 5e-6 down to 3e-5, where one step moves alpha by <= 0.003.
LOG_H = np.linspace(-12.0, 2.35, 1800)
ALPHAS = np.exp(-np.exp(LOG_H))
_REJECTIONS = -np.expm1(-np.exp(LOG_H))


@dataclass(frozen=True, eq=False)
class AcceptanceForecast:
    """Posterior sample of the acceptance of one draft, or of several drafts of one target.

    alpha: pooled conditional rate, shape (draws,), or (drafts, draws) with draws shared: what the
    drafts have in common (family, task, prompts) is the same in a column. rise: of the rate with
    position in the round, shape (draws,). tokens: of the pair itself that were used. notes: what
    to know before relying on it. belief: mean and variance of ln h of the mixture's parts, of
    shape (parts, ...), or a density.
    """

    alpha: Floats
    rise: Floats
    belief: tuple[Floats, Floats] | Floats = field(repr=False)
    tokens: float = 0.0
    notes: tuple[str, ...] = ()

    @cached_property
    def density(self) -> Floats:
        """Probabilities over `LOG_H` and `RISES`, shape (..., 1800, 17)."""
        return density_of(*self.belief) if isinstance(self.belief, tuple) else self.belief

    @property
    def law(self) -> DepthAcceptance:
        """The law whose parameters have the shape of ``alpha``."""
        rise = np.broadcast_to(self.rise, self.alpha.shape)
        return law_of(first_alpha(self.alpha, rise=rise), rise)

    def of(self, draft: int) -> AcceptanceForecast:
        """The forecast of one of several drafts, the same columns kept."""
        if isinstance(self.belief, tuple):
            own: tuple[Floats, Floats] | Floats = (
                self.belief[0][:, draft],
                self.belief[1][:, draft],
            )
        else:
            own = self.belief[draft]
        return replace(self, alpha=self.alpha[draft], belief=own)

    def interval(self, level: float = 0.9) -> tuple[ArrayLike, ArrayLike, ArrayLike]:
        """(median, low, high) of alpha, from the density; level in (0, 1)."""
        if not 0.0 < level < 1.0:
            raise ValueError(f"level must be in (0, 1), got {level:g}")
        at = (0.5, 0.5 * (1.0 - level), 0.5 * (1.0 + level))
        return tuple(quantile(self.density, q) for q in at)  # type: ignore[return-value]


def quantile(density: Floats, probability: float) -> ArrayLike:
    """Quantile of alpha of densities of shape (..., 1800, any), shape (...)."""
    below = np.cumsum(density.sum(axis=-1)[..., ::-1], axis=-1)
    flat = below.reshape(-1, LOG_H.size)
    found = [np.interp(probability * row[-1], row, ALPHAS[::-1]) for row in flat]
    return np.asarray(found).reshape(below.shape[:-1])[()]


def density_of(mean: Floats, variance: Floats) -> Floats:
    """`mixture` over the rises as well, shape (..., 1800, 17)."""
    return np.asarray(mixture(mean, variance)[..., None] * RISE_WEIGHTS)


def mixture(mean: Floats, variance: Floats) -> Floats:
    """Probabilities over `LOG_H` of a mixture of normals of ln h, shape (..., 1800).

    mean, variance: parts on the first axis. Means beyond the grid (alpha = 1) count at its end.
    """
    center = np.clip(mean, LOG_H[0], LOG_H[-1])[..., None]
    spread = np.maximum(np.sqrt(variance), 2e-3)[..., None]
    parts = np.exp(-0.5 * np.square((LOG_H - center) / spread)) / spread
    total = parts.mean(axis=0)
    return np.asarray(total / total.sum(axis=-1, keepdims=True))


def update(
    forecast: AcceptanceForecast,
    tried: float,
    accepted: float,
    *,
    rng: np.random.Generator,
    dispersion: float = 1.0,
) -> AcceptanceForecast:
    """The forecast after ``accepted`` of ``tried`` draft tokens whose fate was decided.

    tried: >= 0, without the draft tokens after the first rejection of a round; accepted: in
    [0, tried]. dispersion: how many times the variance of independent tokens, >= 1: some 4 where
    prompts differ and the answer is meant for others. One draft only. ValueError outside.
    """
    if not (np.isfinite(tried) and 0.0 <= accepted <= tried):
        raise ValueError(f"accepted must be in [0, tried], got {accepted:g} of {tried:g}")
    score = np.broadcast_to(_binomial(accepted, tried)[:, None], (LOG_H.size, RISES.size))
    return _times(forecast, score, tried, rng, dispersion)


def _binomial(accepted: float, tried: float) -> Floats:
    """Log-likelihood of alpha over the grid."""
    return np.asarray(-accepted * np.exp(LOG_H) + (tried - accepted) * np.log(_REJECTIONS))


def _times(
    forecast: AcceptanceForecast,
    score: Floats,
    tokens: float,
    rng: np.random.Generator,
    dispersion: float,
) -> AcceptanceForecast:
    """Bayes' rule on the grid, and a fresh sample of the posterior."""
    if forecast.alpha.ndim != 1:
        raise ValueError("an update needs one draft: take it out with of(draft)")
    if not 1.0 <= dispersion < np.inf:
        raise ValueError(f"dispersion must be in [1, inf), got {dispersion:g}")
    with np.errstate(divide="ignore"):
        log_density = np.log(forecast.density) + score / dispersion
    density = np.exp(log_density - log_density.max())
    density /= density.sum()
    alpha, rise = draw(density, rng, forecast.alpha.size)
    return replace(
        forecast, alpha=alpha, rise=rise, belief=density, tokens=forecast.tokens + tokens
    )


def draw(density: Floats, rng: np.random.Generator, draws: int) -> tuple[Floats, Floats]:
    """(alpha, rise) drawn from a density of shape (1800, 17), alpha inside its cells."""
    edges = np.cumsum(density.ravel())
    at = np.minimum(np.searchsorted(edges, rng.random(draws) * edges[-1]), edges.size - 1)
    step = LOG_H[1] - LOG_H[0]
    log_h = LOG_H[at // RISES.size] + step * (rng.random(draws) - 0.5)
    return np.exp(-np.exp(log_h)), RISES[at % RISES.size]
