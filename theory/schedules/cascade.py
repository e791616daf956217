r"""Cascades: a drafter that is itself accelerated, and two drafters one after the other.

    vertical:    E[N] = (1 - alpha G(alpha)^m) / (1 - alpha),  cost 1 + m c + m k c_i
    horizontal:  E[N] = E_gamma(alpha) + alpha^gamma alpha_2 (1 - alpha_2^j) / (1 - alpha_2),
                 cost 1 + gamma c + j c_2

In the vertical cascade the drafter (step c) runs m speculative rounds of its own with an inner
drafter (step c_i, acceptance alpha_i, k tokens a round); G is the generating function of what such
a round yields. In the horizontal one the first drafter writes gamma tokens and the second j more.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np

from ..domain import check
from ..formula import Number, equation, symbolic
from ..optimum import best_gamma
from ..rounds import geometric, geometric_sum
from ..speedup import speedup

_INNER: dict[str, Any] = {"inner_alpha": 0.6, "inner_gamma": 3, "inner_rounds": 3}
_SECOND: dict[str, Any] = {"second_alpha": 0.5, "second_gamma": 4}


@equation(r"\mathrm{E}[N]", group="schedules and cascades", alpha=0.8, **_INNER)
def vertical_tokens(
    alpha: Number, *, inner_alpha: Number, inner_gamma: Number, inner_rounds: Number
) -> Number:
    """Mean tokens per round when the draft comes from m rounds of an inner cascade.

    Assumes: independent acceptance at both levels.
    Wrong when: the two drafters fail on the same tokens.
    Source: derived here with the generating function of a round; the cascade is that of
    arXiv:2312.11462.
    Returns: 1 + m (mean inner tokens) at alpha = 1.
    """
    if symbolic(alpha, inner_alpha):
        az = inner_alpha * alpha
        inner = 1 + (alpha - 1) * (1 - az ** (inner_gamma + 1)) / (1 - az)
        return (1 - alpha * inner**inner_rounds) / (1 - alpha)
    a, ai = alpha, inner_alpha
    k, m = inner_gamma, inner_rounds
    q = 1.0 - a
    inner = geometric_sum(ai * a, k + 1.0)  # 1 - G(alpha) = (1 - alpha) inner
    # 1 - alpha G^m through logarithms, so that alpha near 1 does not cancel.
    with np.errstate(divide="ignore", invalid="ignore"):
        log_left = np.log(a) + m * np.log1p(-np.minimum(q * inner, 1.0))
        value = -np.expm1(log_left) / q
    value = np.where(q == 0.0, 1.0 + m * inner, value)
    return np.where((a == 0.0) | (m == 0.0), 1.0, value)


@equation(r"S_\mathrm{vertical}", group="schedules and cascades", alpha=0.8, cost_ratio=0.1,
          inner_cost=0.01, **_INNER)  # fmt: skip
def vertical_speedup(alpha: Number, cost_ratio: Number, *, inner_alpha: Number, inner_cost: Number,
                     inner_gamma: Number, inner_rounds: Number) -> Number:  # fmt: skip
    """Speed-up of the vertical cascade.

    Taking c / S(inner) for the drafter's cost instead overstates it: inner rounds come in bursts.

    Assumes: verifying a draft takes a plain step, at both levels.
    Wrong when: verifying slows with the number of tokens.
    Source: derived here by renewal reward; the cascade is that of arXiv:2312.11462.
    Returns: inner_gamma = 0 is plain speculation with gamma = m.
    """
    inner = {"inner_alpha": inner_alpha, "inner_gamma": inner_gamma, "inner_rounds": inner_rounds}
    per_round = cost_ratio + inner_gamma * inner_cost
    return vertical_tokens(alpha, **inner) / (1 + inner_rounds * per_round)


@equation(r"\mathrm{E}[N]", group="schedules and cascades", alpha=0.8, gamma=3, **_SECOND)
def horizontal_tokens(
    alpha: Number, gamma: Number, *, second_alpha: Number, second_gamma: Number
) -> Number:
    """Mean tokens per round when a second drafter continues the draft of the first.

    Assumes: independent acceptance, each drafter with one probability.
    Wrong when: the second drafter continues worse from the first one's text than from the target's.
    Source: derived here; the cascade is that of arXiv:2312.11462.
    """
    second = second_alpha * geometric(second_alpha, second_gamma)
    return geometric(alpha, gamma + 1) + alpha**gamma * second


@equation(r"S_\mathrm{horizontal}", group="schedules and cascades", alpha=0.8, gamma=3,
          cost_ratio=0.1, second_cost=0.005, **_SECOND)  # fmt: skip
def horizontal_speedup(alpha: Number, gamma: Number, cost_ratio: Number, *, second_alpha: Number,
                       second_gamma: Number, second_cost: Number) -> Number:  # fmt: skip
    """Speed-up of the horizontal cascade.

    Assumes: verifying a draft takes a plain step; changing drafters costs nothing.
    Wrong when: the second drafter must first read what the first one wrote.
    Source: derived here by renewal reward; the cascade is that of arXiv:2312.11462.
    Returns: second_gamma = 0 is plain speculation.
    """
    second = {"second_alpha": second_alpha, "second_gamma": second_gamma}
    cost = 1 + gamma * cost_ratio + second_gamma * second_cost
    return horizontal_tokens(alpha, gamma, **second) / cost


@dataclass(frozen=True)
class VerticalChoice:
    """The best vertical cascade and the best single level that it must beat.

    rounds, inner_gamma: of the best cascade; speedup: its speed-up; single_gamma, single_speedup:
    of plain speculation with the drafter alone.
    """

    rounds: int
    inner_gamma: int
    speedup: float
    single_gamma: int
    single_speedup: float

    @property
    def inner_helps(self) -> bool:
        """Whether the inner drafter raises the speed-up at all."""
        return self.speedup > self.single_speedup


def best_vertical(
    alpha: float,
    cost_ratio: float,
    *,
    inner_alpha: float,
    inner_cost: float,
    rounds_max: int = 16,
    inner_gamma_max: int = 16,
) -> VerticalChoice:
    """The best numbers of inner rounds and inner tokens, over all up to the two largest.

    Arguments as in :func:`vertical_speedup`, scalars; rounds_max, inner_gamma_max: whole numbers
    >= 1. A single level is compared up to rounds_max. Raises ValueError outside the ranges.
    """
    for name, top in (("rounds_max", rounds_max), ("inner_gamma_max", inner_gamma_max)):
        if check("gamma", top, label=name, whole=True) < 1.0:
            raise ValueError(f"{name} must be an integer >= 1, got {top}")
    m, k = np.meshgrid(np.arange(1, rounds_max + 1), np.arange(1, inner_gamma_max + 1))
    values = np.asarray(
        vertical_speedup(
            alpha,
            cost_ratio,
            inner_alpha=inner_alpha,
            inner_cost=inner_cost,
            inner_gamma=k,
            inner_rounds=m,
        )
    )
    i = np.unravel_index(int(np.argmax(values)), values.shape)
    single = int(best_gamma(alpha, cost_ratio, gamma_max=rounds_max))
    return VerticalChoice(
        rounds=int(m[i]),
        inner_gamma=int(k[i]),
        speedup=float(values[i]),
        single_gamma=single,
        single_speedup=float(speedup(alpha, single, cost_ratio)),
    )
