"""Choosing gamma without knowing everything: from a sample of the unknowns, or in closed form.

`decide` takes speed-ups of draws x gammas and one of four objectives; `value_of_knowing` and
`value_of_measuring` say what there is to gain, `expected_after` what a measurement leaves.
`regret` has the same for small variances.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from ..lazy import names_of
from .ahead import Ahead as Ahead
from .ahead import at_hand as at_hand
from .ahead import expected_after as expected_after
from .samples import Decision as Decision
from .samples import Objective as Objective
from .samples import decide as decide
from .samples import score as score

if TYPE_CHECKING:
    from ..regret import *
    from .ahead import *
    from .samples import *

__getattr__, __dir__ = names_of(__name__, "ahead samples .regret")
