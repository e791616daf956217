r"""Where rounds start: why a mean over every position of a text overstates acceptance.

A round starts where the one before it ended, most often right after a rejection. Under bursty
acceptance such positions are the bad ones, and a round measured from every position alike is
better than the rounds that are run:

    mean over all positions = 1 + pi (1 - p^gamma) / (1 - p)  >=  E[N]  for p >= q

With independent acceptance the two agree. Estimates belong to the rounds that were run.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

import numpy as np
from numpy.typing import ArrayLike

from ..domain import check
from ..either import share
from ..formula import Number, equation, symbolic
from ..rounds import geometric, geometric_sum
from .counts import RoundCounts, round_counts
from .markov import markov_token_rate, markov_tokens


@equation(r"\mathrm{E}[N_{\mathrm{all}}]", group="acceptance laws", accept_after_accept=0.75,
          accept_after_reject=0.1, gamma=5)  # fmt: skip
def markov_offset_tokens(
    accept_after_accept: Number, accept_after_reject: Number, gamma: Number
) -> Number:
    """Mean tokens of rounds started at every position alike, under bursty acceptance.

    Assumes: a stationary two-state chain over tokens.
    Wrong when: it is taken for the tokens of the rounds that are run.
    Source: derived here; the first token is accepted at the stationary rate.
    Returns: in [1, gamma + 1].
    """
    rate = markov_token_rate(accept_after_accept, accept_after_reject)
    return 1 + rate * geometric(accept_after_accept, gamma)


@equation(r"\mathrm{bias}", group="acceptance laws", accept_after_accept=0.75,
          accept_after_reject=0.1, gamma=5)  # fmt: skip
def markov_start_bias(
    accept_after_accept: Number, accept_after_reject: Number, gamma: Number
) -> Number:
    """How much a mean over every starting position overstates the tokens per round, relatively.

    Assumes: a stationary two-state chain over tokens.
    Wrong when: acceptance falls with depth, which adds a bias of its own.
    Source: derived here as the ratio of the two means.
    Returns: negative where p < q, else >= 0. The difference of the two means is written as pi (p -
    q)(1 - p^gamma)^2 / ((1 - p) D), D the denominator of the first rate, so that it does not
    cancel.
    """
    p, q, g = accept_after_accept, accept_after_reject, gamma
    if symbolic(p, q):
        return markov_offset_tokens(p, q, g) / markov_tokens(p, q, g) - 1
    inner = geometric_sum(p, g)
    below = (1.0 - p) * geometric_sum(p, g + 1.0) + np.power(p, g) * q
    above = markov_token_rate(p, q) * (p - q) * (1.0 - p) * inner * inner
    return share(above, below) / markov_tokens(p, q, g)


def walk_rounds(lengths: ArrayLike, gamma: int) -> np.ndarray[Any, np.dtype[np.int64]]:
    """Accepted draft tokens of the rounds that a request really runs, shape (rounds,).

    lengths: for every generated position, the tokens that a round started there would yield with
    unlimited drafts, bonus token included, whole numbers >= 1, shape (positions,) [token].
    gamma: whole number >= 1. A round at a position yields min(lengths, gamma + 1) and the next one
    starts that far on. Raises ValueError outside the ranges.
    """
    yields = check("position", lengths, label="lengths")
    g = int(check("gamma", gamma, whole=True))
    steps = np.minimum(yields, g + 1).astype(np.int64).tolist()
    accepted, position = [], 0
    while position < len(steps):
        accepted.append(steps[position] - 1)
        position += steps[position]
    return np.asarray(accepted, np.int64)


def walk_counts(requests: Iterable[ArrayLike], gamma: int) -> RoundCounts:
    """The rounds that all requests really run, as counts; arguments as in :func:`walk_rounds`."""
    walks = [walk_rounds(lengths, gamma) for lengths in requests]
    code = np.repeat(np.arange(len(walks)), [w.size for w in walks])
    return round_counts(np.concatenate(walks), gamma, request=code)


def offset_tokens(requests: Iterable[ArrayLike], gamma: int) -> float:
    """Mean tokens of a round over every position of all requests: the biased estimate [token]."""
    g = int(check("gamma", gamma, whole=True))
    every = np.concatenate([check("position", lengths, label="lengths") for lengths in requests])
    return float(np.minimum(every, g + 1.0).mean())


def start_position_bias(requests: Iterable[ArrayLike], gamma: int) -> float:
    """Relative excess of the mean over every position over the mean of the rounds that are run."""
    rows = list(requests)
    visited = 1.0 + float(walk_counts(rows, gamma).accepted.mean())
    return offset_tokens(rows, gamma) / visited - 1.0
