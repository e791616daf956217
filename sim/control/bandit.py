"""Draft lengths as the arms of a bandit: an upper confidence bound of tokens per time.

A rule for `controller_policies`, with a proven bound on what learning costs where acceptance does
not drift (see `theory.limits.bandit`). A round of g draft tokens also shows what a shorter draft
would have kept, so it counts for every length up to g; the bound holds all the more.
"""

from __future__ import annotations

import math

from ...theory.costs.law import CostLaw
from ..rounds.compiled import check_count


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
        if cost.shape != ():
            raise ValueError(f"cost must be a single law, got parameters of shape {cost.shape}")
        if not (math.isfinite(width) and width >= 0.0):
            raise ValueError(f"width must be in [0, inf), got {width}")
        self._cost, self._width = cost, width
        self.gamma_max = check_count("gamma_max", gamma_max)
        self._rounds = 0
        self._seen = [0] * (self.gamma_max + 1)
        self._kept = [0.0] * (self.gamma_max + 1)
        self._times: dict[tuple[int, float], list[float]] = {}

    def choose(self, *, batch: int = 1, context: float = 0.0) -> int:
        """Draft tokens of the next round, in 0..gamma_max; the shorter one of equals."""
        if self._rounds == 0:
            return self.gamma_max  # which shows every length once
        times = self._round_times(batch, context)
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

    def _round_times(self, batch: int, context: float) -> list[float]:
        place = (batch, 256.0 * round(context / 256.0))
        if place not in self._times:
            times = self._cost.round_time(self.gamma_max, batch=batch, context=place[1])
            self._times[place] = times.tolist()
        return self._times[place]
