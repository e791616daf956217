"""Acceptance records as laws: how many draft tokens the rounds of a pair accepted."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property

import numpy as np
from numpy.typing import NDArray

from ...theory.acceptance import PositionalAcceptance
from ...theory.domain import Floats
from ..records import Record


@dataclass(frozen=True)
class Rounds:
    """Speculative rounds of one draft: accepted tokens of every request, domains apart.

    drafted: tokens drafted in every round; accepted: one array a request; domains: of each.
    """

    drafted: int
    accepted: tuple[NDArray[np.int64], ...]
    domains: tuple[str, ...]

    @cached_property
    def reached(self) -> Floats:
        """Rounds of every request that accepted at least k tokens, (requests, drafted + 1)."""
        at = np.arange(self.drafted + 1)
        return np.array([(a[:, None] >= at).sum(axis=0) for a in self.accepted], dtype=float)

    def survival(self, weights: Floats | None = None) -> Floats:
        """s_0..s_drafted, requests counted ``weights`` times (default once), (drafted + 1,)."""
        w = np.ones(len(self.accepted)) if weights is None else weights
        total = w @ self.reached
        return np.asarray(total / total[0])

    def law(self) -> PositionalAcceptance:
        """The survival as an acceptance law, hazards by position."""
        return PositionalAcceptance(_hazards(self.survival()))

    def sample(self, rng: np.random.Generator, *, draws: int) -> Floats:
        """Survivals of bootstrap samples of requests, each domain resampled on its own.

        Requests are drawn with Dirichlet weights; shape (draws, drafted + 1).
        """
        domains = np.array(self.domains)
        weights = np.zeros((draws, domains.size))
        for name in dict.fromkeys(self.domains):
            own = np.flatnonzero(domains == name)
            weights[:, own] = rng.dirichlet(np.ones(own.size), draws) * own.size
        return np.array([self.survival(w) for w in weights])


def _hazards(survival: Floats) -> Floats:
    with np.errstate(invalid="ignore", divide="ignore"):
        rates = survival[1:] / survival[:-1]
    return np.where(np.isfinite(rates), rates, 0.0)


def rounds_of(
    record: Record, draft: str, *, temperature: float, domains: Sequence[str] | None = None
) -> Rounds:
    """The rounds of a draft in an acceptance record. Raises ValueError where there are none."""
    found = [
        p
        for p in record.points
        if p.get("type") == "rounds"
        and p["draft"] == draft
        and p["temperature"] == temperature
        and (domains is None or p["domain"] in domains)
        and p.get("accepted")
    ]
    if not found:
        raise ValueError(
            f"the acceptance record must hold rounds of {draft} at temperature {temperature:g}"
        )
    if len({str(p["drafted"]) for p in found}) > 1 or not isinstance(found[0]["drafted"], int):
        raise ValueError(
            f"drafted must be one number in all rounds of {draft}, got {found[0]['drafted']}, "
            f"... {found[-1]['drafted']}"
        )
    return Rounds(
        int(found[0]["drafted"]),
        tuple(np.array(p["accepted"], dtype=np.int64) for p in found),
        tuple(str(p["domain"]) for p in found),
    )
