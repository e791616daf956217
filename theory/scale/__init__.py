"""How small a draft: the turning point in draft scale.

`law` holds the laws of acceptance and cost in size and the turning point; `concavity` says why
there is one and when there may be more; `two_axes` separates depth from width, `bits` size from
rounding; `other_laws` are log-linear, or go from cross-entropy or perplexity to acceptance.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from ..lazy import names_of

if TYPE_CHECKING:
    from .bits import *
    from .concavity import *
    from .law import *
    from .other_laws import *
    from .two_axes import *

__getattr__, __dir__ = names_of(__name__, "bits concavity law other_laws two_axes")
