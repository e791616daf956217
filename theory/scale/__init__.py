"""How small a draft: the turning point in draft scale.

`law` holds the laws of acceptance and cost in size and the turning point; `concavity` says why
there is one and when there may be more; `two_axes` separates depth from width, `bits` size from
rounding; `other_laws` are log-linear, or go from cross-entropy or perplexity to acceptance.
"""

from __future__ import annotations

from ..lazy import names_of

__getattr__ = names_of(__name__, "bits concavity law other_laws two_axes")
