r"""Drafts cut by the draft's own confidence: llama.cpp's p-min, transformers' threshold, SVIP.

A draft stops at the first token whose confidence is below a gate, or at gamma tokens. A token passes
with probability g; passing tokens are accepted with a_1, those that fail with a_0, so that the
draft without a gate has alpha = g a_1 + (1 - g) a_0. The length of a draft is a stopping time.

    token that fails is dropped (llama.cpp)        s_k = (g a_1)^k,          passes (1 - g^gamma)/(1 - g)
    it is verified as the last (transformers)      s_k = (g a_1)^(k-1) alpha, as many

Accepted over drafted is none of alpha, a_1 and g a_1. What the acceptance given that a token was
tried shows is a_1, and the mean drafted length shows g; alpha needs a_0, which a gated log hides
where failing tokens are dropped: it lies in [g a_1, a_1] if confidence does not mislead.
"""  # noqa: E501

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from ..domain import Floats, Parameters, as_floats, check
from ..either import when_drafting
from ..formula import Number, equation, symbolic
from ..rounds import geometric, geometric_sum
from .law import count_accepted, single

_GATE: dict[str, Any] = {"gate_pass": 0.7, "passed_alpha": 0.9, "gamma": 8}


@equation(r"\mathrm{E}[N]", group="acceptance laws", **_GATE)
def gated_tokens(gate_pass: Number, passed_alpha: Number, gamma: Number) -> Number:
    """Mean tokens of a round whose draft ends before the first token below the gate.

    That of independent acceptance with alpha = g a_1: a gate costs tokens, and saves draft and
    verification.

    Assumes: confidences independent from token to token; the token below the gate is dropped.
    Wrong when: confidence comes in bursts, as in copied or in difficult passages.
    Source: derived here; the gate is that of llama.cpp's p-min.
    """
    return geometric(gate_pass * passed_alpha, gamma + 1)


@equation(r"\mathrm{E}[D]", group="acceptance laws", gate_pass=0.7, gamma=8)
def gated_drafted(gate_pass: Number, gamma: Number) -> Number:
    """Mean tokens that a gated draft hands to the target, the one below the gate dropped.

    The draft itself runs 1 + g + ... + g^(gamma-1) passes, its last one in vain unless it reaches
    gamma.

    Assumes: confidences independent from token to token.
    Wrong when: confidence comes in bursts.
    Source: derived here; the mean of a stopping time.
    """
    return gate_pass * geometric(gate_pass, gamma)


@equation(r"\mathrm{accepted}/\mathrm{drafted}", group="metrics", **_GATE)
def gated_ratio(gate_pass: Number, passed_alpha: Number, gamma: Number) -> Number:
    """Accepted over drafted tokens of gated drafts, the "acceptance rate" of their logs.

    Above a_1^gamma and at most a_1: long drafts happen only where confidence is high.

    Assumes: confidences independent from token to token; the token below the gate is dropped.
    Wrong when: confidence comes in bursts.
    Source: derived here as the ratio of two geometric sums.
    Returns: in [0, a_1]; a_1 where next to nothing is drafted.
    """
    if symbolic(gate_pass, passed_alpha):
        accepted = gated_tokens(gate_pass, passed_alpha, gamma) - 1
        return accepted / gated_drafted(gate_pass, gamma)
    g, a, top = np.broadcast_arrays(gate_pass, passed_alpha, gamma)
    below = geometric_sum(g, top)
    ratio = a * geometric_sum(g * a, top) / np.where(below > 0.0, below, 1.0)
    return np.where(below > 0.0, ratio, a)


@equation(r"\mathrm{E}[N]", group="acceptance laws", failed_alpha=0.3, **_GATE)
def gated_last_tokens(
    gate_pass: Number, passed_alpha: Number, failed_alpha: Number, gamma: Number
) -> Number:
    """Mean tokens of a round whose draft ends with the first token below the gate, verified too.

    1 + alpha (1 - (g a_1)^gamma) / (1 - g a_1), alpha = g a_1 + (1 - g) a_0: as many draft passes
    as with the token dropped, and its acceptance on top.

    Assumes: confidences independent from token to token.
    Wrong when: confidence comes in bursts.
    Source: derived here; the gate is that of transformers' assistant_confidence_threshold.
    """
    kept = gate_pass * passed_alpha
    alpha = kept + (1 - gate_pass) * failed_alpha
    return 1 + alpha * geometric(kept, gamma)


@equation(r"S_\mathrm{gate}", group="speed-up", cost_ratio=0.08, verify_slope=0.01, overhead=0.05,
          **_GATE)  # fmt: skip
def gated_speedup(gate_pass: Number, passed_alpha: Number, gamma: Number, cost_ratio: Number, *,
                  verify_slope: Number = 0.0, overhead: Number = 0.0) -> Number:  # fmt: skip
    """Speed-up with gated drafts, the token below the gate dropped, gamma >= 1.

    Assumes: confidences independent from token to token, costs affine in draft passes and verified
    tokens; the overhead is paid in every round, also where the first token fails.
    Wrong when: rounds without a draft are plain steps, or the verifying pass has steps.
    Source: derived here by renewal reward.
    Returns: 1 at gamma = 0; at gate_pass = 1 that of drafts without a gate.
    """
    passes = geometric(gate_pass, gamma)
    time = 1 + passes * cost_ratio + gate_pass * passes * verify_slope
    return gated_tokens(gate_pass, passed_alpha, gamma) / (time + when_drafting(gamma, overhead))


@dataclass(frozen=True)
class GatedRates:
    """What a log of gated drafts shows.

    gate_pass: g; passed_alpha: a_1; alpha_low, alpha_high: bounds of the acceptance without a gate,
    given that tokens below the gate are accepted no more often than those above.
    """

    gate_pass: float
    passed_alpha: float
    alpha_low: float
    alpha_high: float


def gated_rates(accepted: float, drafted: float, gamma: int) -> GatedRates:
    """Gate and acceptance from the mean accepted and drafted tokens of a round, tokens dropped.

    accepted, drafted: per round, 0 <= accepted <= drafted, 0 < drafted <= gamma [token]; gamma:
    whole number >= 1, the most that a draft may have. Inverts `gated_drafted` and `gated_tokens`,
    both of which rise in what is sought. Raises ValueError outside these ranges.
    """
    from scipy.optimize import brentq

    top = int(check("gamma", gamma, whole=True))
    d, a = (float(as_floats(n, v)) for n, v in (("drafted", drafted), ("accepted", accepted)))
    if not (0.0 < d <= top and 0.0 <= a <= d):
        raise ValueError(
            f"drafted must be in (0, {top}] and accepted in [0, drafted], got {d} and {a}"
        )
    g = (
        1.0
        if d == top
        else float(brentq(lambda x: gated_drafted(x, top) - d, 0.0, 1.0, xtol=1e-15))
    )

    def over(x: float) -> float:
        return float(gated_tokens(x, 1.0, top)) - 1.0 - a

    # All that the gate lets through is accepted, to the last digit of g.
    kept = g if over(g) <= 0.0 else float(brentq(over, 0.0, g, xtol=1e-15))
    passed = min(kept / g, 1.0)
    return GatedRates(g, passed, kept, passed)


@dataclass(frozen=True)
class GateChoice:
    """The best gate: threshold on the confidence, gamma, speed-up, and g and a_1 there."""

    threshold: float
    gamma: int
    speedup: float
    gate_pass: float
    passed_alpha: float


def best_gate(
    confidence: ArrayLike,
    *,
    cost_ratio: float,
    verify_slope: float = 0.0,
    overhead: float = 0.0,
    gamma_max: int = 32,
) -> GateChoice:
    """The gate and the longest draft with the largest speed-up, for calibrated confidences.

    confidence: acceptance probabilities of draft tokens, a sample of shape (n,), in [0, 1]; costs:
    >= 0 [target step]; gamma_max: whole number >= 1. Every value of the sample is tried as the
    threshold (a token passes at or above it). gamma 0 and threshold 1 where no gate pays. With an
    unbounded gamma the best threshold solves theta = (c + b) S ((1 - g a_1) / (1 - g))^2 (derived
    here from dS/dtheta = 0): tokens pass that bring more than they cost at the rate S, raised by
    the chance that the draft reaches them for nothing.
    """
    x = np.sort(check("alpha", confidence, label="confidence").ravel())
    if x.size == 0:
        raise ValueError("confidence must hold one or more values, got none")
    top = int(check("gamma", gamma_max, label="gamma_max", whole=True))
    levels, first = np.unique(x, return_index=True)
    passing = (x.size - first) / x.size
    kept = np.cumsum(x[::-1])[::-1][first] / x.size
    gammas = np.arange(1.0, max(top, 1) + 1.0)
    values = np.asarray(
        gated_speedup(
            passing[:, None],
            np.minimum(kept / passing, 1.0)[:, None],
            gammas,
            cost_ratio,
            verify_slope=verify_slope,
            overhead=overhead,
        )
    )
    i, j = (int(k) for k in np.unravel_index(values.argmax(), values.shape))
    if values[i, j] <= 1.0:
        return GateChoice(1.0, 0, 1.0, 0.0, 0.0)
    return GateChoice(
        float(levels[i]), j + 1, float(values[i, j]), float(passing[i]), float(kept[i] / passing[i])
    )


@dataclass(frozen=True)
class GatedAcceptance(Parameters):
    """Acceptance law of gated drafts whose token below the gate is dropped: s_k = (g a_1)^k.

    gate_pass, passed_alpha: in [0, 1]; arrays broadcast. Tokens per round are those of independent
    acceptance with g a_1; a cost law must charge the passes and tokens of gated drafts, not gamma
    of them (see :func:`gated_speedup`). Raises ValueError outside the range.
    """

    gate_pass: ArrayLike
    passed_alpha: ArrayLike

    def survival(self, gamma: int) -> Floats:
        gate, passed = self.columns()
        return np.asarray(
            (gate * passed) ** np.arange(int(check("gamma", gamma, whole=True)) + 1.0)
        )

    def draw(self, rng: np.random.Generator, *, gamma: int, rounds: int) -> NDArray[np.int64]:
        single(self)
        passes = rng.random((rounds, gamma)) < as_floats("gate_pass", self.gate_pass)
        accepts = rng.random((rounds, gamma)) < as_floats("passed_alpha", self.passed_alpha)
        return np.minimum(count_accepted(passes), count_accepted(accepts))
