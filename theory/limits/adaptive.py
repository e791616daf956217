r"""Drafters that adapt: when to stop a draft, and what it costs to learn its length.

After each draft token the drafter learns the probability a_k that this token is accepted, given
those before it; a_k is drawn anew for each token from a known distribution with mean alpha. With
P = a_1 ... a_k, the probability that the draft still stands, the best policy drafts one more token

    while  P alpha > (c + b) rho*,   rho* = best E[N] / E[time of a round]

that is, while P exceeds a threshold. rho* is the best rate itself, so that the two are found
together (Dinkelbach's method). Proof of the threshold: P never rises, so that once a token does
not pay, none after it does, and looking one step ahead is enough.

Learning the draft length while decoding, by the largest upper confidence bound:

    index(g) = (mean of N_g + g sqrt(2 ln t / n_g)) / C(g)
    plays(g) <= 8 ln n (g / (C(g) d_g))^2 + 1 + pi^2/3,     d_g = r* - r_g,  r_g = E[N_g]/C(g)
    E[time] - L/r* <= (sum of C(g) d_g plays(g) + gamma_max) / r*

Each draft length is an arm; its round of time C(g) brings N_g in 1..g + 1 tokens, and the largest
index is drafted. By Wald's equation a text of L tokens takes at most L rounds, loses C(g) d_g
tokens for each round of g instead of the best, and overshoots by at most gamma_max tokens.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike

from ..acceptance.law import AcceptanceLaw, tokens_by_gamma
from ..costs.law import CostLaw
from ..domain import Floats, check, check_gamma_max
from ..either import demand
from ..formula import Number, equation, symbolic


@equation(r"\theta", group="headroom", alpha=0.8, cost_ratio=0.05, verify_slope=0.01,
          policy_rate=2.5)  # fmt: skip
def stopping_threshold(
    alpha: Number, cost_ratio: Number, policy_rate: Number, *, verify_slope: Number = 0.0
) -> Number:
    """Draft another token while the probability that the draft stands exceeds this.

    policy_rate is the best rate that the policy itself reaches; alpha the mean acceptance
    probability of a token that has not been drafted yet.

    Assumes: the drafter's confidence is calibrated and independent from token to token.
    Wrong when: confidence in the next token depends on this one, or the batch must draft in step.
    Source: derived here; a threshold on the same probability is used in arXiv:2405.19715.
    Returns: at 1 or above nothing is drafted.
    """
    demand(alpha > 0, "alpha must be in (0, 1]", alpha)
    return (cost_ratio + verify_slope) * policy_rate / alpha


@dataclass(frozen=True)
class ThresholdPolicy:
    """The best stopping rule: draft while the survival probability exceeds ``threshold``.

    rate: tokens per plain step of the target, that is the speed-up; 1 where plain decoding is best.
    tokens: E[N] per round; drafted: mean drafted tokens per round [token].
    """

    threshold: float
    rate: float
    tokens: float
    drafted: float


def _distribution(values: ArrayLike, weights: ArrayLike) -> tuple[Floats, Floats]:
    v, w = check("alpha", values, label="values"), check("alpha", weights, label="weights")
    if v.ndim != 1 or v.shape != w.shape or v.size == 0:
        raise ValueError(f"values and weights must be equal 1-d arrays, got {v.shape}, {w.shape}")
    if abs(w.sum() - 1.0) > 1e-9:
        raise ValueError(f"weights must sum to 1, got {w.sum():.12g}")
    return v, w


def _play(v: Floats, w: Floats, threshold: float, gamma_max: int) -> tuple[float, float]:
    """(E[N], E[drafted]) of the policy with this threshold on P.

    The states of one depth are the distinct values of P among those that still draft, with their
    probabilities; equal products (to 12 digits) are merged, which keeps them few.
    """
    standing, mass = np.ones(1), np.ones(1)
    tokens, drafted = 1.0, 0.0
    for _ in range(gamma_max):
        go = standing > threshold
        if not go.any():
            break
        standing, mass = standing[go], mass[go]
        drafted += float(mass.sum())
        product = np.outer(standing, v).ravel()
        mass = np.outer(mass, w).ravel()
        tokens += float(product @ mass)
        with np.errstate(divide="ignore"):
            key = np.round(np.log(product), 12)
        _, first, group = np.unique(key, return_index=True, return_inverse=True)
        standing, mass = product[first], np.bincount(group, weights=mass).astype(np.float64)
    return tokens, drafted


def threshold_policy(
    values: ArrayLike,
    weights: ArrayLike,
    *,
    cost_ratio: float,
    verify_slope: float = 0.0,
    overhead: float = 0.0,
    gamma_max: int = 32,
) -> ThresholdPolicy:
    """The best stopping rule for a drafter whose confidence in its tokens has this distribution.

    values: acceptance probabilities, weights: how often each occurs, both 1-d and of equal length,
    in [0, 1], weights summing to 1. Costs: scalars >= 0 [target step], the overhead paid only when
    speculating; gamma_max: whole number >= 1, the longest draft. With one value it is the best
    fixed gamma. Meant for a handful of values: the work grows with the number of distinct products.
    Raises ValueError outside these ranges.
    """
    v, w = _distribution(values, weights)
    per_token = float(check("cost_ratio", cost_ratio) + check("verify_slope", verify_slope))
    fixed = 1.0 + float(check("overhead", overhead))
    top = int(check_gamma_max(gamma_max))
    mean = float(v @ w)
    plain = ThresholdPolicy(1.0, 1.0, 1.0, 0.0)
    if mean == 0.0:
        return plain
    # Dinkelbach from the worst speculative rate: each rate is that of a policy and never falls.
    rate = 1.0 / fixed
    for _ in range(64):
        threshold = per_token * rate / mean
        tokens, drafted = _play(v, w, threshold, top)
        if drafted == 0.0:
            return plain
        improved = tokens / (fixed + per_token * drafted)
        if improved <= rate * (1.0 + 1e-15):
            break
        rate = improved
    if rate <= 1.0:
        return plain
    return ThresholdPolicy(min(threshold, 1.0), rate, tokens, drafted)


@equation(r"\mathrm{E}[n_\gamma]", group="headroom", gamma=3, arm_time=1.15, rate_gap=0.3,
          played_rounds=10000)  # fmt: skip
def ucb_plays(
    gamma: Number, arm_time: Number, rate_gap: Number, *, played_rounds: Number
) -> Number:
    """At most so many rounds draft a length that is not the best, on average, of n rounds.

    Assumes: rounds independent with one law per draft length, known round times.
    Wrong when: acceptance drifts along a text; counts must then be forgotten, and regret is linear.
    Source: Auer, Cesa-Bianchi and Fischer 2002, theorem 1, with N in a range of gamma and divided
    by the round's time; bandits over draft lengths and their regret at a stopping time are the
    subject of arXiv:2505.15141, whose constants are not used here.
    """
    if symbolic(gamma, arm_time):
        import sympy

        width = gamma / (arm_time * rate_gap)
        return 8 * sympy.log(played_rounds) * width**2 + 1 + sympy.pi**2 / 3
    width = gamma / arm_time / rate_gap
    logs = np.log(played_rounds)
    return np.where(logs > 0.0, 8.0 * logs * width**2, 0.0) + (1.0 + np.pi**2 / 3.0)


@dataclass(frozen=True)
class BanditRegret:
    """What learning costs in a text of some length.

    best: the best draft length; gaps: tokens per time that each length brings less, and plays: the
    most rounds of each on average, inf for the best, both (gamma_max + 1,); time: the most that
    the text takes beyond L/r* on average, in the cost law's unit.
    """

    best: int
    gaps: Floats
    plays: Floats
    time: float


def bandit_regret(
    law: AcceptanceLaw, cost: CostLaw, *, length: int, gamma_max: int = 16
) -> BanditRegret:
    """Upper bounds for a text of ``length`` tokens decoded with the largest index of 0..gamma_max.

    law, cost: single laws; length, gamma_max: whole, >= 1. Each length is bounded by its plays or,
    where those are more than the rounds of the text, by all of them at the largest loss of a round.
    Raises ValueError otherwise.
    """
    size = int(check("length", length, whole=True))
    most = int(check("gamma", gamma_max, label="gamma_max", whole=True))
    tokens = np.asarray(tokens_by_gamma(law, most))
    times = np.asarray(cost.round_time(most), dtype=np.float64)
    rates = tokens / times
    best = int(rates.argmax())
    gaps = rates[best] - rates
    behind = gaps > 0.0
    safe = np.where(behind, gaps, 1.0)
    plays = np.asarray(ucb_plays(np.arange(most + 1.0), times, safe, played_rounds=size))
    plays = np.where(behind, plays, np.inf)
    losses = times * gaps
    lost = float((losses[behind] * plays[behind]).sum())
    lost = min(lost, size * float(losses.max()))
    return BanditRegret(best, gaps, plays, (lost + most) / float(rates[best]))
