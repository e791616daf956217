r"""Chains of n models, each verifying what the next smaller one proposes.

    T = t_1/L_1 + t_2/L_2 + ... + t_n/L_n      time of an emitted token

L_i: tokens of the final text for each pass of model i. Inserting a model m before model i pays iff
what it takes and what it adds to the models below is less than what it saves above,

    t_m/L_m < sum over the others of t_j (1/L_j - 1/L_j').

Source: arXiv:2510.26527 states the time of n models by their acceptance lengths and a condition for
inserting one; in this form, with the lengths counted in the final text, both are derived here.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import ArrayLike

from ..domain import Floats, as_floats, check, unwrap
from ..formula import evaluates, formula
from ..rounds import geometric_sum
from ..symbols import register

register("models", "n", "models of a chain, the target among them", low=1, integer=True)
register("pass_length", "L", "tokens of the final text for a pass of the target", low=1,
         unit="token")  # fmt: skip
register("step_passes", "m", "passes of a model for each pass of the model above it", open_low=True)
register("above_time", "t", "time of a pass of the model above the inserted one", open_low=True)
register("above_before", "L_0", "tokens for each of its passes without the inserted model",
         unit="token", open_low=True)  # fmt: skip
register("above_after", "L_1", "tokens for each of its passes with the inserted model",
         unit="token", open_low=True)  # fmt: skip
register("inserted_time", "t_m", "time of a pass of the inserted model")
register("inserted_length", "L_m", "tokens for each pass of the inserted model", unit="token",
         open_low=True)  # fmt: skip

_GROUP = "schedules and cascades"


@formula(
    "even_chain_time", "T_n", group=_GROUP, models=3, cost_ratio=0.1, step_passes=4, pass_length=5,
)  # fmt: skip
def EVEN_CHAIN_TIME(s: Any) -> Any:
    """Time of an emitted token in a chain of n models with the same step from each to the next.

    Each model takes c times the time of the one above and runs m times for each of its passes. The
    chain is bounded for any n only where c m < 1; L must grow by more than (c m)^n for each model.

    Assumes: the target's pass as the unit; the same c and m at every step.
    Wrong when: a small model takes as long as its launches, so that c stops falling.
    Source: derived here from the sum over models of arXiv:2510.26527.
    """
    step = s.cost_ratio * s.step_passes
    return (1 - step**s.models) / ((1 - step) * s.pass_length)


@formula(
    "insertion_saving", r"\Delta T", group=_GROUP,
    above_time=1.0, above_before=3.0, above_after=5.0, inserted_time=0.1, inserted_length=2.0,
)  # fmt: skip
def INSERTION_SAVING(s: Any) -> Any:
    """Time of an emitted token that a model inserted into a chain saves; it pays iff positive.

    Assumes: the models below run as often for each token of the text as before.
    Wrong when: they do not; then the sum over all models decides (see `insertion_gain`).
    Source: derived here; arXiv:2510.26527 has a condition for inserting a model.
    """
    saved = s.above_time * (1 / s.above_before - 1 / s.above_after)
    return saved - s.inserted_time / s.inserted_length


@evaluates(EVEN_CHAIN_TIME)
def even_chain_time(
    models: ArrayLike, cost_ratio: ArrayLike, *, step_passes: ArrayLike, pass_length: ArrayLike
) -> Any:
    """(1 + c m + ... + (c m)^(n-1)) / L, time of an emitted token [target step]; n/L at c m = 1.

    models: whole, >= 1; cost_ratio: >= 0 [pass of the model above]; step_passes: > 0;
    pass_length: >= 1 [token]. Shapes broadcast. Raises ValueError outside these ranges.
    """
    step = check("cost_ratio", cost_ratio) * check("step_passes", step_passes)
    n = check("models", models, whole=True)
    step, n = np.broadcast_arrays(step, n)
    small = step <= 1.0
    # Above 1 the sum is taken from its other end: x^(n-1) (1 + 1/x + ...).
    up = np.where(small, step, 1.0 / np.where(small, 1.0, step))
    total = geometric_sum(up, n) * np.where(small, 1.0, step ** (n - 1.0))
    return unwrap(np.asarray(total / check("pass_length", pass_length)))


@evaluates(INSERTION_SAVING)
def insertion_saving(
    above_time: ArrayLike,
    above_before: ArrayLike,
    above_after: ArrayLike,
    *,
    inserted_time: ArrayLike,
    inserted_length: ArrayLike,
) -> Any:
    """t (1/L_0 - 1/L_1) - t_m/L_m, in the unit of the times.

    above_time, lengths: > 0; inserted_time: >= 0. Shapes broadcast, else ValueError.
    """
    before, after = check("above_before", above_before), check("above_after", above_after)
    saved = check("above_time", above_time) * ((after - before) / before / after)
    own = check("inserted_time", inserted_time) / check("inserted_length", inserted_length)
    return unwrap(np.asarray(saved - own))


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
