"""A test of truth: predictions beside what was measured, with rivals on the same points."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float64]
LEVEL = 0.9


@dataclass(frozen=True)
class Point:
    """One prediction of something that was measured and not shown to the fit.

    low, high: the 90 % interval of a measurement, NaN where none is stated; rivals: what other
    laws predict from the same input, None where a law does not apply.
    """

    label: str
    observed: float
    predicted: float
    low: float
    high: float
    rivals: Mapping[str, float | None] = field(default_factory=dict)

    @property
    def inside(self) -> bool:
        """Whether the interval holds the measurement."""
        return self.low <= self.observed <= self.high


@dataclass(frozen=True)
class Test:
    """Points of one kind.

    name: what was predicted of what; given: what the prediction rests on; error: ``relative``,
    predicted / observed - 1, or ``absolute``, predicted - observed; regret: for a test that also
    chooses, the share of the best speed-up lost by each choice; notes: what to know of it.
    """

    __test__ = False  # not a test of pytest

    name: str
    given: str
    error: Literal["relative", "absolute"]
    points: tuple[Point, ...]
    regret: tuple[float, ...] = ()
    notes: tuple[str, ...] = ()

    def errors(self, rival: str | None = None) -> Floats:
        """Signed errors of the prediction, or of a rival where it applies; shape (points,)."""
        out = []
        for p in self.points:
            value = p.predicted if rival is None else p.rivals.get(rival)
            if value is not None and math.isfinite(value):
                out.append(
                    value / p.observed - 1 if self.error == "relative" else value - p.observed
                )
        return np.array(out)

    @property
    def coverage(self) -> float | None:
        """Share of the points inside their 90 % interval, None where points state none."""
        inside = [p.inside for p in self.points if math.isfinite(p.low + p.high)]
        return float(np.mean(inside)) if inside else None

    def _beside(self, rival: str) -> float | None:
        """Median error of the prediction over the points at which the rival says something."""
        there = tuple(p for p in self.points if p.rivals.get(rival) is not None)
        return _of(np.abs(replace(self, points=there).errors()), np.median)

    def summary(self) -> dict[str, Any]:
        """The numbers of the test, None where there are no points (or none of a rival)."""
        error = np.abs(self.errors())
        rivals = sorted({name for p in self.points for name in p.rivals})
        return {
            "name": self.name,
            "given": self.given,
            "error": self.error,
            "points": len(self.points),
            "median_abs_error": _of(error, np.median),
            "mean_abs_error": _of(error, np.mean),
            "p95_abs_error": _of(error, lambda e: np.quantile(e, 0.95)),
            "worst_abs_error": _of(error, np.max),
            "coverage_90": self.coverage,
            "rivals": {name: _of(np.abs(self.errors(name)), np.median) for name in rivals},
            "median_beside_rival": {name: self._beside(name) for name in rivals},
            "regret_mean": _of(np.array(self.regret), np.mean),
            "regret_p95": _of(np.array(self.regret), lambda r: np.quantile(r, 0.95)),
            "regret_within_1_percent": _of(np.array(self.regret) <= 0.01, np.mean),
            "notes": list(self.notes),
        }


def _of(values: Floats | NDArray[np.bool_], what: Any) -> float | None:
    return float(what(values)) if values.size else None
