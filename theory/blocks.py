"""Elementwise functions over long arrays, in blocks that stay in the processor's cache."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

from .domain import Floats

BLOCK = 8192  # elements; a dozen temporaries of it fit a second-level cache


def in_blocks(function: Callable[..., Floats], *arrays: Floats) -> Floats:
    """``function`` of the broadcast arrays, evaluated block by block where they are long.

    function: elementwise, float64 in and out, of any one-dimensional shape. Long arrays with all
    temporaries at full length are bound by memory; blocks are two to three times faster.
    """
    shape = np.broadcast_shapes(*(a.shape for a in arrays))
    if int(np.prod(shape)) <= 2 * BLOCK:
        return function(*arrays)
    # NumPy's annotations know neither an operand to allocate nor flags for each operand.
    operands: Any = [*arrays, None]
    roles: Any = [["readonly"]] * len(arrays) + [["writeonly", "allocate"]]
    iterator = np.nditer(
        operands,
        flags=["external_loop", "buffered"],
        op_flags=roles,
        op_dtypes=[np.float64] * (len(arrays) + 1),
        buffersize=BLOCK,
    )
    with iterator:
        for *block, out in iterator:
            out[...] = function(*block)
        return np.asarray(iterator.operands[-1])
