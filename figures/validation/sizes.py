r"""A ladder as a law in size and depth, so that a draft that was left out can be predicted.

    logit alpha_k  = b_k + b_1k x + b_2k x^2 + b_3k d        hazard of the k-th draft token
    ln t           = ln(u_0 + u_1 l + u_2 N)                 seconds of a pass over one token

x = ln(draft / target parameters), d = ln(layers / layers usual at that size), l layers, N
parameters. Regressions are Bayesian, with weak normal priors on curvature and depth and the scatter
of a draft around its line estimated from the residuals; a prediction carries that scatter.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from .campaign import Ladder, Predicted
from .result import Floats, Point, Test, interval

DRAWS = 1000
# Prior spread of the coefficients (level, slope, curvature, depth) in logits.
PRIOR = np.array([3.0, 1.0, 0.1, 0.3])
FREEDOM, SCATTER = 3.0, 0.1  # weight and size of the prior of a draft's own scatter


@dataclass(frozen=True)
class Regression:
    """Posterior sample of a line: coefficients (draws, 4), scatter (draws,)."""

    coefficients: Floats
    scatter: Floats

    def at(self, features: Floats, rng: np.random.Generator, *, own: bool = True) -> Floats:
        """Draws of the value at features (..., 4), with a draft's own scatter; (draws, ...)."""
        mean = np.einsum("dk,...k->d...", self.coefficients, features)
        noise = rng.standard_normal(mean.shape[:1] + (1,) * (mean.ndim - 1))
        spread = self.scatter.reshape(-1, *([1] * (mean.ndim - 1)))
        return np.asarray(mean + own * noise * spread)


def regress(features: Floats, values: Floats, rng: np.random.Generator) -> Regression:
    """Bayesian least squares with the priors of this module; features (drafts, 4)."""
    precision = features.T @ features + np.diag((SCATTER / PRIOR) ** 2)
    mean = np.linalg.solve(precision, features.T @ values)
    misfit = float(((values - features @ mean) ** 2).sum())
    freedom = FREEDOM + max(values.size - 2, 0)
    variance = (FREEDOM * SCATTER**2 + misfit) / rng.chisquare(freedom, DRAWS)
    root = np.linalg.cholesky(np.linalg.inv(precision))
    steps = rng.standard_normal((DRAWS, features.shape[1])) @ root.T
    return Regression(mean + steps * np.sqrt(variance)[:, None], np.sqrt(variance))


@dataclass(frozen=True)
class SizeLaw:
    """Hazards and pass times across a ladder, fitted to some of its drafts."""

    hazards: tuple[Regression, ...]
    pass_time: Regression
    usual: tuple[Floats, Floats]
    target_parameters: float

    def features(self, parameters: Floats, layers: Floats) -> Floats:
        """(1, x, x^2, d) of drafts, (..., 4)."""
        x = np.log(np.asarray(parameters, dtype=float) / self.target_parameters)
        d = np.log(layers) - np.interp(x, *self.usual)
        return np.stack([np.ones_like(x), x, x * x, d], axis=-1)

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

    def pass_s(
        self, parameters: Floats, layers: Floats, rng: np.random.Generator, *, own: bool = True
    ) -> Floats:
        """Seconds of a pass over one token, (draws, drafts)."""
        at = np.stack(
            [np.ones_like(parameters, dtype=float), layers, np.asarray(parameters) / 1e6,
             np.zeros_like(parameters, dtype=float)], axis=-1)  # fmt: skip
        line = np.einsum("dk,...k->d...", self.pass_time.coefficients, at)
        noise = self.pass_time.scatter[:, None] * rng.standard_normal(line.shape)
        return np.asarray(np.maximum(line, 1e-6) * np.exp(own * noise))


def fit_sizes(ladder: Ladder, predicted: Sequence[Predicted], rng: np.random.Generator) -> SizeLaw:
    """Fit the law to measured drafts: their survival and their pass times."""
    target = float(ladder.parameters[ladder.target])
    size = np.array([ladder.parameters[p.draft] for p in predicted], dtype=float)
    layers = np.array([ladder.layers[p.draft] for p in predicted], dtype=float)
    usual = [i for i, p in enumerate(predicted) if ladder.roles[p.draft] == "ladder"]
    order = sorted(usual, key=lambda i: size[i])
    lines = (np.log(size[order] / target), np.log(layers[order]))
    law = SizeLaw((), Regression(np.zeros((1, 4)), np.zeros(1)), lines, target)
    features = law.features(size, layers)
    survival = np.array([p.survival for p in predicted])
    rates = np.clip(survival[:, 1:] / survival[:, :-1], 1e-3, 1.0 - 1e-3)
    logits = np.log(rates / (1.0 - rates))
    hazards = tuple(regress(features, logits[:, k], rng) for k in range(logits.shape[1]))
    return SizeLaw(hazards, _pass_line(ladder, predicted, size, layers, rng), lines, target)


def _pass_line(
    ladder: Ladder,
    predicted: Sequence[Predicted],
    size: Floats,
    layers: Floats,
    rng: np.random.Generator,
) -> Regression:
    """Non-negative line of the pass time in layers and parameters, relative errors."""
    from scipy.optimize import nnls

    context = middle_context(ladder)
    times = np.array([float(p.cost.draft.step_time(np.ones(1), context=context)[0])
                      for p in predicted])  # fmt: skip
    design = np.stack([np.ones_like(size), layers, size / 1e6], axis=-1)
    weighted = design / times[:, None]
    best, _ = nnls(weighted, np.ones_like(times))
    residual = weighted @ best - 1.0
    scatter = float(np.sqrt(((residual**2).sum() + 2 * 0.03**2) / max(times.size - 1, 1)))
    sample = []
    for _ in range(DRAWS):
        weight = np.sqrt(rng.exponential(1.0, times.size))
        sample.append(nnls(weighted * weight[:, None], weight)[0])
    padded = np.concatenate([np.array(sample), np.zeros((DRAWS, 1))], axis=1)
    return Regression(padded, np.full(DRAWS, scatter))


def middle_context(ladder: Ladder) -> float:
    """Tokens in the cache in the middle of a request of the sweep."""
    settings = ladder.sweep.settings
    return float(settings["prompts"]["tokens"]) + 0.5 * float(settings["new_tokens"])


def latency_over_plain(
    ladder: Ladder, template: Predicted, survival: Floats, pass_s: Floats
) -> Floats:
    """Time per token of drafts over a plain step, gamma on the last axis, (draws, drafts, k + 1).

    The target's passes, draws and rule are those measured; ``template``: any draft of the ladder.
    """
    context = middle_context(ladder)
    top = survival.shape[-1] - 1
    measured = template.cost.round_time(top, context=context)
    first, second = template.cost.draft.step_time(np.array([1.0, 2.0]), context=context)
    whole = np.append(template.cost.whole, np.full(top, template.cost.whole[-1]))[: top + 1]
    gammas = np.arange(top + 1.0)
    fixed = measured - gammas * first - np.where(gammas > 0, whole * (second - first), 0.0)
    rounds = fixed + gammas * pass_s[..., None]
    tokens = np.cumsum(survival, axis=-1)
    return np.asarray(rounds / tokens / measured[0])


def leave_one_draft_out(
    ladder: Ladder, predicted: Sequence[Predicted], *, seed: int = 0
) -> tuple[Test, Test]:
    """(alpha, speed-up at the measured best gamma) of every draft, from the other drafts alone."""
    alphas, gains, chosen = [], [], []
    for i, own in enumerate(predicted):
        rng = np.random.default_rng([seed, 53, i])
        rest = [p for p in predicted if p is not own]
        law = fit_sizes(ladder, rest, rng)
        size = np.array([float(ladder.parameters[own.draft])])
        layers = np.array([float(ladder.layers[own.draft])])
        survival = law.survival(size, layers, rng)
        pooled = _pooled(survival[:, 0])
        alphas.append(Point(own.draft, float(_pooled(own.survival)), float(np.median(pooled)),
                            *interval(pooled)))  # fmt: skip
        relative = latency_over_plain(ladder, rest[0], survival, law.pass_s(size, layers, rng))
        speed = 1.0 / relative[:, 0]
        seen = np.concatenate([[0], own.gammas])
        best = int(seen[np.nanargmin(own.measured[seen])]) or int(own.gammas[0])
        error = float(own.error[best] / own.measured[best])
        noisy = speed[:, best] * np.exp(rng.normal(0.0, error, DRAWS))
        gains.append(Point(f"{own.draft}, gamma {best}", float(1.0 / own.measured[best]),
                           float(np.median(speed[:, best])), *interval(noisy)))  # fmt: skip
        chosen.append(float(np.median(relative[:, 0], axis=0).min()))
    pick = int(np.argmin(chosen))
    lowest = [float(np.nanmin(p.measured)) for p in predicted]
    regret = lowest[pick] / min(lowest) - 1.0
    note = f"best draft by these predictions: {predicted[pick].draft}, regret {100 * regret:.1f} %"
    given = "the other drafts of the ladder, sizes and layers"
    return (
        Test("own ladder: alpha, one draft left out", given, "absolute", tuple(alphas)),
        Test(
            "own ladder: speed-up, one draft left out",
            given,
            "relative",
            tuple(gains),
            notes=(note,),
        ),
    )


def _pooled(survival: Floats) -> Floats:
    """Accepted over decided draft tokens of rounds of all gammas up to the last, (...)."""
    return np.asarray(survival[..., 1:].sum(-1) / survival[..., :-1].sum(-1))
