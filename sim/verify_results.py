"""What a simulation of verification rounds returns: tokens, accepted counts, rates with errors."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from .estimate import Estimate

_BATCHES = 200


@dataclass(frozen=True)
class Rounds:
    """Consecutive rounds of one stream of tokens.

    tokens: emitted tokens in order, shape (sum of accepted + rounds,), int32, in 0..V - 1.
    accepted: draft tokens accepted in each round, shape (rounds,), int32, in 0..depth.
    complete: whether the round ended with the bonus token after all its drafts were accepted (at a
    leaf, for a tree), shape (rounds,); otherwise its last token came from a residual.
    start: the token before the first; depth: most draft tokens that a round can accept.
    independent: whether rounds are independent of one another (independent positions); otherwise
    standard errors come from the means of 200 batches of consecutive rounds.
    """

    tokens: NDArray[np.int32]
    accepted: NDArray[np.int32]
    complete: NDArray[np.bool_]
    start: int
    depth: int
    independent: bool

    @property
    def mean_accepted(self) -> Estimate:
        """Accepted draft tokens per round [token]."""
        return self._estimate(self.accepted)

    @property
    def tokens_per_round(self) -> Estimate:
        """Emitted tokens per round, the bonus or residual token included [token]."""
        mean = self.mean_accepted
        return Estimate(1.0 + mean.mean, mean.se, mean.n)

    def survival(self) -> list[Estimate]:
        """P(at least k draft tokens accepted) for k = 1..depth."""
        return [self._estimate(self.accepted >= k) for k in range(1, self.depth + 1)]

    def position_acceptance(self) -> list[Estimate]:
        """P(position k accepted | the first k - 1 accepted and a k-th drafted), k = 1..depth.

        A ratio of means with its delta-method standard error; NaN where no round got that far.
        In block verification this is the ratio of the survivals: no position has a test of its own.
        """
        rates = []
        for k in range(1, self.depth + 1):
            passed = self.accepted >= k
            failed = (self.accepted == k - 1) & ~self.complete
            rates.append(self._ratio(passed, passed | failed))
        return rates

    def positions(self) -> NDArray[np.int64]:
        """Position of every emitted token in its round, from 0, shape of the tokens."""
        lengths = self.accepted.astype(np.int64) + 1
        starts = np.cumsum(lengths) - lengths
        return np.arange(lengths.sum()) - np.repeat(starts, lengths)

    def previous(self) -> NDArray[np.int32]:
        """The token before each emitted token, shape of the tokens."""
        return np.concatenate([np.array([self.start], np.int32), self.tokens[:-1]])

    def _estimate(self, values: NDArray[Any]) -> Estimate:
        return self._ratio(values, np.ones(values.size))

    def _ratio(self, part: NDArray[Any], whole: NDArray[Any]) -> Estimate:
        total = float(whole.sum())
        if total == 0.0:
            return Estimate(float("nan"), float("nan"), 0)
        value = float(part.sum()) / total
        errors = part - value * whole
        if not self.independent and errors.size > _BATCHES:
            size = errors.size // _BATCHES
            errors = errors[: size * _BATCHES].reshape(_BATCHES, size).sum(axis=1)
        n = errors.size
        spread = float(np.sqrt(n * errors.var(ddof=1))) if n > 1 else float("nan")
        return Estimate(value, spread / total, n)
