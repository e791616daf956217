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

from ..domain import Floats, check, unwrap
from ..formula import evaluates, formula
from ..rounds import geometric_sum
from ..symbols import register

register(
    "step_alpha", r"\alpha_s", "probability that a drafted reasoning step is accepted", high=1.0
)
register("step_gamma", "g", "reasoning steps drafted ahead", unit="step")
register("step_cost", "c_s", "time of drafting one reasoning step", unit="target's reasoning step")
register("judge_cost", "v", "time of judging one round of steps", unit="target's reasoning step")
register("token_speedup", r"S_\mathrm{tokens}", "speed-up of the target's own decoding", low=1.0)

_POINT = {"step_alpha": 0.6, "step_gamma": 3, "step_cost": 0.1, "judge_cost": 0.05}


def _steps(s: Any) -> Any:
    return (1 - s.step_alpha ** (s.step_gamma + 1)) / (1 - s.step_alpha)


@formula(
    "two_layer_speedup", "S", group="schedules and cascades", token_speedup=2.0, **_POINT
)  # fmt: skip
def TWO_LAYER_SPEEDUP(s: Any) -> Any:
    """Speed-up of speculating on reasoning steps with a target that speculates on tokens.

    Assumes: steps accepted independently, the two layers do not disturb each other, the target
    writes several steps side by side as fast as one.
    Wrong when: the steps' parallel writing makes the batch large, which lowers S_tokens.
    Source: derived here; the two layers are those of arXiv:2506.19830.
    """
    target = 1 / s.token_speedup
    return _steps(s) / (target + s.step_gamma * s.step_cost + s.judge_cost)


@formula(
    "two_layer_bound", r"S_{\max}", group="schedules and cascades", token_speedup=2.0, **_POINT
)
def TWO_LAYER_BOUND(s: Any) -> Any:
    """The product of the two layers' own speed-ups, which bounds the speed-up of both together.

    Assumes: as for the speed-up of both.
    Wrong when: drafting steps is itself sped up.
    Source: derived here; the product is the first-order claim of arXiv:2506.19830.
    """
    alone = _steps(s) / (1 + s.step_gamma * s.step_cost + s.judge_cost)
    return alone * s.token_speedup


def _terms(
    step_alpha: ArrayLike, step_gamma: ArrayLike, step_cost: ArrayLike, judge_cost: ArrayLike
) -> tuple[Floats, Floats]:
    """(mean steps per round, time of drafting and judging)."""
    g = check("step_gamma", step_gamma)
    steps = geometric_sum(check("step_alpha", step_alpha), g + 1.0)
    judge = np.where(g > 0.0, check("judge_cost", judge_cost), 0.0)
    return steps, np.asarray(g * check("step_cost", step_cost) + judge)


@evaluates(TWO_LAYER_SPEEDUP)
def two_layer_speedup(
    step_alpha: ArrayLike,
    step_gamma: ArrayLike,
    *,
    step_cost: ArrayLike,
    judge_cost: ArrayLike = 0.0,
    token_speedup: ArrayLike = 1.0,
) -> Any:
    """Speed-up of step-level and token-level speculation together; S_tokens at step_gamma = 0.

    step_alpha: in [0, 1]; step_gamma: >= 0; costs: >= 0 [target's reasoning step], the judge paid
    only when steps are drafted; token_speedup: >= 1. Shapes broadcast. ValueError outside these.
    """
    steps, extra = _terms(step_alpha, step_gamma, step_cost, judge_cost)
    return unwrap(steps / (1.0 / check("token_speedup", token_speedup) + extra))


@evaluates(TWO_LAYER_BOUND)
def two_layer_bound(
    step_alpha: ArrayLike,
    step_gamma: ArrayLike,
    *,
    step_cost: ArrayLike,
    judge_cost: ArrayLike = 0.0,
    token_speedup: ArrayLike = 1.0,
) -> Any:
    """Step-level speed-up times token-level speed-up, an upper bound for both together.

    Arguments and errors as in :func:`two_layer_speedup`.
    """
    steps, extra = _terms(step_alpha, step_gamma, step_cost, judge_cost)
    return unwrap(steps / (1.0 + extra) * check("token_speedup", token_speedup))
