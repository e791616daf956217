r"""Drafts that end early by the draft's own confidence: llama.cpp's p-min until May 2026.

A draft token has a confidence X; the draft ends with the first token below the gate, which is
verified as the last (common/speculative.cpp of ggml-org/llama.cpp pushes the token before it looks
at p-min), or at gamma tokens. Confidences are taken as calibrated: a token is accepted with
probability X, and X is Beta(kappa alpha, kappa (1 - alpha)), so that g = P(X >= p) of the tokens
pass the gate and what passes is accepted with a_1 = E[X | X >= p]:

    s_k = alpha prod_{j<k} g_j a_1j,   P(D >= k) = prod_{j<k} g_j,
    T(gamma) = E[C(D, B)]

Assumes: confidences independent from token to token; kappa 1 within a factor (half of the variance
of acceptance is seen by the draft), drawn anew for every draw.
Wrong when: confidence comes in bursts, or the draft is over-confident.
Source: derived here; the laws of gated drafts are those of `howspec.theory`.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from functools import cache

import numpy as np
from numpy.typing import NDArray

from ...calibrate.known import KnownAcceptance, KnownCosts
from ...theory import AcceptanceLaw, CostLaw
from ...theory.acceptance import BetaRoundAcceptance, DepthAcceptance, PositionalAcceptance
from ...theory.acceptance.law import count_accepted
from ...theory.domain import Floats, check

_KAPPA = (1.0, 0.5)  # median, and standard deviation of the logarithm
_ALPHAS = np.linspace(0.01, 0.99, 99)
_LOG_KAPPAS = np.linspace(-1.5, 1.5, 13)
_CELLS = 4000


@dataclass(frozen=True)
class GatedCost:
    """Cost law of gated drafts: the mean round over the length of a draft.

    law: of drafts of fixed length; passing: probability that a draft goes on behind each position,
    (draws, gammas).
    """

    law: CostLaw
    passing: Floats

    @property
    def shape(self) -> tuple[int, ...]:
        return (len(self.passing),)

    def round_time(self, gamma: int, *, batch: float = 1, context: float = 0) -> Floats:
        """Mean times of rounds that draft at most 0..gamma tokens, (draws, gamma + 1) [s]."""
        times = self.law.round_time(gamma, batch=batch, context=context)
        reached = np.ones((len(self.passing), gamma))
        reached[:, 1:] = np.cumprod(self.passing, axis=1)[:, : max(gamma - 1, 0)]
        steps = np.diff(np.broadcast_to(times, (len(self.passing), gamma + 1)), axis=1) * reached
        plain = np.broadcast_to(times[..., :1], (len(self.passing), 1))
        return np.concatenate([plain, plain + np.cumsum(steps, axis=1)], axis=1)

    def cost_ratio(self, *, batch: float = 1, context: float = 0) -> Floats:
        """Time of a draft pass over that of a plain step, NaN where the law does not tell."""
        ratio = getattr(self.law, "cost_ratio", float("nan"))
        return np.asarray(ratio(batch=batch, context=context) if callable(ratio) else ratio)


def gated(
    accepted: KnownAcceptance, costs: KnownCosts, *, p_min: float, gamma: int,
    rng: np.random.Generator,
) -> tuple[KnownAcceptance, KnownCosts]:  # fmt: skip
    """Both laws with drafts that end with the first token whose confidence is below p_min.

    gamma: most tokens of a draft. Raises ValueError for p_min outside [0, 1].
    """
    check("alpha", p_min, label="p_min")
    rates = np.atleast_2d(np.asarray(accepted.rates(gamma)))
    log_kappa = np.log(_KAPPA[0]) + rng.normal(0.0, _KAPPA[1], len(rates))
    g, kept = _passing(rates, np.clip(log_kappa, _LOG_KAPPAS[0], _LOG_KAPPAS[-1]), float(p_min))
    # Given that those before were accepted, a position was reached only if they passed too.
    before = np.ones_like(rates)
    before[:, 1:] = (kept / rates)[:, :-1]
    law = PositionalAcceptance(np.clip(rates * before, 0.0, 1.0))
    note = f"drafts end with the first token whose confidence is below {p_min:g}"
    return (
        replace(accepted, law=law, middle=None, notes=(*accepted.notes, note)),
        replace(costs, law=GatedCost(costs.law, g)),
    )


def confident_rounds(
    rng: np.random.Generator, law: AcceptanceLaw, *, gamma: int, rounds: int
) -> tuple[NDArray[np.int64], Floats]:
    """Accepted tokens of rounds, (rounds,), and the confidences of their tokens, (rounds, gamma).

    Every round has confidences of its own, with kappa at its median. A law whose rounds are easy or
    hard draws the rate of a round first. Raises ValueError for a law that does not say how often
    each token is accepted: bursts over rounds, and drafts that a gate has ended already.
    """
    if isinstance(law, BetaRoundAcceptance):
        a, b = np.asarray(law.shape_accept), np.asarray(law.shape_reject)
        rates = np.broadcast_to(rng.beta(a, b, (rounds, 1)), (rounds, gamma))
    elif isinstance(law, DepthAcceptance | PositionalAcceptance):
        s = law.survival(gamma)
        given = np.divide(s[1:], s[:-1], out=np.zeros(gamma), where=s[:-1] > 0.0)
        rates = np.broadcast_to(given, (rounds, gamma))
    else:
        raise ValueError(
            "confidences can be drawn where each token has its own acceptance (laws depth, "
            f"positional, beta-round and beta-request), got {type(law).__name__}"
        )
    varies = (rates > 0.0) & (rates < 1.0)
    inner = np.where(varies, rates, 0.5)
    drawn = rng.beta(_KAPPA[0] * inner, _KAPPA[0] * (1.0 - inner))
    confidence = np.where(varies, drawn, rates)
    return count_accepted(rng.random((rounds, gamma)) < confidence), confidence


def _passing(rates: Floats, log_kappa: Floats, p_min: float) -> tuple[Floats, Floats]:
    """(g, g a_1) of every rate, of the shape of ``rates``."""
    tables = _tables(p_min)
    at = (log_kappa - _LOG_KAPPAS[0]) / (_LOG_KAPPAS[1] - _LOG_KAPPAS[0])
    low = np.minimum(at.astype(np.int64), len(_LOG_KAPPAS) - 2)
    share = (at - low)[:, None]
    found = []
    for table in tables:
        ends = [_along(table, low + k, rates) for k in (0, 1)]
        found.append((1.0 - share) * ends[0] + share * ends[1])
    g, kept = found
    return np.clip(g, 1e-9, 1.0), np.clip(np.minimum(kept, rates), 1e-12, 1.0)


def _along(table: Floats, rows: NDArray[np.int64], rates: Floats) -> Floats:
    """The rows of a table, at the rates on the grid of alphas."""
    at = np.clip((rates - _ALPHAS[0]) / (_ALPHAS[1] - _ALPHAS[0]), 0.0, len(_ALPHAS) - 1.001)
    low = at.astype(np.int64)
    share = at - low
    mine = rows[:, None]
    return np.asarray((1.0 - share) * table[mine, low] + share * table[mine, low + 1])


@cache
def _tables(p_min: float) -> tuple[Floats, Floats]:
    """(g, g a_1) over kappa and alpha, shape (kappas, alphas), by the midpoint rule in logits."""
    # Confidences crowd at 0 and 1: dense in the middle, far out at the ends.
    steps = np.linspace(-7.2, 7.2, _CELLS)
    logits = 2.0 * np.sinh(steps)
    log_x, log_rest = -np.logaddexp(0.0, -logits), -np.logaddexp(0.0, logits)
    x = np.exp(log_x)
    a = np.exp(_LOG_KAPPAS)[:, None, None] * _ALPHAS[:, None]
    b = np.exp(_LOG_KAPPAS)[:, None, None] * (1.0 - _ALPHAS)[:, None]
    logs = a * log_x + b * log_rest + np.log(np.cosh(steps))  # the density of the logit
    weight = np.exp(logs - logs.max(axis=-1, keepdims=True))
    weight /= weight.sum(axis=-1, keepdims=True)
    above = x >= p_min
    return (weight * above).sum(axis=-1), (weight * above * x).sum(axis=-1)
