"""What bounds the speed-up: headroom, ceilings, sensitivities.

`headroom` compares a fixed draft length with perfect knowledge, `adaptive` with the best stopping
rule in between and with having to learn; `ceilings` are set by entropy, bandwidth and the distance
of the models, `rejections` by exactness; `sensitivity` says which investment pays, and what changes
for energy or money.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from ..lazy import names_of

if TYPE_CHECKING:
    from .adaptive import *
    from .ceilings import *
    from .headroom import *
    from .rejections import *
    from .sensitivity import *

__getattr__, __dir__ = names_of(__name__, "adaptive ceilings headroom rejections sensitivity")
