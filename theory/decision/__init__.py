"""Choosing gamma without knowing everything: from a sample of the unknowns, or in closed form.

`decide` takes speed-ups of draws x gammas and one of four objectives; `value_of_knowing` and
`value_of_measuring` say what there is to gain, `expected_after` what a measurement leaves.
`small` has the same for small variances.
"""

from __future__ import annotations

from .ahead import Ahead as Ahead
from .ahead import at_hand as at_hand
from .ahead import expected_after as expected_after
from .samples import OBJECTIVES as OBJECTIVES
from .samples import Decision as Decision
from .samples import Objective as Objective
from .samples import decide as decide
from .samples import score as score
from .samples import value_of_knowing as value_of_knowing
from .samples import value_of_measuring as value_of_measuring
from .small import decided_tokens_value as decided_tokens_value
from .small import measurement_value as measurement_value
from .small import optima_gap as optima_gap
from .small import timed_point_value as timed_point_value
from .small import unknown_alpha_regret as unknown_alpha_regret
