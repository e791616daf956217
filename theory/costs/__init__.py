"""Cost laws: time of a round, batch, load and memory.

A `PassLaw` times one forward pass (linear or a table in `passes`, `roofline`, padding and mixtures
of experts in `uneven`); a `CostLaw` (`law`) times a round, put together from passes or affine by
itself; `choose_gamma` takes any cost law with any acceptance law. `batch` and `load` say where
speculation stops paying.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from ..lazy import names_of
from .batch import largest_batch as largest_batch
from .law import AffineCost as AffineCost
from .law import ParallelDraftCost as ParallelDraftCost
from .law import SequentialDraftCost as SequentialDraftCost
from .passes import LinearPass as LinearPass
from .passes import LinearStepCost as LinearStepCost
from .passes import TablePass as TablePass
from .roofline import RooflineCost as RooflineCost
from .roofline import RooflinePass as RooflinePass
from .roofline import compute_time as compute_time
from .roofline import memory_time as memory_time
from .uneven import MoEPass as MoEPass
from .uneven import StaircasePass as StaircasePass
from .uneven import experts_touched as experts_touched

if TYPE_CHECKING:
    from .batch import *
    from .choose import *
    from .law import *
    from .load import *
    from .passes import *
    from .roofline import *
    from .uneven import *

# A law that is imported here can be named in text and in files.
__getattr__, __dir__ = names_of(__name__, "batch choose law load passes roofline uneven")
