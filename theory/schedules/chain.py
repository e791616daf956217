r"""Chains of n models, each verifying what the next smaller one proposes.

    T = t_1/L_1 + t_2/L_2 + ... + t_n/L_n      time of an emitted token

L_i: tokens of the final text for each pass of model i. Inserting a model m before model i pays iff
what it takes and what it adds to the models below is less than what it saves above,

    t_m/L_m < sum over the others of t_j (1/L_j - 1/L_j').

Source: arXiv:2510.26527 states the time of n models by their acceptance lengths and a condition for
inserting one; in this form, with the lengths counted in the final text, both are derived here.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import ArrayLike

from ..domain import Floats, as_floats


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
