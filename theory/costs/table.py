"""A pass law that is a table of measured times.

Between measured points: a monotone cubic (PCHIP) in the tokens of the pass, straight lines in batch
and in context, in which step times are close to linear. Measured points are met exactly, and a
table that rises in tokens gives a law that does. Outside the measured range the law refuses, unless
it was built with ``extrapolate=True``; then it continues the last segment in a straight line, and
`outside` tells which quantity was out of its range.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike, NDArray

from ..domain import Floats, as_floats, check
from .law import operating_point, token_grid


def _axis(name: str, label: str, values: ArrayLike) -> Floats:
    axis = check(name, values, label=label)
    if axis.ndim != 1 or axis.size < 1 or (np.diff(axis) <= 0.0).any():
        raise ValueError(f"{label} must be a list of increasing numbers, got {values!r}")
    return axis


@dataclass(frozen=True)
class TablePass:
    """Measured pass times.

    tokens: increasing, >= 1, two or more [token per sequence]; batches, contexts: increasing; a
    single value (the default) means that the table holds at that batch or context only.
    times: > 0, shape (tokens,) or (tokens, batches, contexts), in one unit.
    extrapolate: whether asking outside the measured range is allowed.
    Raises ValueError for another shape, for values outside the ranges, and outside the table.
    """

    tokens: ArrayLike
    times: ArrayLike
    batches: ArrayLike = (1.0,)
    contexts: ArrayLike = (0.0,)
    extrapolate: bool = False

    def __post_init__(self) -> None:
        axes = self._axes
        times = as_floats("times", self.times)
        wanted = tuple(axis.size for axis in axes.values())
        if times.shape not in ((wanted, wanted[:1]) if wanted[1:] == (1, 1) else (wanted,)):
            raise ValueError(f"times must have shape {wanted}, got {times.shape}")
        if wanted[0] < 2:
            raise ValueError("tokens must hold two points or more")
        if not (np.isfinite(times) & (times > 0.0)).all():
            raise ValueError("times must be in (0, inf)")

    @property
    def _axes(self) -> dict[str, Floats]:
        return {
            "tokens": _axis("pass_tokens", "tokens", self.tokens),
            "batch": _axis("batch", "batches", self.batches),
            "context": _axis("context", "contexts", self.contexts),
        }

    @property
    def shape(self) -> tuple[int, ...]:
        return ()

    def outside(
        self, tokens: ArrayLike, *, batch: float = 1, context: float = 0
    ) -> tuple[str, ...]:
        """Which of tokens, batch and context leave the measured range, with that range."""
        asked = {"tokens": as_floats("tokens", tokens), "batch": batch, "context": context}
        found = []
        for name, axis in self._axes.items():
            values = np.atleast_1d(np.asarray(asked[name], dtype=np.float64))
            bad = values[(values < axis[0]) | (values > axis[-1])]
            if bad.size:
                measured = f"[{axis[0]:g}, {axis[-1]:g}]"
                found.append(f"{name} must be in the measured range {measured}, got {bad[0]:g}")
        return tuple(found)

    def step_time(self, tokens: ArrayLike, *, batch: float = 1, context: float = 0) -> Floats:
        rows, ctx = operating_point(batch, context)
        grid = token_grid(tokens)
        outside = self.outside(grid, batch=rows, context=ctx)
        if outside and not self.extrapolate:
            raise ValueError("; ".join(outside))
        axes = self._axes
        times = as_floats("times", self.times).reshape([axis.size for axis in axes.values()])
        by_batch = _line(axes["context"], times, ctx)
        by_tokens = _line(axes["batch"], by_batch, rows)
        return _monotone(axes["tokens"], by_tokens, grid)


def _line(axis: Floats, values: Floats, point: float) -> Floats:
    """Linear interpolation along the last axis, the end segments continued outwards."""
    if axis.size == 1:
        return values[..., 0]
    left = int(np.clip(np.searchsorted(axis, point, side="right") - 1, 0, axis.size - 2))
    share = (point - axis[left]) / (axis[left + 1] - axis[left])
    return np.asarray(values[..., left] * (1.0 - share) + values[..., left + 1] * share)


def _monotone(axis: Floats, values: Floats, points: Floats) -> Floats:
    """PCHIP inside the axis, straight lines through the last two points outside it."""
    from scipy.interpolate import PchipInterpolator

    inner = np.asarray(PchipInterpolator(axis, values)(np.clip(points, axis[0], axis[-1])))
    slopes: NDArray[np.float64] = np.diff(values) / np.diff(axis)
    low = np.minimum(points - axis[0], 0.0) * slopes[0]
    high = np.maximum(points - axis[-1], 0.0) * slopes[-1]
    return np.asarray(inner + low + high)
