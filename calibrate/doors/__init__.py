"""The two ways in for everything that is known: of acceptance, and of costs.

`acceptance` and `costs` take a number, a law, a record, an engine's statistics, a path, a URL, or
nothing, and give a law with where it comes from; what nothing is known of is predicted for the
`Pair` that was named.
"""

from __future__ import annotations

from ..known import KnownAcceptance, KnownCosts, MemoryUse
from ..pair import DEFAULT_CONTEXT, Deployment, Pair, resolve
from .acceptance import acceptance
from .costs import costs

__all__ = [
    "DEFAULT_CONTEXT",
    "Deployment",
    "KnownAcceptance",
    "KnownCosts",
    "MemoryUse",
    "Pair",
    "acceptance",
    "costs",
    "resolve",
]
