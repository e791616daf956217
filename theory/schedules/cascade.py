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
from numpy.typing import ArrayLike

from ..domain import Floats, check, unwrap
from ..formula import evaluates, formula
from ..optimum import best_gamma
from ..rounds import TOKENS, geometric_sum
from ..speedup import speedup
from ..symbols import register

register(
    "inner_alpha",
    r"\alpha_i",
    "acceptance probability of the inner drafter's tokens by the drafter",
    high=1.0,
)
register("inner_gamma", "k", "tokens of a round of the inner drafter", unit="token", integer=True)
register("inner_rounds", "m", "rounds of the inner cascade in one draft", integer=True)
register("inner_cost", "c_i", "step of the inner drafter", unit="target step")
register("second_alpha", r"\alpha_2", "acceptance of the second drafter's tokens", high=1.0)
register("second_gamma", "j", "tokens of the second drafter", unit="token")
register("second_cost", "c_2", "step of the second drafter", unit="target step")

_INNER = {"inner_alpha": 0.6, "inner_gamma": 3, "inner_rounds": 3}
_SECOND = {"second_alpha": 0.5, "second_gamma": 4}


@formula(
    "vertical_tokens", r"\mathrm{E}[N]", group="schedules and cascades", alpha=0.8, **_INNER
)  # fmt: skip
def VERTICAL_TOKENS(s: Any) -> Any:
    """Mean tokens per round when the draft comes from m rounds of an inner cascade.

    Assumes: independent acceptance at both levels.
    Wrong when: the two drafters fail on the same tokens.
    Source: derived here with the generating function of a round; the cascade is that of
    arXiv:2312.11462.
    """
    az = s.inner_alpha * s.alpha
    inner = 1 + (s.alpha - 1) * (1 - az ** (s.inner_gamma + 1)) / (1 - az)
    return (1 - s.alpha * inner**s.inner_rounds) / (1 - s.alpha)


@formula(
    "vertical_speedup", r"S_\mathrm{vertical}", group="schedules and cascades",
    alpha=0.8, cost_ratio=0.1, inner_cost=0.01, **_INNER,
)  # fmt: skip
def VERTICAL_SPEEDUP(s: Any) -> Any:
    """Speed-up of the vertical cascade.

    Taking c / S(inner) for the drafter's cost instead overstates it: inner rounds come in bursts.

    Assumes: verifying a draft takes a plain step, at both levels.
    Wrong when: verifying slows with the number of tokens.
    Source: derived here by renewal reward; the cascade is that of arXiv:2312.11462.
    """
    round_of_draft = s.cost_ratio + s.inner_gamma * s.inner_cost
    return VERTICAL_TOKENS.build(s) / (1 + s.inner_rounds * round_of_draft)


@formula(
    "horizontal_tokens", r"\mathrm{E}[N]", group="schedules and cascades",
    alpha=0.8, gamma=3, **_SECOND,
)  # fmt: skip
def HORIZONTAL_TOKENS(s: Any) -> Any:
    """Mean tokens per round when a second drafter continues the draft of the first.

    Assumes: independent acceptance, each drafter with one probability.
    Wrong when: the second drafter continues worse from the first one's text than from the target's.
    Source: derived here; the cascade is that of arXiv:2312.11462.
    """
    second = s.second_alpha * (1 - s.second_alpha**s.second_gamma) / (1 - s.second_alpha)
    return TOKENS.build(s) + s.alpha**s.gamma * second


@formula(
    "horizontal_speedup", r"S_\mathrm{horizontal}", group="schedules and cascades",
    alpha=0.8, gamma=3, cost_ratio=0.1, second_cost=0.005, **_SECOND,
)  # fmt: skip
def HORIZONTAL_SPEEDUP(s: Any) -> Any:
    """Speed-up of the horizontal cascade.

    Assumes: verifying a draft takes a plain step; changing drafters costs nothing.
    Wrong when: the second drafter must first read what the first one wrote.
    Source: derived here by renewal reward; the cascade is that of arXiv:2312.11462.
    """
    cost = 1 + s.gamma * s.cost_ratio + s.second_gamma * s.second_cost
    return HORIZONTAL_TOKENS.build(s) / cost


@evaluates(VERTICAL_TOKENS)
def vertical_tokens(
    alpha: ArrayLike, *, inner_alpha: ArrayLike, inner_gamma: ArrayLike, inner_rounds: ArrayLike
) -> Any:
    """Mean tokens per round of the vertical cascade [token].

    alpha, inner_alpha: in [0, 1]; inner_gamma, inner_rounds: whole numbers >= 0. Shapes broadcast;
    m (mean inner tokens) + 1 at alpha = 1. Raises ValueError outside these ranges.
    """
    a, ai = check("alpha", alpha), check("inner_alpha", inner_alpha)
    k, m = check("inner_gamma", inner_gamma), check("inner_rounds", inner_rounds)
    q = 1.0 - a
    inner = geometric_sum(ai * a, k + 1.0)  # 1 - G(alpha) = (1 - alpha) inner
    # 1 - alpha G^m through logarithms, so that alpha near 1 does not cancel.
    with np.errstate(divide="ignore", invalid="ignore"):
        log_left = np.log(a) + m * np.log1p(-np.minimum(q * inner, 1.0))
        value = -np.expm1(log_left) / q
    value = np.where(q == 0.0, 1.0 + m * inner, value)
    return unwrap(np.where((a == 0.0) | (m == 0.0), 1.0, value))


@evaluates(VERTICAL_SPEEDUP)
def vertical_speedup(
    alpha: ArrayLike,
    cost_ratio: ArrayLike,
    *,
    inner_alpha: ArrayLike,
    inner_cost: ArrayLike,
    inner_gamma: ArrayLike,
    inner_rounds: ArrayLike,
) -> Any:
    """Speed-up of the vertical cascade; inner_gamma = 0 is plain speculation with gamma = m.

    Acceptance and counts as in :func:`vertical_tokens`; costs: >= 0 [target step]. Shapes
    broadcast. Raises ValueError outside the ranges.
    """
    tokens = vertical_tokens(
        alpha, inner_alpha=inner_alpha, inner_gamma=inner_gamma, inner_rounds=inner_rounds
    )
    inner = np.asarray(inner_gamma) * check("inner_cost", inner_cost)
    per_round = check("cost_ratio", cost_ratio) + inner
    return unwrap(np.asarray(tokens) / (1.0 + np.asarray(inner_rounds) * per_round))


@evaluates(HORIZONTAL_TOKENS)
def horizontal_tokens(
    alpha: ArrayLike, gamma: ArrayLike, *, second_alpha: ArrayLike, second_gamma: ArrayLike
) -> Any:
    """Mean tokens per round of the horizontal cascade [token].

    alpha, second_alpha: in [0, 1]; gamma, second_gamma: >= 0 [token]. Shapes broadcast.
    Raises ValueError outside these ranges.
    """
    a, g = check("alpha", alpha), check("gamma", gamma)
    a2, j = check("second_alpha", second_alpha), check("second_gamma", second_gamma)
    second: Floats = np.power(a, g) * a2 * geometric_sum(a2, j)
    return unwrap(geometric_sum(a, g + 1.0) + second)


@evaluates(HORIZONTAL_SPEEDUP)
def horizontal_speedup(
    alpha: ArrayLike,
    gamma: ArrayLike,
    cost_ratio: ArrayLike,
    *,
    second_alpha: ArrayLike,
    second_gamma: ArrayLike,
    second_cost: ArrayLike,
) -> Any:
    """Speed-up of the horizontal cascade; second_gamma = 0 is plain speculation.

    Acceptance and counts as in :func:`horizontal_tokens`; costs: >= 0 [target step]. Shapes
    broadcast. Raises ValueError outside the ranges.
    """
    tokens = horizontal_tokens(alpha, gamma, second_alpha=second_alpha, second_gamma=second_gamma)
    first = np.asarray(gamma) * check("cost_ratio", cost_ratio)
    second = np.asarray(second_gamma) * check("second_cost", second_cost)
    return unwrap(np.asarray(tokens) / (1.0 + first + second))


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
