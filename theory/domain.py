"""Checks at the public edge: a bad argument is one clear line, never a clipped number.

Elementwise functions over long arrays, in blocks that stay in the processor's cache, and where a
condition on each element starts to hold.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from .symbols import quantity

Floats = NDArray[np.float64]


def first_bad(values: Floats, bad: NDArray[np.bool_]) -> str:
    """The first of the bad values as a message says it, and how many more there are."""
    flat = values[bad].ravel()
    more = f" (and {flat.size - 1} more)" if flat.size > 1 else ""
    return f"{flat[0]:.12g}{more}"


def as_floats(name: str, value: ArrayLike) -> Floats:
    """Return ``value`` as float64, or raise ValueError naming the quantity.

    Only numbers are converted: text, dates, None and complex numbers are not, and a masked element
    is no number.
    """
    if type(value) is np.ndarray and value.dtype == np.float64:
        return value
    if isinstance(value, np.ma.MaskedArray):
        if np.ma.getmaskarray(value).any():
            raise ValueError(f"{name} must be an array without masked elements, got a masked one")
        value = value.data
    try:
        array = np.asarray(value)
        real = array.dtype.kind in "biuf" or (
            array.dtype.kind == "O" and all(hasattr(x, "__float__") for x in array.ravel())
        )
        if real and not np.iscomplexobj(array):
            return np.asarray(array, dtype=np.float64)
    except (TypeError, ValueError):
        pass
    shown = " ".join(repr(value).split())
    shown = shown if len(shown) <= 60 else shown[:57] + "..."
    raise ValueError(f"{name} must be a number or an array of numbers, got {shown}")


def check(name: str, value: ArrayLike, *, label: str | None = None, whole: bool = False) -> Floats:
    """Return ``value`` as float64 after checking it against the range of a registered quantity.

    name: a registered quantity; label: the name to use in the message, if another;
    whole: accept whole numbers only, also where the quantity itself is real.
    Raises ValueError naming the quantity, its range and the first offending value; NaN is
    outside every range.
    """
    q = quantity(name)
    whole = whole or q.integer
    # Most calls give one plain number inside the range, which needs none of the care below.
    if isinstance(value, float | int) and not whole and q.low < value < q.high:
        return np.asarray(value, dtype=np.float64)
    values = as_floats(label or name, value)
    if values.size == 0:
        return values
    if values.size == 1:
        lowest = highest = values.item()
    else:
        lowest, highest = np.minimum.reduce(values, None), np.maximum.reduce(values, None)
    # NaN passes through both and fails here.
    inside = (lowest > q.low if q.open_low or math.isinf(q.low) else lowest >= q.low) and (
        highest < q.high if q.open_high or math.isinf(q.high) else highest <= q.high
    )
    if not (inside and (not whole or bool((np.floor(values) == values).all()))):
        ok = np.isfinite(values)
        ok &= (values > q.low) if q.open_low else (values >= q.low)
        ok &= (values < q.high) if q.open_high else (values <= q.high)
        if whole:
            ok &= np.floor(values) == values
        kind = "an integer in" if whole else "in"
        raise ValueError(f"{label or name} must be {kind} {q.range}, got {first_bad(values, ~ok)}")
    return values


def check_least(name: str, values: Floats, least: float) -> Floats:
    """Return ``values``, or raise ValueError where one is below the least of a quantity here."""
    if values.size and values.min() < least:
        shown = first_bad(values, np.asarray(values < least))
        raise ValueError(f"{name} must be in [{least:g}, inf), got {shown}")
    return values


def check_gamma_max(value: ArrayLike) -> Floats:
    """Return ``value`` as float64 after checking that it is a whole number in [1, 2^53].

    Beyond 2^53 a float is not every whole number. Raises ValueError like :func:`check`.
    """
    values = as_floats("gamma_max", value)
    ok = (values >= 1.0) & (values <= 2.0**53) & (np.floor(values) == values)
    if not ok.all():
        shown = first_bad(values, np.asarray(~ok))
        raise ValueError(f"gamma_max must be an integer in [1, 2^53], got {shown}")
    return values


def unwrap(values: Floats) -> Any:
    """Return a Python float for a zero-dimensional result and the array otherwise."""
    return float(values) if values.ndim == 0 else values


class Parameters:
    """What laws share whose fields are quantities by name: each is checked, and all broadcast."""

    def __post_init__(self) -> None:
        for name, value in vars(self).items():
            check(name, value)

    @property
    def shape(self) -> tuple[int, ...]:
        """Common shape of the parameters; () for a single law."""
        return np.broadcast_shapes(*map(np.shape, vars(self).values()))

    def columns(self) -> list[Floats]:
        """The parameters in the common shape, with a new last axis for tokens or rounds."""
        given = vars(self).items()
        return [np.broadcast_to(as_floats(n, v), self.shape)[..., None] for n, v in given]


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


def bisect(
    beyond: Callable[[Floats], NDArray[np.bool_]], low: Any, high: Any, *, halvings: int = 60
) -> tuple[Floats, Floats]:
    """The last bracket (low, high) of the points where ``beyond`` turns from false to true.

    beyond: elementwise, false below its point and true above; low, high: ends of the search, an end
    where it has one value throughout.
    """
    low, high = np.asarray(low, np.float64), np.asarray(high, np.float64)
    for _ in range(halvings):
        middle = 0.5 * (low + high)
        over = beyond(middle)
        low, high = np.where(over, low, middle), np.where(over, middle, high)
    return low, high
