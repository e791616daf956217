"""Acceptance of a pair from what is known of it: a stated alpha, a record, statistics, or nothing.

What was measured replaces the forecast where there is plenty of it, and updates it where a stated
alpha rests on so many tokens.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from ...theory import AcceptanceLaw, DepthAcceptance
from ...theory.domain import Floats, check
from ..depth import damped
from ..models.names import squeeze
from .acceptance_cells import DESIGN_EFFECT
from .acceptance_forecast import AcceptanceForecast, update

if TYPE_CHECKING:
    from ..records import Record

KINDS = ("measured", "imported", "predicted")


@dataclass(frozen=True)
class KnownAcceptance:
    """law: parameters of shape (draws,) or (); kind: one of `KINDS`; given: what it rests on.

    alpha: draws of the conditional rate, (draws,); gamma: of the measured rounds, where known.
    """

    law: AcceptanceLaw
    kind: str
    given: str
    alpha: Floats
    gamma: int | None = None
    notes: tuple[str, ...] = ()


def predicted(forecast: AcceptanceForecast, *, positions: int = 32) -> KnownAcceptance:
    """The forecast of one draft as it is; positions: that the law covers."""
    law = damped(forecast.law, positions)
    return KnownAcceptance(
        law, "predicted", "published and own pairs", forecast.alpha, notes=forecast.notes
    )


def stated(alpha: float, *, decay: float = 1.0, draws: int = 2000) -> KnownAcceptance:
    """A stated conditional rate, taken as exact; decay: factor a position, > 0."""
    law = DepthAcceptance(alpha, decay)
    given = f"alpha {alpha:g} as stated, without an error"
    return KnownAcceptance(law, "measured", given, np.full(draws, float(alpha)))


def updated(
    forecast: AcceptanceForecast,
    alpha: float,
    *,
    tokens: float,
    rng: np.random.Generator,
    positions: int = 32,
    dispersion: float = DESIGN_EFFECT,
) -> KnownAcceptance:
    """The forecast after a rate that was observed over so many decided draft tokens.

    alpha: in [0, 1]; tokens: > 0. dispersion: as in `acceptance_forecast.update`; tokens of one
    prompt are alike, and the next prompts are others.
    """
    check("alpha", alpha)
    if not (np.isfinite(tokens) and tokens > 0.0):
        raise ValueError(f"alpha-tokens must be in (0, inf), got {tokens:g}")
    found = update(forecast, tokens, alpha * tokens, rng=rng, dispersion=dispersion)
    given = f"alpha {alpha:g} over {tokens:g} draft tokens, on top of published and own pairs"
    law = damped(found.law, positions)
    return KnownAcceptance(law, "measured", given, found.alpha, notes=forecast.notes)


def from_file(
    source: str | Path,
    rng: np.random.Generator,
    *,
    gamma: int | None = None,
    positions: int = 32,
    draws: int = 2000,
) -> KnownAcceptance:
    """Imported statistics, an engine's log or server metrics; errors as `load_evidence`."""
    from ..engines.recorded import load_evidence  # the importers are many and only needed here

    found = load_evidence(source, rng, gamma=gamma, positions=positions, draws=draws)
    rates = np.asarray(found.sample.rates)
    return KnownAcceptance(
        found.sample, "imported", found.given, _pooled(rates, found.gamma), found.gamma, found.notes
    )


def from_rounds(
    record: Record,
    rng: np.random.Generator,
    *,
    draft: str | None = None,
    temperature: float | None = None,
    domain: str | None = None,
    positions: int = 32,
    draws: int = 2000,
) -> KnownAcceptance:
    """A record of kind "acceptance"; draft: any of its names, where the record holds several.

    temperature, domain: of its rounds, None for all of them.
    """
    from ..engines.recorded import from_record

    names = sorted({str(p["draft"]) for p in record.points if p.get("type") == "rounds"})
    near = [n for n in names if draft is not None and squeeze(n) == squeeze(draft)]
    chosen = near[0] if near and len(names) > 1 else None
    found = from_record(
        record, rng, draft=chosen, temperature=temperature, domain=domain,
        positions=positions, draws=draws,
    )  # fmt: skip
    rates = np.asarray(found.sample.rates)
    return KnownAcceptance(
        found.sample, "measured", found.given, _pooled(rates, found.gamma), found.gamma, found.notes
    )


def _pooled(rates: Floats, gamma: int | None) -> Floats:
    """Accepted over decided draft tokens of rounds of gamma, of rates (draws, positions)."""
    survival = np.cumprod(rates[:, : gamma or 4], axis=1)
    tried = 1.0 + survival[:, :-1].sum(axis=1)
    return np.asarray(survival.sum(axis=1) / tried)
