"""Acceptance: what was measured, what it estimates, and the laws it is fitted to.

Engines report acceptance in several ways that differ by a bonus token or by a denominator;
`metrics` converts them where the conversion is determined. Counts of rounds
(`counts`) are the raw material: `estimation` turns them into one acceptance probability with an
honest interval and into the uncertainty of the best gamma, and `selection` tests whether one
probability is enough. Where it is not, a law says how acceptance varies: with depth (`positional`),
from round to round (`mixture`), from request to request (`heterogeneity`), in bursts (`markov`), or
with the draft's confidence (`gated`). Every law answers the interface of `law`, so that any of them
goes with any cost law.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from ..lazy import names_of
from .gated import GatedAcceptance as GatedAcceptance
from .heterogeneity import BetaRequestAcceptance as BetaRequestAcceptance
from .law import CoveredAcceptance as CoveredAcceptance
from .law import DepthAcceptance as DepthAcceptance
from .law import GammaDependentLaw as GammaDependentLaw
from .law import conditional_rate as conditional_rate
from .markov import MarkovAcceptance as MarkovAcceptance
from .metrics import Survival as Survival
from .metrics import alpha_from_length as alpha_from_length
from .mixture import BetaRoundAcceptance as BetaRoundAcceptance
from .positional import PositionalAcceptance as PositionalAcceptance

if TYPE_CHECKING:
    from .counts import *
    from .estimation import *
    from .gated import *
    from .heterogeneity import *
    from .law import *
    from .markov import *
    from .metrics import *
    from .mixture import *
    from .positional import *
    from .selection import *

# A law that is imported here can be named in text and in files.
__getattr__, __dir__ = names_of(
    __name__,
    "counts estimation gated heterogeneity law markov metrics mixture positional selection",
)
