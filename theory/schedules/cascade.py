r"""Cascades: a drafter that is itself accelerated, and two drafters one after the other.

    vertical:    E[N] = (1 - alpha G(alpha)^m) / (1 - alpha),  cost 1 + m c + m k c_i
    horizontal:  E[N] = E_gamma(alpha) + alpha^gamma alpha_2 (1 - alpha_2^j) / (1 - alpha_2),
                 cost 1 + gamma c + j c_2

In the vertical cascade the drafter (step c) runs m speculative rounds of its own with an inner
drafter (step c_i, acceptance alpha_i, k tokens a round); G is the generating function of what such
a round yields. In the horizontal one the first drafter writes gamma tokens and the second j more.

Chains of n models, each verifying what the next smaller one proposes, and steps over tokens.

    T = t_1/L_1 + t_2/L_2 + ... + t_n/L_n      time of an emitted token

L_i: tokens of the final text for each pass of model i. Inserting a model m before model i pays iff
what it takes and what it adds to the models below is less than what it saves above,

    t_m/L_m < sum over the others of t_j (1/L_j - 1/L_j').

Source: arXiv:2510.26527 states the time of n models by their acceptance lengths and a condition for
inserting one; in this form, with the lengths counted in the final text, both are derived here.

Speculating on whole reasoning steps and on tokens at once.

    S = E_steps / (1 / S_tokens + g c_s + v)  <=  S_steps S_tokens

A small model drafts g whole steps, the target writes the steps side by side, itself sped up by
S_tokens, and a judge (time v) compares. Drafting and judging are not sped up by the inner layer, so
that the product of the two speed-ups is an upper bound, reached where both cost nothing.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import ArrayLike

from ..domain import Floats, as_floats
from ..either import when_drafting
from ..formula import Number, equation, symbolic
from ..rounds import geometric, geometric_sum

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


_GROUP = "schedules and cascades"


@equation("T_n", group=_GROUP, whole=("models",), models=3, cost_ratio=0.1, step_passes=4,
          pass_length=5)  # fmt: skip
def even_chain_time(
    models: Number, cost_ratio: Number, *, step_passes: Number, pass_length: Number
) -> Number:
    """Time of an emitted token in a chain of n models with the same step from each to the next.

    Each model takes c times the time of the one above and runs m times for each of its passes. The
    chain is bounded for any n only where c m < 1; L must grow by more than (c m)^n for each model.

    Assumes: the target's pass as the unit; the same c and m at every step.
    Wrong when: a small model takes as long as its launches, so that c stops falling.
    Source: derived here from the sum over models of arXiv:2510.26527.
    Returns: n/L at c m = 1.
    """
    if symbolic(models, cost_ratio):
        step = cost_ratio * step_passes
        return (1 - step**models) / ((1 - step) * pass_length)
    step = cost_ratio * step_passes
    n = models
    step, n = np.broadcast_arrays(step, n)
    small = step <= 1.0
    # Above 1 the sum is taken from its other end: x^(n-1) (1 + 1/x + ...).
    up = np.where(small, step, 1.0 / np.where(small, 1.0, step))
    total = geometric_sum(up, n) * np.where(small, 1.0, step ** (n - 1.0))
    return total / pass_length


@equation(r"\Delta T", group=_GROUP, above_time=1.0, above_before=3.0, above_after=5.0,
          inserted_time=0.1, inserted_length=2.0)  # fmt: skip
def insertion_saving(above_time: Number, above_before: Number, above_after: Number, *,
                     inserted_time: Number, inserted_length: Number) -> Number:  # fmt: skip
    """Time of an emitted token that a model inserted into a chain saves; it pays iff positive.

    Assumes: the models below run as often for each token of the text as before.
    Wrong when: they do not; then the sum over all models decides (see `insertion_gain`).
    Source: derived here; arXiv:2510.26527 has a condition for inserting a model.
    Returns: in the unit of the times.
    """
    if symbolic(above_time, above_before):
        saved = above_time * (1 / above_before - 1 / above_after)
        return saved - inserted_time / inserted_length
    before, after = above_before, above_after
    saved = above_time * ((after - before) / before / after)
    own = inserted_time / inserted_length
    return saved - own


def _chain(times: ArrayLike, lengths: ArrayLike) -> tuple[Floats, Floats]:
    t, size = as_floats("times", times), as_floats("lengths", lengths)
    if t.ndim != 1 or t.shape != size.shape or not ((t >= 0.0).all() and (size > 0.0).all()):
        raise ValueError("times must be >= 0 and lengths > 0, one of each for every model")
    return t, size


def chain_time(times: ArrayLike, lengths: ArrayLike) -> float:
    """Time of an emitted token of a chain of models, in the unit of ``times``.

    times: of a pass of each model, target first, >= 0, shape (n,); lengths: tokens of the final
    text for each of its passes, > 0. Raises ValueError otherwise.
    """
    t, size = _chain(times, lengths)
    return float(np.sum(t / size))


def insertion_gain(
    times: ArrayLike, lengths: ArrayLike, new_lengths: ArrayLike, *, time: float, length: float
) -> float:
    """Time of an emitted token that one more model saves; it pays iff this is positive.

    times, lengths: of the chain without it, as in :func:`chain_time`; new_lengths: of the same
    models with it; time, length: of the inserted model.
    """
    t, size = _chain(times, lengths)
    _, after = _chain(times, new_lengths)
    own, passes = _chain([time], [length])
    return float(np.sum(t * (1.0 / size - 1.0 / after)) - own[0] / passes[0])


_POINT: dict[str, Any] = {"step_alpha": 0.6, "step_gamma": 3, "step_cost": 0.1, "judge_cost": 0.05}


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
