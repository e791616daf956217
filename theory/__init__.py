"""Formulas of speculative decoding: symbolic statements, exact numeric functions, laws.

The core is exported here: tokens per round, speed-up, the best gamma, the draft-scale law, and the
two kinds of laws. By subject: `acceptance` (metrics, estimation, laws), `costs` (laws, the choice
of gamma, batch and load), `requests` (finite length, percentiles), `scale` (how small a draft),
`limits` (headroom, ceilings, sensitivities), `trees` (trees, several drafts, verification),
`schedules` (cascades, overlap, budgets). `catalogue` lists every formula, `README.md` prints them.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from .acceptance.law import AcceptanceLaw, DepthAcceptance, conditional_rate, tokens_by_gamma
from .costs.law import AffineCost, CostLaw
from .formula import Formula, declared
from .optimum import (
    best_gamma,
    optimal_gamma,
    optimal_gamma_gradient,
    optimal_speedup,
    optimum_curvature,
)
from .regret import neighbour_loss, regret_halfwidth, regret_window
from .rounds import (
    tokens_generating_function,
    tokens_per_round,
    tokens_pmf,
    tokens_survival,
    tokens_variance,
)
from .speedup import break_even_alpha, reduced_cost, round_cost, speedup
from .symbols import Quantity, quantities, quantity

if TYPE_CHECKING:
    from .scale.law import (
        DraftScaleLaw,
        acceptance_at_scale,
        cost_at_scale,
        drafting_share,
        rejection_sensitivity,
    )

__all__ = [
    "AcceptanceLaw",
    "AffineCost",
    "CostLaw",
    "DepthAcceptance",
    "DraftScaleLaw",
    "Formula",
    "Quantity",
    "acceptance_at_scale",
    "best_gamma",
    "break_even_alpha",
    "conditional_rate",
    "cost_at_scale",
    "declared",
    "drafting_share",
    "neighbour_loss",
    "optimal_gamma",
    "optimal_gamma_gradient",
    "optimal_speedup",
    "optimum_curvature",
    "quantities",
    "quantity",
    "reduced_cost",
    "regret_halfwidth",
    "regret_window",
    "rejection_sensitivity",
    "round_cost",
    "speedup",
    "tokens_by_gamma",
    "tokens_generating_function",
    "tokens_per_round",
    "tokens_pmf",
    "tokens_survival",
    "tokens_variance",
]


def __getattr__(name: str) -> object:
    # A prediction needs nothing of the scale of drafts: it is read when it is asked for.
    if name not in __all__:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    from .scale import law

    return getattr(law, name)
