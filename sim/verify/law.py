"""Is the law of the emitted tokens the target's? Chi-square tests, and their power.

Given all that was emitted before, each token of a lossless rule has the target's law. Hence counts
of tokens (independent positions), and counts of next tokens given the previous one (a Markov
target), have the asymptotic chi-square laws of independent draws, although whether a token is a
draft depends on its value; for transitions see Billingsley, Annals of Mathematical Statistics 32
(1961), 12-40. Counts of single tokens of a Markov target do not: they are correlated.

What a simulation of verification rounds returns: tokens, accepted counts, rates with errors.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from ...theory.domain import Floats
from ...theory.trees.verification import distribution
from ..rounds.estimate import Estimate
from .pairs import Pair

_LEAST_EXPECTED = 5.0


class ChiSquare(NamedTuple):
    """Pearson's statistic, its degrees of freedom and the probability of at least that much."""

    statistic: float
    freedom: int
    p_value: float


def chi_square(counts: NDArray[np.int64], law: Floats) -> ChiSquare:
    """Compare counts with a law, row by row; the rows are taken as given.

    counts, law: shape (cells,) or (rows, cells). Cells with fewer than 5 expected are pooled within
    their row, into the next smallest if the pool itself expects fewer. A count where the law has
    no mass makes p = 0. Raises ValueError where nothing is left to compare.
    """
    from scipy.stats import chi2

    counts, law = np.atleast_2d(counts), np.atleast_2d(distribution("law", law))
    if counts.shape != law.shape:
        raise ValueError(f"counts must have the shape {law.shape} of the law, got {counts.shape}")
    if counts[law == 0.0].any():
        return ChiSquare(float("inf"), 1, 0.0)
    statistic, freedom = 0.0, 0
    for row, p in zip(counts, law, strict=True):
        seen, expected = _pooled(row, p * row.sum())
        if expected.size > 1:
            statistic += float(((seen - expected) ** 2 / expected).sum())
            freedom += expected.size - 1
    if freedom == 0:
        raise ValueError("counts must be enough for two cells with 5 expected, got fewer")
    return ChiSquare(statistic, freedom, float(chi2.sf(statistic, freedom)))


def _pooled(seen: NDArray[Any], expected: Floats) -> tuple[Floats, Floats]:
    """Cells in decreasing order of expectation, the rare ones added up into one."""
    order = np.argsort(-expected, kind="stable")
    order = order[expected[order] > 0.0]
    common = int((expected >= _LEAST_EXPECTED).sum())
    if expected[order[common:]].sum() < _LEAST_EXPECTED:
        common = max(common - 1, 0)
    starts = np.arange(min(common + 1, order.size))
    if starts.size == 0:
        return np.zeros(0), np.zeros(0)
    return (
        np.add.reduceat(seen[order].astype(np.float64), starts),
        np.add.reduceat(expected[order], starts),
    )


def token_test(rounds: Rounds, pair: Pair) -> ChiSquare:
    """Test of all emitted tokens against the target: single tokens, or transitions if Markov.

    Raises ValueError where there are too few tokens to test.
    """
    size = pair.vocabulary
    if not pair.markov:
        return chi_square(np.bincount(rounds.tokens, minlength=size), pair.target)
    return chi_square(_transitions(rounds.previous(), rounds.tokens, size), pair.target)


def position_test(rounds: Rounds, pair: Pair) -> ChiSquare:
    """As `token_test`, with the tokens of each position of the round counted apart.

    Sees errors that cancel over the positions. For small vocabularies: the table has
    (depth + 1) V^2 cells for a Markov pair.
    """
    size = pair.vocabulary
    strata = rounds.positions() * (size if pair.markov else 1)
    if pair.markov:
        strata = strata + rounds.previous()
    law = np.tile(np.atleast_2d(pair.target), (rounds.depth + 1, 1))
    cells = np.bincount(strata * size + rounds.tokens, minlength=law.size)
    return chi_square(cells.reshape(law.shape), law)


def ratio_test(rounds: Rounds, pair: Pair, *, groups: int = 32) -> ChiSquare:
    """As `token_test`, with the tokens of each context grouped by q/p.

    Verification sees a token through q/p alone: acceptance, residual and every error that is a
    function of the ratio act on these groups. With few cells the test has power where the test
    over a whole large vocabulary drowns it in degrees of freedom. Groups hold about equal mass of
    p; a token is never split. groups: >= 2.
    """
    if groups < 2:
        raise ValueError(f"groups must be an integer in [2, inf), got {groups}")
    group = ratio_groups(pair, groups)
    rows = group.shape[0]
    law = np.zeros((rows, groups))
    for row in range(rows):
        law[row] = np.bincount(group[row], weights=pair.rows()[0][row], minlength=groups)
    context = rounds.previous().astype(np.int64) if pair.markov else 0
    cells = np.bincount(context * groups + group[context, rounds.tokens], minlength=law.size)
    return chi_square(cells.reshape(law.shape), law)


def ratio_groups(pair: Pair, groups: int) -> NDArray[np.int64]:
    """Group of each token of each context, shape (R, V), rising with q/p, in 0..groups - 1."""
    p, q = pair.rows()
    with np.errstate(divide="ignore", invalid="ignore", over="ignore"):
        order = np.argsort(np.where(p > 0.0, q / p, np.inf), axis=1, kind="stable")
    ranked = np.take_along_axis(p, order, axis=1)
    middle = np.cumsum(ranked, axis=1) - 0.5 * ranked
    group = np.empty(p.shape, np.int64)
    np.put_along_axis(
        group, order, np.minimum((groups * middle).astype(np.int64), groups - 1), axis=1
    )
    return group


def detection_power(law: Floats, biased: Floats, *, tokens: int, level: float = 1e-4) -> float:
    """Probability that the chi-square test of `tokens` draws from `biased` has p < level.

    law, biased: shape (V,); the noncentral chi-square approximation, with the cells pooled as in
    the test. Where biased has mass and law has none the test is certain in the limit: 1.
    """
    from scipy.stats import chi2, ncx2

    p, b = distribution("law", law), distribution("biased", biased)
    if b[p == 0.0].any():
        return 1.0
    found, expected = _pooled(b * tokens, p * tokens)
    freedom = expected.size - 1
    if freedom < 1:
        raise ValueError(f"tokens must give two cells 5 expected, got {tokens}")
    centre = float(((found - expected) ** 2 / expected).sum())
    return float(ncx2.sf(chi2.isf(level, freedom), freedom, centre))


def _transitions(
    previous: NDArray[np.int32], tokens: NDArray[np.int32], size: int
) -> NDArray[np.int64]:
    cells = np.bincount(previous.astype(np.int64) * size + tokens, minlength=size * size)
    return cells.reshape(size, size)


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
