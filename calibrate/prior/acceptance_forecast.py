r"""What is believed of one draft's acceptance, and what its own measurements and packed weights
change of that.

Inside a round the rate rises with position, since rounds that survive are the easy ones, and the
less the less there is to reject; one rise is shared by all pairs.

    alpha_k = alpha_1 decay^(k-1),   decay = 1 + rise (1 - alpha_1)
    accepted per round A(gamma) = sum of s_k,   alpha = A / (s_0 + ... + s_{gamma-1})

What packing the weights of a draft costs it in acceptance:

    1 - alpha' = sqrt((1 - alpha)^2 + r_w^2)

r_w is how often a model packed into w bits prefers another token than it did before. Rounding moves
logits at random and knows nothing of what parts draft and target, so that the two errors add as
variances do, and rejection, which grows with the size of the error, as their root. r_w of
llama.cpp's formats of nested blocks is the geometric mean of LLaMA-2-7B and LLaMA-3-8B over
Wikitext (4.0 and 2.3 % of the tokens for q6_K and q8_0 of the latter); formats without nested
blocks, such as q4_0, lose 1.25 times as much at the same bits, by the root of their divergences.
Assumes: the draft is as robust as those two models; rounding to the nearest, without training.
Source: github.com/ggml-org/llama.cpp, examples/perplexity/README.md (pull request 6936); the sum is
derived here.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from functools import cached_property

import numpy as np
from numpy.typing import ArrayLike

from ...theory import DepthAcceptance
from ...theory.domain import Floats
from ..models import number_format

# ln h, h = -ln alpha: alpha from 1 - 5e-6 down to 3e-5, where one step moves alpha by <= 0.003.
LOG_H = np.linspace(-12.0, 2.35, 1800)
ALPHAS = np.exp(-np.exp(LOG_H))
_REJECTIONS = -np.expm1(-np.exp(LOG_H))
POOLED_GAMMA = 4  # of the rounds over which alpha is pooled, where no gamma is named
# Pooled and drafted rates of the same rounds, 19 settings: median 0.149, standard deviation 0.13
# with and 0.06 without one outlier.
RISE = 0.14
RISE_SPREAD = 0.08
# Half a spread apart, from -0.18 to 0.46, with the weights of the normal prior around RISE.
RISES = RISE + 0.5 * RISE_SPREAD * np.arange(-8, 9)
RISE_WEIGHTS = np.exp(-0.125 * np.arange(-8.0, 9.0) ** 2)
RISE_WEIGHTS /= RISE_WEIGHTS.sum()
FIRST = np.linspace(0.0, 1.0, 1025)
# Bits a number, and the share of tokens on which the packed model disagrees with itself.
_BITS = (3.0, 4.85, 6.5625, 8.5)
_DISAGREES = (0.204, 0.0657, 0.0314, 0.0164)
_UNNESTED = 1.25
_PLAIN = 16.0  # bits that lose nothing


def law_of(first: ArrayLike, rise: ArrayLike) -> DepthAcceptance:
    """The acceptance law of alpha_1 and rise; shapes broadcast."""
    return DepthAcceptance(first, 1.0 + np.asarray(rise) * (1.0 - np.asarray(first)))


def pooled_alpha(first: ArrayLike, gamma: int, *, rise: ArrayLike = RISE) -> Floats:
    """Accepted over decided draft tokens of rounds of gamma, from alpha_1; shapes broadcast."""
    s = law_of(first, rise).survival(gamma)
    return np.asarray(s[..., 1:].sum(axis=-1) / s[..., :-1].sum(axis=-1))


def first_alpha(alpha: ArrayLike, gamma: int = POOLED_GAMMA, *, rise: ArrayLike = RISE) -> Floats:
    """alpha_1 of the law whose pooled rate at gamma is ``alpha``, within 1e-5; shapes broadcast.

    alpha: in [0, 1]; gamma: >= 1; rise: few distinct values, since each has its own inverse.
    """
    a, r = np.broadcast_arrays(np.asarray(alpha, float), np.asarray(rise, float))
    out = np.empty(a.shape)
    for value in np.unique(r):
        mine = r == value
        out[mine] = np.interp(a[mine], pooled_alpha(FIRST, gamma, rise=value), FIRST)
    return out


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


def disagreement(dtype: str) -> float:
    """Share of tokens on which a model in a format prefers another one than in 16 bits, "" none."""
    if not dtype or number_format(dtype).bits >= _PLAIN:
        return 0.0
    form = number_format(dtype)
    share = float(np.exp(np.interp(form.bits, _BITS, np.log(_DISAGREES))))
    return share * (1.0 if form.nested else _UNNESTED)


def rounded(forecast: AcceptanceForecast, dtypes: Sequence[str]) -> AcceptanceForecast:
    """The forecast of drafts, alpha of shape (drafts, draws), with their weights packed.

    dtypes: one a draft, "" for 16 bits.
    """
    share = np.array([disagreement(d) for d in dtypes])
    if not share.any():
        return forecast
    assert isinstance(forecast.belief, tuple)
    mean, variance = forecast.belief
    moved = np.log(-np.log(_with(np.exp(-np.exp(np.minimum(mean, 6.0))), share)))
    alpha = _with(forecast.alpha, share[:, None])
    return replace(forecast, alpha=alpha, belief=(np.where(share > 0.0, moved, mean), variance))


def _with(alpha: Floats, share: Floats) -> Floats:
    return np.asarray(np.maximum(1.0 - np.hypot(1.0 - alpha, share), 1e-9))
