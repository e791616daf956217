"""Other ways to arrange a round: cascades, overlap, batched verification, cheap drafters.

`together` drafts while the target verifies and shares verified tokens over a batch; `cascade` nests
or chains drafters, also steps and tokens; `drafters` have a cost law of their own.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from ..lazy import names_of

if TYPE_CHECKING:
    from .cascade import *
    from .drafters import *
    from .together import *

__getattr__, __dir__ = names_of(__name__, "cascade drafters together")
