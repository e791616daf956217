"""What simpler laws say from the same input: the plain formula, SDSL, interpolation.

The plain formula is E[N] / (1 + gamma c): independent acceptance, verification as cheap as a plain
step, nothing else in a round (arXiv:2211.17192). SDSL predicts acceptance as affine in the
perplexities of draft and target (arXiv:2603.11053); where a row states none, those that the loss
law gives for the two sizes are taken, and where a size is not stated either it says nothing.
"""

from __future__ import annotations

import math

import numpy as np
from numpy.typing import NDArray

from ...calibrate.prior.acceptance_model import SDSL as SDSL_NUMBERS
from ...calibrate.prior.acceptance_sizes import loss
from ...theory import speedup, tokens_per_round
from ...theory.acceptance import alpha_from_length

Floats = NDArray[np.float64]
LEAST_PARAMS = 1e3  # what is smaller is no model of language, and its perplexity overflows
PLAIN, SDSL, NEAREST = "plain formula", "SDSL", "interpolation"


def plain_from_sweep(
    gammas: NDArray[np.int64], speedups: Floats, tau: Floats | None, wanted: int
) -> float:
    """Fit alpha and c of the plain formula to the other gammas and predict the wanted one.

    With tokens per round alpha comes from their mean, c from the round times; without, both by
    least squares over a grid.
    """
    if tau is not None:
        alpha = float(np.mean(alpha_from_length(tau, gammas)))
        per_token = (tau / speedups - 1.0) * gammas
        c = max(0.0, float(per_token.sum() / (gammas**2).sum()))
        return float(speedup(alpha, wanted, c))
    alphas = np.linspace(0.01, 0.99, 99)[:, None, None]
    costs = np.geomspace(1e-3, 2.0, 120)[None, :, None]
    table = tokens_per_round(alphas, gammas) / (1.0 + gammas * costs)
    misfit = (np.log(table / speedups) ** 2).sum(-1)
    i, j = np.unravel_index(int(misfit.argmin()), misfit.shape)
    return float(speedup(float(alphas[i, 0, 0]), wanted, float(costs[0, j, 0])))


def interpolated(gammas: NDArray[np.int64], speedups: Floats, wanted: int) -> float:
    """Straight line through the neighbours; beyond the ends, the nearest measured speed-up."""
    return float(np.interp(wanted, gammas, speedups))


def plain_from_numbers(alpha: float, tau: float, gamma: int, cost_ratio: float) -> float:
    """The plain formula at stated acceptance (or tokens per round) and cost ratio."""
    tokens = tau if math.isfinite(tau) else float(tokens_per_round(alpha, gamma))
    return tokens / (1.0 + gamma * cost_ratio)


def sdsl_alpha(draft_params: float, target_params: float) -> float | None:
    """Acceptance by SDSL from two sizes [parameter], None where one is not stated or no model's."""
    if not (draft_params >= LEAST_PARAMS and target_params >= LEAST_PARAMS):
        return None
    draft, target = math.exp(loss(draft_params)), math.exp(loss(target_params))
    value = SDSL_NUMBERS[0] + SDSL_NUMBERS[1] * draft + SDSL_NUMBERS[2] * target
    return min(max(value, 0.0), 1.0)


def sdsl_speedup(
    draft_params: float, target_params: float, gamma: int, cost_ratio: float
) -> float | None:
    """SDSL's acceptance in the plain formula, None where a size is not stated."""
    alpha = sdsl_alpha(draft_params, target_params)
    return None if alpha is None else float(speedup(alpha, gamma, cost_ratio))
