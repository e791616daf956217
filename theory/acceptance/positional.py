r"""A table of conditional rates, one per draft position, and its estimate from counts.

    s_k = alpha_1 ... alpha_k,   E[N] = sum of s_k over k = 0..gamma

Exact for the gamma at which it was measured, whatever makes the rates differ. It says nothing
about positions beyond the table: those need a rule, and the rule is an assumption.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

import numpy as np
from numpy.typing import ArrayLike, NDArray

from ..domain import Floats, as_floats, check
from .counts import RoundCounts
from .law import count_accepted, single

Extension = Literal["refuse", "last", "none"]


@dataclass(frozen=True, eq=False)
class PositionalAcceptance:
    """Acceptance by a table of conditional rates.

    rates: alpha_1..alpha_m on the last axis, in [0, 1], shape (*shape, m).
    extension: what holds beyond position m. "refuse" (the default) raises ValueError, "last" goes
    on with alpha_m, "none" accepts nothing there, the cautious lower bound.
    Raises ValueError outside the ranges.
    """

    rates: ArrayLike
    extension: Extension = "refuse"

    def __post_init__(self) -> None:
        table = check("alpha", self.rates, label="rates")
        if table.ndim == 0 or table.shape[-1] == 0:
            raise ValueError(f"rates must have one value per position, got shape {table.shape}")
        if self.extension not in ("refuse", "last", "none"):
            raise ValueError(
                f"extension must be 'refuse', 'last' or 'none', got {self.extension!r}"
            )

    @property
    def shape(self) -> tuple[int, ...]:
        return np.shape(self.rates)[:-1]

    def conditional(self, gamma: int) -> Floats:
        """alpha_1..alpha_gamma on the last axis, shape (*shape, gamma).

        Raises ValueError where gamma exceeds the table and no rule for that was chosen.
        """
        g = int(check("gamma", gamma, whole=True))
        table = as_floats("rates", self.rates)
        beyond = g - table.shape[-1]
        if beyond <= 0:
            return table[..., :g]
        if self.extension == "refuse":
            raise ValueError(
                f"gamma must be in [0, {table.shape[-1]}], the positions of the table, got {g}; "
                "choose an extension to go further"
            )
        fill = table[..., -1:] if self.extension == "last" else np.zeros((*self.shape, 1))
        return np.concatenate([table, np.repeat(fill, beyond, axis=-1)], axis=-1)

    def survival(self, gamma: int) -> Floats:
        start = np.ones((*self.shape, 1))
        return np.concatenate([start, np.cumprod(self.conditional(gamma), axis=-1)], axis=-1)

    def draw(self, rng: np.random.Generator, *, gamma: int, rounds: int) -> NDArray[np.int64]:
        single(self)
        return count_accepted(rng.random((rounds, gamma)) < self.conditional(gamma))


@dataclass(frozen=True, eq=False)
class PositionalEstimate:
    """Conditional rates and survival by position, shape (positions,) each.

    tried, accepted: draft tokens that were decided at each position, and accepted there.
    rates, rate_variance: maximum-likelihood alpha_k and its variance.
    survival, survival_variance: s_k and its variance by Greenwood's formula.
    """

    tried: Floats
    accepted: Floats
    rates: Floats
    rate_variance: Floats
    survival: Floats
    survival_variance: Floats

    def law(self, extension: Extension = "refuse") -> PositionalAcceptance:
        """The estimate as an acceptance law."""
        return PositionalAcceptance(self.rates, extension)

    def draw_law(
        self, rng: np.random.Generator, *, draws: int, extension: Extension = "refuse"
    ) -> PositionalAcceptance:
        """A posterior sample of the law under Jeffreys' prior, parameters of shape (draws,).

        The positions are independent given the counts, since each conditional rate has its own
        trials. Rounds are taken as independent; see `bootstrap.resample_requests` otherwise.
        """
        lost = self.tried - self.accepted
        size = (draws, self.tried.size)
        return PositionalAcceptance(rng.beta(self.accepted + 0.5, lost + 0.5, size), extension)


def estimate_positional(counts: RoundCounts) -> PositionalEstimate:
    """Maximum-likelihood conditional rates and survival by position, with censored rounds.

    alpha_k is accepted_k / tried_k, where a round tries position k only if it drafted that far and
    accepted all before it. s_k is their product (the Kaplan-Meier estimate) and

        Var s_k = s_k^2 sum of (1 - alpha_j) / (alpha_j tried_j) over j <= k   (Greenwood).

    Only positions that were tried are listed. Raises ValueError where nothing was drafted. How many
    tokens a round drafts must not be chosen with knowledge of their acceptance.
    Source: Kaplan and Meier 1958 for censored survival, applied here to rounds.
    """
    tried, kept = (x.astype(np.float64) for x in counts.by_position())
    tried, kept = tried[tried > 0], kept[tried > 0]
    if tried.size == 0:
        raise ValueError("the counts hold no drafted token")
    rates = kept / tried
    survival = np.asarray(np.cumprod(rates), np.float64)
    # Where a rate is 0 the survival is 0 from there on, and so is its plug-in variance.
    lost = np.divide(1.0 - rates, kept, out=np.zeros_like(rates), where=kept > 0.0)
    return PositionalEstimate(
        tried, kept, rates, rates * (1.0 - rates) / tried, survival, survival**2 * np.cumsum(lost)
    )
