r"""A ladder as a law in size and depth, so that a draft that was left out can be predicted.

    logit alpha_k  = b_k + b_1k x + b_2k x^2 + b_3k d + b_4k d^2    hazard of the k-th draft token
    ln D_k         = ln(u_0k + u_1k l + u_2k N)                     the draft's passes in a round

x = ln(draft / target parameters), d = ln(layers / layers usual at that size), l layers, N
parameters, D in plain steps; d^2, because loss has a flat minimum in the shape of a model of given
size (arXiv:2001.08361, figure 5). All else in a round is the target's: the same for every draft but
for the scatter seen. Regressions are Bayesian, with weak normal priors on all but level and slope,
and the scatter of a draft around its line as likely as its residuals make it; a prediction carries
that scatter.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from ...theory.domain import Floats
from ...theory.requests.distribution import round_moments
from ..known import BETWEEN_RUNS
from ..library.own import OwnCampaign
from .ladder import Predicted, request_tokens

DRAWS = 1000
# Prior spread of the coefficients (level, slope, curvature, depth, its square) in logits.
PRIOR = np.array([3.0, 1.0, 0.1, 0.2, 0.1])
SCATTER = 0.1  # median of the prior of a draft's own scatter [logit]
SCATTERS = np.geomspace(0.005, 2.0, 61)


@dataclass(frozen=True)
class Regression:
    """Posterior sample of a line: coefficients (draws, 5), scatter (draws,)."""

    coefficients: Floats
    scatter: Floats

    def at(self, features: Floats, rng: np.random.Generator, *, own: bool = True) -> Floats:
        """Draws of the value at features (..., 5), with a draft's own scatter; (draws, ...)."""
        mean = np.einsum("dk,...k->d...", self.coefficients, features)
        noise = rng.standard_normal(mean.shape[:1] + (1,) * (mean.ndim - 1))
        spread = self.scatter.reshape(-1, *([1] * (mean.ndim - 1)))
        return np.asarray(mean + own * noise * spread)


def regress(features: Floats, values: Floats, rng: np.random.Generator) -> Regression:
    """Bayesian regression with the priors of this module; features (drafts, 5).

    The scatter is drawn from its marginal posterior on a grid, the coefficients given the scatter.
    """
    prior = features @ np.diag(PRIOR**2) @ features.T
    logs = np.array([_log_marginal(prior + s**2 * np.eye(values.size), values) for s in SCATTERS])
    # Half-Cauchy; the grid is even in ln(scatter).
    logs += np.log(SCATTERS) - np.log1p((SCATTERS / SCATTER) ** 2)
    weight = np.exp(logs - logs.max())
    chosen = rng.choice(SCATTERS.size, DRAWS, p=weight / weight.sum())
    coefficients = np.empty((DRAWS, features.shape[1]))
    for i in np.unique(chosen):
        precision = features.T @ features / SCATTERS[i] ** 2 + np.diag(PRIOR**-2.0)
        spread = np.linalg.inv(precision)
        mean = spread @ features.T @ values / SCATTERS[i] ** 2
        here = chosen == i
        coefficients[here] = rng.multivariate_normal(mean, spread, int(here.sum()))
    return Regression(coefficients, SCATTERS[chosen])


def _log_marginal(covariance: Floats, values: Floats) -> float:
    """ln density of values of mean 0, up to a constant."""
    _, size = np.linalg.slogdet(covariance)
    return float(-0.5 * (size + values @ np.linalg.solve(covariance, values)))


@dataclass(frozen=True)
class Drafting:
    """Posterior sample of the time of a round in plain steps, gamma = 1..k.

    lines: (draws, k, 3), of the draft's passes over (1, layers, millions of parameters); rest:
    (draws, k), of all else; scatter: (draws,), relative, of a draft around its line.
    """

    lines: Floats
    rest: Floats
    scatter: Floats

    def at(
        self, parameters: Floats, layers: Floats, rng: np.random.Generator, *, own: bool = True
    ) -> Floats:
        """Rounds of drafts at gamma = 0..k, entry 0 a plain step, (draws, drafts, k + 1)."""
        size = np.asarray(parameters, dtype=float)
        design = np.stack([np.ones_like(size), np.asarray(layers, dtype=float), size / 1e6], -1)
        passes = np.einsum("dkc,pc->dpk", self.lines, design)
        noise = self.scatter[:, None, None] * rng.standard_normal((*passes.shape[:2], 1))
        rounds = passes * np.exp(own * noise) + self.rest[:, None, :]
        return np.concatenate([np.ones((*passes.shape[:2], 1)), rounds], axis=-1)


@dataclass(frozen=True)
class SizeLaw:
    """Hazards and times of rounds across a ladder, fitted to some of its drafts."""

    hazards: tuple[Regression, ...]
    drafting: Drafting
    usual: tuple[Floats, Floats]
    target_parameters: float

    def features(self, parameters: Floats, layers: Floats) -> Floats:
        """(1, x, x^2, d, d^2) of drafts, (..., 5)."""
        x = np.log(np.asarray(parameters, dtype=float) / self.target_parameters)
        d = np.log(layers) - np.interp(x, *self.usual)
        return np.stack([np.ones_like(x), x, x * x, d, d * d], axis=-1)

    def usual_layers(self, parameters: Floats) -> Floats:
        """Layers of the ladder at a size, between its drafts on straight lines in ln size."""
        return np.exp(np.interp(np.log(parameters / self.target_parameters), *self.usual))

    def survival(
        self, parameters: Floats, layers: Floats, rng: np.random.Generator, *, own: bool = True
    ) -> Floats:
        """s_0..s_k of drafts, (draws, drafts, k + 1)."""
        at = self.features(parameters, layers)
        logits = np.stack([h.at(at, rng, own=own) for h in self.hazards], axis=-1)
        rates = 1.0 / (1.0 + np.exp(-logits))
        ones = np.ones((*rates.shape[:-1], 1))
        return np.concatenate([ones, np.cumprod(rates, axis=-1)], axis=-1)


def fit_sizes(
    ladder: OwnCampaign, predicted: Sequence[Predicted], rng: np.random.Generator
) -> SizeLaw:
    """Fit the law to measured drafts: their survival and the times of their rounds."""
    target = float(ladder.parameters[ladder.target])
    size = np.array([ladder.parameters[p.draft] for p in predicted], dtype=float)
    layers = np.array([ladder.layers[p.draft] for p in predicted], dtype=float)
    usual = [i for i, p in enumerate(predicted) if ladder.roles[p.draft] == "ladder"]
    order = sorted(usual, key=lambda i: size[i])
    lines = (np.log(size[order] / target), np.log(layers[order]))
    drafting = fit_drafting(predicted, size, layers, rng)
    features = SizeLaw((), drafting, lines, target).features(size, layers)
    survival = np.array([p.survival for p in predicted])
    rates = np.clip(survival[:, 1:] / survival[:, :-1], 1e-3, 1.0 - 1e-3)
    logits = np.log(rates / (1.0 - rates))
    hazards = tuple(regress(features, logits[:, k], rng) for k in range(logits.shape[1]))
    return SizeLaw(hazards, drafting, lines, target)


def fit_drafting(
    predicted: Sequence[Predicted], size: Floats, layers: Floats, rng: np.random.Generator
) -> Drafting:
    """Lines of the draft's passes, none of their terms below 0, relative errors; what is left.

    A Bayesian bootstrap over the drafts gives the draws.
    """
    passes = np.array([p.passes[1:] for p in predicted])
    rest = np.array([p.rounds[1:] for p in predicted]) - passes
    design = np.stack([np.ones_like(size), layers, size / 1e6], axis=-1)
    best = _lines(design, passes, np.ones_like(size))
    residual = (design @ best.T / passes - 1.0).mean(axis=1)
    freedom = max(size.size - 1, 1)
    scatter = np.sqrt(
        (float((residual**2).sum()) + 2 * BETWEEN_RUNS**2) / rng.chisquare(freedom, DRAWS)
    )
    lines, others = [], []
    for _ in range(DRAWS):
        weight = rng.exponential(1.0, size.size)
        lines.append(_lines(design, passes, np.sqrt(weight)))
        others.append(weight @ rest / weight.sum())
    own = rest.std(axis=0, ddof=1) * rng.standard_normal((DRAWS, 1)) if len(rest) > 1 else 0.0
    return Drafting(np.array(lines), np.array(others) + own, scatter)


def _lines(design: Floats, passes: Floats, weight: Floats) -> Floats:
    """One line for each gamma, (k, 3)."""
    from scipy.optimize import nnls

    rows = [nnls(design * (weight / t)[:, None], weight)[0] for t in passes.T]
    return np.array(rows)


def latency_over_plain(ladder: OwnCampaign, survival: Floats, rounds: Floats) -> Floats:
    """Time of a request of the sweep over plain decoding, gamma on the last axis.

    survival, rounds: shape (draws, drafts, k + 1), as is the result. The mean number of rounds is
    L / mu + E[N (N - 1)] / (2 mu^2), the last round not shortened (renewal theory).
    """
    tokens = request_tokens(ladder)
    out = [np.ones(survival.shape[:-1])]
    for gamma in range(1, survival.shape[-1]):
        cut = survival[..., : gamma + 1]
        pmf = np.concatenate([-np.diff(cut), cut[..., -1:]], axis=-1)
        mu, second, _ = round_moments(pmf)
        count = tokens / mu + second / (2.0 * mu**2)
        out.append(count * rounds[..., gamma] / tokens)
    return np.stack(out, axis=-1)
