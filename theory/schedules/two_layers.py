r"""Speculating on whole reasoning steps and on tokens at once.

    S = E_steps / (1 / S_tokens + g c_s + v)  <=  S_steps S_tokens

A small model drafts g whole steps, the target writes the steps side by side, itself sped up by
S_tokens, and a judge (time v) compares. Drafting and judging are not sped up by the inner layer, so
that the product of the two speed-ups is an upper bound, reached where both cost nothing.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import ArrayLike

from ..domain import Floats, check
from ..either import when_drafting
from ..formula import Number, equation
from ..rounds import geometric, geometric_sum

_POINT: dict[str, Any] = {"step_alpha": 0.6, "step_gamma": 3, "step_cost": 0.1, "judge_cost": 0.05}


def _steps(s: Any) -> Any:
    return (1 - s.step_alpha ** (s.step_gamma + 1)) / (1 - s.step_alpha)


@equation("S", group="schedules and cascades", token_speedup=2.0, **_POINT)
def two_layer_speedup(step_alpha: Number, step_gamma: Number, *, step_cost: Number,
                      judge_cost: Number = 0.0, token_speedup: Number = 1.0) -> Number:  # fmt: skip
    """Speed-up of speculating on reasoning steps with a target that speculates on tokens.

    Assumes: steps accepted independently, the two layers do not disturb each other, the target
    writes several steps side by side as fast as one.
    Wrong when: the steps' parallel writing makes the batch large, which lowers S_tokens.
    Source: derived here; the two layers are those of arXiv:2506.19830.
    Returns: S_tokens at step_gamma = 0; the judge is paid only when steps are drafted.
    """
    extra = step_gamma * step_cost + when_drafting(step_gamma, judge_cost)
    return geometric(step_alpha, step_gamma + 1) / (1 / token_speedup + extra)


@equation(r"S_{\max}", group="schedules and cascades", token_speedup=2.0, **_POINT)
def two_layer_bound(step_alpha: Number, step_gamma: Number, *, step_cost: Number,
                    judge_cost: Number = 0.0, token_speedup: Number = 1.0) -> Number:  # fmt: skip
    """The product of the two layers' own speed-ups, which bounds the speed-up of both together.

    Assumes: as for the speed-up of both.
    Wrong when: drafting steps is itself sped up.
    Source: derived here; the product is the first-order claim of arXiv:2506.19830.
    """
    extra = step_gamma * step_cost + when_drafting(step_gamma, judge_cost)
    return geometric(step_alpha, step_gamma + 1) / (1 + extra) * token_speedup


def _terms(
    step_alpha: ArrayLike, step_gamma: ArrayLike, step_cost: ArrayLike, judge_cost: ArrayLike
) -> tuple[Floats, Floats]:
    """(mean steps per round, time of drafting and judging)."""
    g = check("step_gamma", step_gamma)
    steps = geometric_sum(check("step_alpha", step_alpha), g + 1.0)
    judge = np.where(g > 0.0, check("judge_cost", judge_cost), 0.0)
    return steps, np.asarray(g * check("step_cost", step_cost) + judge)
