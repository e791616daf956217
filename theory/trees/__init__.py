"""Draft trees, several drafts for one position, and verification rules.

A tree is worth the sum of its path products (`value`); the best tree under a budget of nodes is
grown best first (`optimal`), which also tells when more nodes stop paying. What a verifier can
accept follows from the two models' probabilities: one draft (`verification`), several (`several`),
what verifiers in use reach (`rejection`), a whole block or a tree from its leaves (`block`).
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from ..lazy import names_of

if TYPE_CHECKING:
    from .block import *
    from .optimal import *
    from .rejection import *
    from .several import *
    from .value import *
    from .verification import *

__getattr__, __dir__ = names_of(__name__, "block optimal rejection several value verification")
