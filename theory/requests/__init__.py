"""Requests of finite length: rounds, percentiles, completion, what a user sees.

`round_length_pmf` turns any acceptance law into the lengths of its rounds; everything about the
number of rounds follows from those. `plan_horizon` and `request_time` add a cost law.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from ..lazy import names_of
from .distribution import rounds_moments as rounds_moments

if TYPE_CHECKING:
    from .distribution import *
    from .horizon import *
    from .latency import *
    from .length import *

__getattr__, __dir__ = names_of(__name__, "distribution horizon latency length")
