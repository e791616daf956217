"""Formulas of speculative decoding: symbolic statements, exact numeric functions, laws.

The core is exported here: tokens per round, speed-up, the best gamma, the draft-scale law, and the
two kinds of laws. By subject: `acceptance` (metrics, estimation, laws), `costs` (laws, the choice
of gamma, batch and load), `requests` (finite length, percentiles), `scale` (how small a draft),
`limits` (headroom, ceilings, sensitivities), `trees` (trees, several drafts, verification),
`schedules` (cascades, overlap, budgets). `catalogue` lists every formula, `README.md` prints them.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from .acceptance.law import AcceptanceLaw as AcceptanceLaw
from .acceptance.law import DepthAcceptance as DepthAcceptance
from .acceptance.law import conditional_rate as conditional_rate
from .acceptance.law import tokens_by_gamma as tokens_by_gamma
from .costs.law import AffineCost as AffineCost
from .costs.law import CostLaw as CostLaw
from .formula import Formula as Formula
from .formula import declared as declared
from .lazy import names_of
from .optimum import best_gamma as best_gamma
from .optimum import optimal_gamma as optimal_gamma
from .optimum import optimal_gamma_gradient as optimal_gamma_gradient
from .optimum import optimal_speedup as optimal_speedup
from .optimum import optimum_curvature as optimum_curvature
from .regret import neighbour_loss as neighbour_loss
from .regret import regret_halfwidth as regret_halfwidth
from .regret import regret_window as regret_window
from .rounds import tokens_generating_function as tokens_generating_function
from .rounds import tokens_per_round as tokens_per_round
from .rounds import tokens_pmf as tokens_pmf
from .rounds import tokens_survival as tokens_survival
from .rounds import tokens_variance as tokens_variance
from .speedup import break_even_alpha as break_even_alpha
from .speedup import reduced_cost as reduced_cost
from .speedup import round_cost as round_cost
from .speedup import speedup as speedup
from .symbols import Quantity as Quantity
from .symbols import quantities as quantities
from .symbols import quantity as quantity

if TYPE_CHECKING:
    from .scale.law import *

# A prediction needs nothing of the scale of drafts: it is read when it is asked for.
__getattr__, __dir__ = names_of(__name__, "scale.law")
