r"""Which gamma, and which draft, is fastest: simulate until it is decided, and not longer.

Every candidate is a pair of laws (a draft) at one gamma. A game is a block of rounds; its value is
the speed-up seen in it. All gammas of a draft read the same rounds, cut short at their gamma, and
all drafts the same random words (common random numbers), so candidates differ by little noise.

After each look the present leader is compared with every rival by the paired games. A rival whose
upper bound is below the leader leaves; the search ends once no rival's upper bound is more than
the indifference above the leader. At look j every bound uses a one-sided t quantile at level

    (1 - confidence) / (j (j + 1) (candidates - 1)),

and these levels sum to 1 - confidence over all looks and rivals of the truly best candidate. So
with at least that confidence the chosen one is the best or within the indifference of it, whenever
the search stops (derived here by the union bound; means of games are taken as normal).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ...theory.acceptance.law import AcceptanceLaw, GammaDependentLaw
from ...theory.costs.law import CostLaw
from ...theory.domain import Floats, check
from .compiled import check_count
from .estimate import Estimate, cluster_bootstrap
from .laws import by_law, by_survival
from .traces import Trace, walk


@dataclass(frozen=True)
class Draft:
    """A candidate draft: its acceptance law and its cost law, both single."""

    acceptance: AcceptanceLaw
    cost: CostLaw


@dataclass(frozen=True)
class Selection:
    """The outcome of a search.

    drafts, gammas: of each candidate, shape (candidates,), drafts by index; best: index of the
    chosen candidate; decided: False where ``max_rounds`` ended the search first. speedups: Estimate
    of each; probabilities: that each candidate is the best, given the simulation, shape
    (candidates,), summing to 1. rounds: rounds simulated, over all drafts; looks: at the data.
    """

    drafts: NDArray[np.int64]
    gammas: NDArray[np.int64]
    best: int
    decided: bool
    speedups: tuple[Estimate, ...]
    probabilities: Floats
    rounds: int
    looks: int

    @property
    def gamma(self) -> int:
        """Draft tokens of the chosen candidate; 0 means do not speculate."""
        return int(self.gammas[self.best])

    @property
    def draft(self) -> int:
        """Index of the chosen candidate's draft."""
        return int(self.drafts[self.best])


def _relative_cost(cost: CostLaw, gamma_max: int, *, batch: float, context: float) -> Floats:
    """Time of a round at gamma = 0..gamma_max in plain steps, (gamma_max + 1,)."""
    times = np.asarray(cost.round_time(gamma_max, batch=batch, context=context))
    if times.ndim != 1 or not (np.isfinite(times).all() and (times > 0.0).all()):
        raise ValueError("cost law must be single with times in (0, inf) up to gamma_max")
    return np.asarray(times / times[0])


class _Games:
    """Plays games for the candidates that are still in."""

    def __init__(
        self, drafts: Sequence[Draft], costs: Sequence[Floats], block: int, common: bool
    ) -> None:
        self.drafts, self.block, self.common = drafts, block, common
        self.top = len(costs[0]) - 1
        self.owner = np.repeat(np.arange(len(drafts)), self.top + 1)
        self.gamma = np.tile(np.arange(self.top + 1), len(drafts))
        self.cost = np.concatenate(costs)
        # Rounds at gamma are longer rounds cut short, except where gamma changes their start.
        self.own = [isinstance(d.acceptance, GammaDependentLaw) for d in drafts]
        self.rounds = 0

    def playing(self, alive: NDArray[np.int64]) -> NDArray[np.int64]:
        """The candidates ``alive`` and those that share their rounds, which cost nothing more."""
        if not self.common:
            return alive
        shared = np.isin(self.owner, self.owner[alive]) & ~np.array(self.own)[self.owner]
        return np.union1d(alive, np.flatnonzero(shared))

    def play(self, rng: np.random.Generator, games: int, alive: NDArray[np.int64]) -> Floats:
        """Values of ``games`` games of the candidates ``alive``, shape (games, alive.size)."""
        values = np.empty((games, alive.size))
        seed = rng.integers(0, 2**63)
        drawn: dict[tuple[int, int], NDArray[Any]] = {}
        for column, candidate in enumerate(alive):
            owner, gamma = int(self.owner[candidate]), int(self.gamma[candidate])
            law, own = self.drafts[owner].acceptance, self.own[owner]
            key = (owner, gamma if own else self.top)
            if not self.common or key not in drawn:
                source = np.random.default_rng(seed if self.common else rng.integers(0, 2**63))
                draw = by_law if own else by_survival
                accepted = draw(source, law, key[1], games * self.block)
                drawn[key] = accepted.reshape(games, -1)
                self.rounds += accepted.size
            tokens = np.minimum(drawn[key], gamma).mean(axis=1, dtype=np.float64) + 1.0
            values[:, column] = tokens / self.cost[candidate]
        return values


class _Moments:
    """Sums and cross products of paired games, each pair over the games that both played."""

    def __init__(self, size: int) -> None:
        self.games = np.zeros((size, size))
        self.sums = np.zeros((size, size))  # [i, j]: of candidate i over the games shared with j
        self.products = np.zeros((size, size))
        self.shift = np.full(size, np.nan)

    def add(self, alive: NDArray[np.int64], values: Floats) -> None:
        if np.isnan(self.shift[alive]).any():
            self.shift[alive] = values.mean(axis=0)  # keeps the products free of cancellation
        x = values - self.shift[alive]
        pairs = np.ix_(alive, alive)
        self.games[pairs] += x.shape[0]
        self.sums[pairs] += x.sum(axis=0)[:, None]
        self.products[pairs] += x.T @ x

    def means(self) -> Floats:
        return np.asarray(self.shift + np.diag(self.sums) / np.diag(self.games))

    def covariance(self) -> Floats:
        """Covariance of single games, each pair from the games that both played."""
        shared = self.products - self.sums * self.sums.T / self.games
        return np.asarray(shared / (self.games - 1.0))

    def against(self, leader: int) -> tuple[Floats, Floats]:
        """Mean paired differences to the leader and their covariance.

        A candidate that left early is compared over the games it shared with the leader.
        """
        cov, played = self.covariance(), np.diag(self.games)
        own = self.shift + self.sums[:, leader] / self.games[:, leader]
        leads = self.shift[leader] + self.sums[leader] / self.games[leader]
        spread = cov - cov[leader] - cov[:, [leader]] + cov[leader, leader]
        return own - leads, np.asarray(spread / np.maximum.outer(played, played))


def _probabilities(
    rng: np.random.Generator, means: Floats, errors: Floats, samples: int = 10_000
) -> Floats:
    """Share of normal draws of the differences in which each candidate is the largest."""
    values, vectors = np.linalg.eigh(errors)
    root = vectors * np.sqrt(np.maximum(values, 0.0))  # rounding can leave -1e-20
    draws = means + rng.standard_normal((samples, means.size)) @ root.T
    return np.bincount(draws.argmax(axis=1), minlength=means.size) / samples


def _bounds(moments: _Moments, alive: NDArray[np.int64], leader: int, level: float) -> Floats:
    """Upper bounds on how far each candidate ``alive`` exceeds the leader."""
    from scipy.stats import t

    games = moments.games[leader, leader]
    means, cov = moments.means(), moments.covariance()
    spread = np.diag(cov)[alive] + cov[leader, leader] - 2.0 * cov[leader, alive]
    half = t.isf(level, games - 1) * np.sqrt(np.maximum(spread, 0.0) / games)
    bound = means[alive] - means[leader] + half
    return np.asarray(np.where(alive == leader, -np.inf, bound))


def select(
    rng: np.random.Generator,
    drafts: Sequence[Draft],
    *,
    gamma_max: int = 16,
    batch: float = 1,
    context: float = 0,
    confidence: float = 0.99,
    indifference: float = 0.002,
    block: int = 64,
    first: int = 16,
    growth: float = 1.5,
    max_rounds: int = 10**8,
    common: bool = True,
    eliminate: bool = True,
) -> Selection:
    """The fastest draft and gamma in 0..gamma_max, simulated until decided.

    confidence: in (0, 1), that the chosen candidate is the best or within the indifference of it;
    indifference: difference that does not matter, relative to the leader's speed-up, >= 0.
    block: rounds a game; first: games before the first look, >= 8; growth: factor of games from
    look to look, > 1.
    common, eliminate: False gives every candidate its own rounds, and the same number of them to
    the end: equal allocation, for comparison. Raises ValueError outside the ranges.
    """
    if not drafts:
        raise ValueError("drafts must hold one or more candidates, got none")
    if not 0.0 < confidence < 1.0:
        raise ValueError(f"confidence must be in (0, 1), got {confidence}")
    if not (np.isfinite(indifference) and indifference >= 0.0):
        raise ValueError(f"indifference must be in [0, inf), got {indifference}")
    if not (np.isfinite(growth) and growth > 1.0):
        raise ValueError(f"growth must be in (1, inf), got {growth}")
    top = int(check("gamma", gamma_max, label="gamma_max", whole=True))
    costs = [_relative_cost(d.cost, top, batch=batch, context=context) for d in drafts]
    games = _Games(drafts, costs, check_count("block", block), common)
    alive = np.arange(games.cost.size)
    moments = _Moments(alive.size)
    played, goal, looks, decided = 0, check_count("first", first, low=8), 0, False
    leader = 0
    while not decided and games.rounds < max_rounds:
        step, playing = goal - played, games.playing(alive)
        chunk = max(1, 2**20 // games.block)  # bounds the memory of one batch of games
        while step > 0:
            now = min(step, chunk)
            moments.add(playing, games.play(rng, now, playing))
            step -= now
        played, looks = goal, looks + 1
        means = moments.means()
        leader = int(alive[means[alive].argmax()])
        level = (1.0 - confidence) / (looks * (looks + 1) * max(games.cost.size - 1, 1))
        over = _bounds(moments, alive, leader, level)
        decided = bool((over <= indifference * means[leader]).all())
        if eliminate:
            alive = alive[(over >= 0.0) | (alive == leader)]
        goal = int(np.ceil(played * growth))
    means, counts = moments.means(), np.diag(moments.games).astype(int)
    se = np.sqrt(np.diag(moments.covariance()) / counts)
    speedups = tuple(
        Estimate(float(m), float(s), int(n)) for m, s, n in zip(means, se, counts, strict=True)
    )
    chances = _probabilities(rng, *moments.against(leader))
    return Selection(
        games.owner, games.gamma, leader, decided, speedups, chances, games.rounds, looks
    )


def trace_gamma(
    rng: np.random.Generator,
    trace: Trace,
    cost: CostLaw,
    *,
    gamma_max: int = 16,
    batch: float = 1,
    context: float = 0,
    resamples: int = 2000,
) -> Selection:
    """The best gamma on a measured trace; the uncertainty is that of the sample of requests.

    Speed-up by total time at a fixed batch and context. Probabilities and errors come from a
    bootstrap over requests that all gammas share; ``rounds`` counts the rounds walked.
    """
    top = int(check("gamma", gamma_max, label="gamma_max", whole=True))
    relative = _relative_cost(cost, top, batch=batch, context=context)
    rounds, _ = walk(trace, np.arange(top + 1))
    plain = np.broadcast_to(trace.lengths[:, None].astype(float), rounds.shape)
    means = plain.sum(axis=0) / (rounds * relative).sum(axis=0)
    draws = cluster_bootstrap(rng, plain, rounds * relative, resamples=resamples)
    best = draws.argmax(axis=1)
    chances = np.bincount(best, minlength=top + 1) / best.size
    spread = draws.std(axis=0, ddof=1)
    speedups = tuple(
        Estimate(float(m), float(s), trace.requests) for m, s in zip(means, spread, strict=True)
    )
    gammas = np.arange(top + 1)
    return Selection(
        np.zeros_like(gammas), gammas, int(means.argmax()), True, speedups, chances,
        int(rounds.sum()), 1,
    )  # fmt: skip
