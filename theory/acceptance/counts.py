"""Counts of rounds: what was drafted and how much of it was accepted.

A round drafts gamma tokens and accepts the leading K of them. Where K < gamma one more draft token
was tried and rejected; where K = gamma nothing is known about the next one (the round is censored).
So a round resolves min(K + 1, gamma) trials of the acceptance probability, not gamma.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike, NDArray

from ..domain import Floats, check

Whole = NDArray[np.int64]


@dataclass(frozen=True, eq=False)
class RoundCounts:
    """Rounds in the order in which they ran, grouped by request; built by :func:`round_counts`.

    accepted, drafted: draft tokens of each round, shape (rounds,) [token].
    request: number of the request of each round, 0..requests - 1, non-decreasing; shape (rounds,).
    clustered: whether the requests were told apart; if not, all rounds count as request 0.
    """

    accepted: Whole
    drafted: Whole
    request: Whole
    clustered: bool

    @property
    def rounds(self) -> int:
        """Number of rounds."""
        return int(self.accepted.size)

    @property
    def requests(self) -> int:
        """Number of requests."""
        return int(self.request[-1]) + 1

    @property
    def rejected(self) -> NDArray[np.bool_]:
        """Whether a draft token of the round was rejected, shape (rounds,)."""
        return np.asarray(self.accepted < self.drafted)

    @property
    def trials(self) -> Whole:
        """Draft tokens of each round whose fate was decided, shape (rounds,) [token]."""
        return np.asarray(self.accepted + self.rejected)

    def by_position(self) -> tuple[Whole, Whole]:
        """(tried, accepted) for draft positions 1..max drafted: tokens reached, and accepted."""
        top = int(self.drafted.max())
        tried = np.bincount(self.trials, minlength=top + 1)[::-1].cumsum()[::-1]
        kept = np.bincount(self.accepted, minlength=top + 1)[::-1].cumsum()[::-1]
        return np.asarray(tried[1:], np.int64), np.asarray(kept[1:], np.int64)

    def by_request(self) -> tuple[Floats, Floats]:
        """(accepted, trials) summed over each request, or each round where requests are unknown."""
        if not self.clustered:
            return self.accepted.astype(np.float64), self.trials.astype(np.float64)
        kept = np.bincount(self.request, weights=self.accepted)
        return np.asarray(kept, np.float64), np.bincount(self.request, weights=self.trials).astype(
            np.float64
        )

    def follows(self) -> NDArray[np.bool_]:
        """Whether a round has a predecessor in its own request, shape (rounds,)."""
        return np.concatenate([[False], self.request[1:] == self.request[:-1]])

    def subset(self, requests: Sequence[int] | Whole) -> RoundCounts:
        """The rounds of the given requests, in that order; one named twice becomes two requests."""
        starts = np.searchsorted(self.request, np.arange(self.requests + 1))
        pieces = [np.arange(starts[r], starts[r + 1]) for r in requests]
        rows = np.concatenate(pieces)
        code = np.repeat(np.arange(len(pieces)), [p.size for p in pieces])
        return RoundCounts(self.accepted[rows], self.drafted[rows], code, self.clustered)


def round_counts(
    accepted: ArrayLike, drafted: ArrayLike, *, request: ArrayLike | None = None
) -> RoundCounts:
    """Check and group the counts of rounds.

    accepted: draft tokens accepted in each round, in running order, shape (rounds,) [token].
    drafted: draft tokens of each round, a whole number or shape (rounds,) [token].
    request: a label for each round saying to which request it belongs; None where unknown. The
    rounds of a request keep their order, and requests may be interleaved.
    Raises ValueError when a count is no whole number, accepted exceeds drafted, there is no round,
    or the shapes differ.
    """
    kept = check("gamma", accepted, label="accepted", whole=True)
    if kept.ndim != 1 or kept.size == 0:
        raise ValueError(f"accepted must be one number per round, got shape {kept.shape}")
    tried = check("gamma", drafted, label="drafted", whole=True)
    if tried.shape not in ((), kept.shape):
        raise ValueError(f"drafted must have the shape {kept.shape}, got {tried.shape}")
    tried = np.broadcast_to(tried, kept.shape)
    if (kept > tried).any():
        row = int(np.argmax(kept > tried))
        raise ValueError(
            f"accepted must be in [0, drafted], got {kept[row]:g} of {tried[row]:g} in round {row}"
        )
    code = np.zeros(kept.size, np.int64)
    if request is not None:
        labels = np.asarray(request)
        if labels.shape != kept.shape:
            raise ValueError(f"request must have the shape {kept.shape}, got {labels.shape}")
        code = np.asarray(np.unique(labels, return_inverse=True)[1], np.int64)
    order = np.argsort(code, kind="stable")
    return RoundCounts(
        kept[order].astype(np.int64),
        tried[order].astype(np.int64),
        code[order],
        request is not None,
    )


def walk_rounds(lengths: ArrayLike, gamma: int) -> Whole:
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
