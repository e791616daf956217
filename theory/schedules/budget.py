"""A budget of verified tokens shared by the requests of a batch.

Token k of request r reaches the output with probability s_rk, its survival. Of all choices of n
tokens the n largest survivals are worth most, and since survival never rises along a request they
are prefixes of the drafts, so the choice can be verified (arXiv:2502.15197). How many to take
follows from the measured time of a pass over n tokens.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike, NDArray

from ..domain import Floats, as_floats, check


def _survival(survival: ArrayLike) -> Floats:
    s = check("alpha", survival, label="survival")
    if s.ndim != 2:
        raise ValueError(f"survival must have shape (requests, positions), got {s.shape}")
    if np.any(np.diff(s, axis=1) > 0.0):
        raise ValueError("survival must not rise along a request")
    return s


def _order(s: Floats) -> NDArray[np.int64]:
    """Flat indices by falling survival; of equals the shallower position first, then the request.

    The shallower position first keeps every choice a prefix, also where survivals are equal.
    """
    positions = np.broadcast_to(np.arange(s.shape[1]), s.shape).ravel()
    requests = np.broadcast_to(np.arange(s.shape[0])[:, None], s.shape).ravel()
    return np.asarray(np.lexsort((requests, positions, -s.ravel())), dtype=np.int64)


def budgeted_lengths(survival: ArrayLike, budget: int) -> NDArray[np.int64]:
    """How many draft tokens of each request to verify, given room for ``budget`` in all.

    survival: s_rk of draft tokens k = 1..gamma, shape (requests, gamma), in [0, 1] and not rising
    along a request (pad shorter drafts with 0); budget: whole number >= 0 [token]. Returns lengths
    of shape (requests,), which maximise the expected accepted tokens; tokens that never survive
    are left out. Raises ValueError outside these ranges.
    """
    s = _survival(survival)
    room = int(check("gamma", budget, label="budget", whole=True))
    chosen = _order(s)[:room]
    chosen = chosen[s.ravel()[chosen] > 0.0]
    return np.bincount(chosen // max(s.shape[1], 1), minlength=s.shape[0]).astype(np.int64)


@dataclass(frozen=True)
class BatchBudget:
    """The best number of draft tokens of a batch: ``budget`` in all, ``lengths`` per request.

    tokens: expected tokens emitted by the batch in the round, the bonus tokens included; rate:
    tokens per unit of time.
    """

    budget: int
    lengths: NDArray[np.int64]
    tokens: float
    rate: float


def best_budget(survival: ArrayLike, round_time: ArrayLike) -> BatchBudget:
    """The number of draft tokens with the most tokens per time, for any curve of round times.

    survival: as in :func:`budgeted_lengths`; round_time: time of the round with n = 0, 1, ... draft
    tokens in all, shape (m + 1,), > 0, m <= requests x gamma. Every n is tried, so steps and knees
    of the curve are no obstacle. Raises ValueError outside these ranges.
    """
    s = _survival(survival)
    time = as_floats("round_time", round_time)
    if time.ndim != 1 or not 1 <= time.size <= s.size + 1:
        raise ValueError(f"round_time must have 1 to {s.size + 1} entries, got {time.shape}")
    if not (np.isfinite(time).all() and (time > 0.0).all()):
        raise ValueError("round_time must be in (0, inf)")
    gains = s.ravel()[_order(s)][: time.size - 1]
    tokens = s.shape[0] + np.concatenate([[0.0], np.cumsum(gains)])
    n = int(np.argmax(tokens / time))
    lengths = budgeted_lengths(s, n)
    return BatchBudget(n, lengths, float(tokens[n]), float(tokens[n] / time[n]))
