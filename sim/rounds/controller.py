"""Gamma chosen round by round from what the rounds show, for an engine or a script to call.

    h_k = (accepted_k + m h_{k-1}) / (tried_k + m),   rate(gamma) = (1 + sum of h_1..h_k) / C(gamma)

The counts of each draft position are forgotten by half every ``half_life`` rounds, and each
position leans on the one before it with the weight of m trials, so that positions that were never
drafted go on from those that were. The gamma with the most tokens per time is taken: rounds follow
on each other, so the ratio of the means is what a run of rounds earns (renewal reward), not the
mean of the ratio. To explore, in a share of the rounds all rates are moved by one draw of their
errors (Thompson sampling) or up by them (optimism); the other rounds take what looks best, which
learns too, because a position leans on the one before it; so a drafter whose first token is bad and
whose later ones are good is not found out. Where plain decoding wins, a round is
drafted every ``probe_every`` rounds, or nothing would ever be learnt again.

Draft lengths as the arms of a bandit: an upper confidence bound of tokens per time.

A rule with a proven bound on what learning costs where acceptance does
not drift (see `theory.limits.adaptive`). A round of g draft tokens also shows what a shorter draft
would have kept, so it counts for every length up to g; the bound holds all the more.
"""

from __future__ import annotations

import math
import random
from collections.abc import Iterable
from typing import Any, Literal

import numpy as np

from ...theory.acceptance import PositionalAcceptance
from ...theory.costs.law import CostLaw
from ...theory.domain import check
from .compiled import check_count

Exploration = Literal["thompson", "optimism", "none"]
# Counts grow by the inverse of what is forgotten, and are brought back before they overflow.
_LARGEST_WEIGHT = 1e12


class _Times:
    """Times of rounds at gamma = 0..gamma_max under a single cost law, kept by batch and context.

    Contexts are rounded to ``step`` tokens. Raises ValueError for laws with arrays of parameters.
    """

    def __init__(self, cost: CostLaw, gamma_max: int, step: float = 256.0) -> None:
        if cost.shape != ():
            raise ValueError(f"cost must be a single law, got parameters of shape {cost.shape}")
        self._cost, self._gamma_max, self._step = cost, gamma_max, step
        self._known: dict[tuple[int, int], list[float]] = {}

    def at(self, batch: int, context: float) -> list[float]:
        key = (batch, round(context / self._step))
        if key not in self._known:
            at = key[1] * self._step
            times = self._cost.round_time(self._gamma_max, batch=batch, context=at).tolist()
            if not all(0.0 < t < math.inf for t in times):
                raise ValueError("the cost law must give times in (0, inf)")
            self._known[key] = times
        return self._known[key]


class GammaController:
    """Chooses the draft tokens of each round; call :meth:`choose`, run the round, :meth:`update`.

    cost: a single cost law; gamma_max: largest gamma, >= 1; half_life: rounds after which a count
    weighs half, > 0 (inf never forgets); prior: acceptance probability of the first position before
    anything is seen, in [0, 1], with the weight of prior_strength > 0 trials; smoothing: trials
    with which a position leans on the one before it, > 0; exploration: "thompson", "optimism" or
    "none", in the share ``explore`` of the rounds, in [0, 1]; probe_every: plain rounds until one
    is drafted, >= 1; context_step: contexts are rounded to this many tokens, > 0, so that round
    times can be kept; seed: of the exploration.
    Raises ValueError outside the ranges.

    >>> from howspec.sim.rounds.controller import GammaController
    >>> from howspec.theory import AffineCost
    >>> control = GammaController(AffineCost(cost_ratio=0.05), gamma_max=8, exploration="none")
    >>> for round in range(300):
    ...     drafted = control.choose(batch=1, context=500)
    ...     control.update(drafted, accepted=min(drafted, 7 * round % 5))
    >>> control.choose()
    4
    """

    def __init__(
        self,
        cost: CostLaw,
        *,
        gamma_max: int = 16,
        half_life: float = 500.0,
        prior: float = 0.7,
        prior_strength: float = 2.0,
        smoothing: float = 10.0,
        exploration: Exploration = "optimism",
        explore: float = 0.1,
        probe_every: int = 64,
        context_step: float = 256.0,
        seed: int = 0,
    ) -> None:
        positive = {"half_life": half_life, "prior_strength": prior_strength,
                    "smoothing": smoothing, "context_step": context_step}  # fmt: skip
        for name, value in positive.items():
            if not value > 0.0:
                raise ValueError(f"{name} must be in (0, inf), got {value}")
        if exploration not in ("thompson", "optimism", "none"):
            raise ValueError(
                f"exploration must be 'thompson', 'optimism' or 'none', got {exploration!r}"
            )
        self.gamma_max = check_count("gamma_max", gamma_max)
        self.probe_every = check_count("probe_every", probe_every)
        self._prior = float(check("alpha", prior, label="prior"))
        self._prior_strength, self._smoothing = float(prior_strength), float(smoothing)
        self._growth = 2.0 ** (1.0 / half_life)
        self._exploration = exploration
        self._explore = float(check("alpha", explore, label="explore"))
        self._random = random.Random(seed)
        self._times = _Times(cost, self.gamma_max, float(context_step))
        self._weight = 1.0
        self._tried = [0.0] * self.gamma_max
        self._kept = [0.0] * self.gamma_max
        self._plain = 0

    def choose(self, *, batch: int = 1, context: float = 0.0) -> int:
        """Draft tokens of the next round, in 0..gamma_max; 0 is plain decoding.

        batch: sequences in it, >= 1; context: cached tokens of each, >= 0. One call a round: time
        passes here.
        """
        self._pass_time()
        times = self._times.at(batch, context)
        best, best_rate, probe, probe_rate = 0, 1.0 / times[0], 1, 0.0
        shift = self._shift()
        weight, lean = self._weight, self._smoothing * self._weight
        mean, variance = self._prior, 0.0
        survival = tokens = 1.0
        prior_lean = self._prior_strength * weight
        for k in range(self.gamma_max):
            borrowed = lean if k else prior_lean
            total = self._tried[k] + borrowed
            share = borrowed / total
            mean = (self._kept[k] + borrowed * mean) / total
            rate = mean
            if shift:
                variance = share * share * variance + mean * (1.0 - mean) / (total / weight + 1.0)
                rate = min(max(mean + shift * math.sqrt(variance), 0.0), 1.0)
            survival *= rate
            tokens += survival
            value = tokens / times[k + 1]
            if value > best_rate:
                best, best_rate = k + 1, value
            if value > probe_rate:
                probe, probe_rate = k + 1, value
        if best:
            self._plain = 0
            return best
        self._plain += 1
        if self._plain >= self.probe_every:
            self._plain = 0
            return probe
        return 0

    def update(self, drafted: int, accepted: int | np.integer[Any] | Iterable[int]) -> None:
        """Learn from a round: drafted tokens, and how many of them each sequence accepted.

        accepted: of one sequence, or one number for each sequence of the batch, in 0..drafted; it
        may be left empty for a plain round. Raises ValueError outside these ranges.
        """
        if not 0 <= drafted <= self.gamma_max:
            raise ValueError(f"drafted must be in [0, {self.gamma_max}], got {drafted}")
        tried, kept, weight = self._tried, self._kept, self._weight
        for count in (accepted,) if isinstance(accepted, int | np.integer) else accepted:
            if not 0 <= count <= drafted:
                raise ValueError(f"accepted must be in [0, drafted = {drafted}], got {count}")
            for k in range(count):
                tried[k] += weight
                kept[k] += weight
            if count < drafted:
                tried[count] += weight

    def acceptance(self) -> PositionalAcceptance:
        """What is believed of acceptance now: conditional rates of positions 1..gamma_max."""
        rates, mean = np.empty(self.gamma_max), self._prior
        for k in range(self.gamma_max):
            borrowed = self._weight * (self._smoothing if k else self._prior_strength)
            mean = (self._kept[k] + borrowed * mean) / (self._tried[k] + borrowed)
            rates[k] = mean
        return PositionalAcceptance(rates)

    def _shift(self) -> float:
        """By how many standard errors the rates are moved in this round."""
        if self._exploration == "none" or self._random.random() >= self._explore:
            return 0.0
        return self._random.gauss(0.0, 1.0) if self._exploration == "thompson" else 1.0

    def _pass_time(self) -> None:
        """Let older counts weigh less, by letting new ones weigh more."""
        self._weight *= self._growth
        if self._weight > _LARGEST_WEIGHT:
            self._tried = [x / self._weight for x in self._tried]
            self._kept = [x / self._weight for x in self._kept]
            self._weight = 1.0


class BanditChooser:
    """Drafts the length with the largest (mean tokens + g sqrt(2 ln t / n_g)) / round time.

    cost: a single cost law; gamma_max: the largest length, >= 1; width: factor of the confidence
    term, >= 0; 1 is what the bound needs, less learns faster and promises nothing. Raises
    ValueError outside these ranges. Source: the index of Auer, Cesa-Bianchi and Fischer 2002, as in
    the bandits over draft lengths of arXiv:2505.15141.

    >>> from howspec.theory import AffineCost
    >>> chooser = BanditChooser(AffineCost(0.1), gamma_max=4)
    >>> chooser.choose()
    4
    >>> chooser.update(4, [3])
    >>> chooser.choose()
    3
    """

    def __init__(self, cost: CostLaw, *, gamma_max: int = 16, width: float = 1.0) -> None:
        if not (math.isfinite(width) and width >= 0.0):
            raise ValueError(f"width must be in [0, inf), got {width}")
        self.gamma_max, self._width = check_count("gamma_max", gamma_max), width
        self._times = _Times(cost, self.gamma_max)
        self._rounds = 0
        self._seen = [0] * (self.gamma_max + 1)
        self._kept = [0.0] * (self.gamma_max + 1)

    def choose(self, *, batch: int = 1, context: float = 0.0) -> int:
        """Draft tokens of the next round, in 0..gamma_max; the shorter one of equals."""
        if self._rounds == 0:
            return self.gamma_max  # which shows every length once
        times = self._times.at(batch, context)
        logs = 2.0 * math.log(self._rounds)
        best, most = 0, 1.0 / times[0]
        for g in range(1, self.gamma_max + 1):
            n = self._seen[g]
            bound = 1.0 + self._kept[g] / n + self._width * g * math.sqrt(logs / n) if n else 1 + g
            if bound / times[g] > most:
                best, most = g, bound / times[g]
        return best

    def update(self, drafted: int, accepted: list[int]) -> None:
        """Count the round for every length up to ``drafted``, sequences by their mean."""
        self._rounds += 1
        for g in range(1, drafted + 1):
            self._seen[g] += 1
            self._kept[g] += sum(min(a, g) for a in accepted) / len(accepted)
