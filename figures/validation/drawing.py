"""Predicted against measured: one panel a test of truth, every point named."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import TYPE_CHECKING, cast

from ..inline import name_points
from ..style import COLOURS, PAGE, figure, literal, styled
from .result import Point, Test

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

_ACROSS = 3
_INSIDE, _OUTSIDE = "inside its 90 % interval, or none stated", "outside its 90 % interval"


@styled
def predicted_against_measured(tests: Sequence[Test]) -> Figure:
    """One square panel a test; a point on the diagonal was predicted exactly.

    Raises ValueError where there is no test.
    """
    if not tests:
        raise ValueError("there is no test to draw")
    across = min(_ACROSS, len(tests))
    down = math.ceil(len(tests) / across)
    made, axes = figure(PAGE * across / _ACROSS, 2.5 * down + 0.3, down, across, squeeze=False)
    panels = axes.ravel()
    for ax, test in zip(panels, tests, strict=False):
        _panel(ax, test)
    for ax in panels[len(tests) :]:
        ax.set_axis_off()
    handles, labels = panels[0].get_legend_handles_labels()
    made.legend(handles, labels, loc="outside upper left", ncols=2 if across > 1 else 1)
    return cast("Figure", made)


def _panel(ax: Axes, test: Test) -> None:
    shown = [p for p in test.points if math.isfinite(p.observed + p.predicted)]
    for colour, marker, outside, label in (
        (COLOURS[0], "o", False, _INSIDE), (COLOURS[1], "s", True, _OUTSIDE),
    ):  # fmt: skip
        some = [p for p in shown if _is_outside(p) == outside]
        points = ax.scatter(
            [p.observed for p in some], [p.predicted for p in some], s=9, color=colour,
            marker=marker, alpha=0.7, lw=0, label=label,
        )  # fmt: skip
        name_points(points, [_name(p) for p in some])
    ends = [v for p in shown for v in (p.observed, p.predicted)] or [0.0, 1.0]
    gap = 0.04 * (max(ends) - min(ends)) or 0.05 * abs(ends[0]) or 0.05
    low, high = min(ends) - gap, max(ends) + gap
    ax.plot([low, high], [low, high], color="0.6", lw=0.6, zorder=0)
    ax.set_xlim(low, high)
    ax.set_ylim(low, high)
    ax.set_aspect("equal")
    ax.set_xlabel("measured")
    ax.set_ylabel("predicted")
    count = f"{len(shown)} point{'s' if len(shown) != 1 else ''}"
    ax.set_title(literal(f"{test.name} ({count})", 36), loc="left", fontsize="small")


def _is_outside(point: Point) -> bool:
    return math.isfinite(point.low + point.high) and not point.inside


def _name(point: Point) -> str:
    known = (
        f" ({point.low:.3f} to {point.high:.3f})" if math.isfinite(point.low + point.high) else ""
    )
    return f"{point.label}: measured {point.observed:.3f}, predicted {point.predicted:.3f}{known}"
