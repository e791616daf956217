r"""What it costs to learn the draft length while decoding: regret of an upper confidence bound.

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

from ..acceptance.law import AcceptanceLaw, tokens_by_gamma
from ..costs.law import CostLaw
from ..domain import Floats, check
from ..formula import Number, equation, symbolic


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
