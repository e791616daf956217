"""Predicted against measured: one panel a test of truth, every point named."""

from __future__ import annotations

import math
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, cast

from ..inline import name_points
from ..style import COLOURS, PAGE, figure, literal, save, styled, write_csv
from .result import Point, Test

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

_CAPTION = (
    "Predicted against measured for every test of truth, each point left out of what predicts it: "
    "on the diagonal a prediction is exact. Squares: outside the 90 % interval that was predicted. "
    "The command howspec validate says what each test was given."
)
_INSIDE, _OUTSIDE = "inside its 90 % interval, or none stated", "outside its 90 % interval"


@styled
def predicted_against_measured(tests: Sequence[Test]) -> Figure:
    """One square panel a test; a point on the diagonal was predicted exactly.

    Raises ValueError where there is no test.
    """
    if not tests:
        raise ValueError("there is no test to draw")
    widest, height = (3, 2.5) if len(tests) <= 12 else (5, 1.75)
    across = min(widest, len(tests))
    down = math.ceil(len(tests) / across)
    made, axes = figure(PAGE * across / widest, height * down + 0.5, down, across, squeeze=False)
    panels = axes.ravel()
    for ax, test in zip(panels, tests, strict=False):
        _panel(ax, test, title=36 if widest == 3 else 22)
    for ax in panels[len(tests) :]:
        ax.set_axis_off()
    handles, labels = panels[0].get_legend_handles_labels()
    made.legend(handles, labels, loc="outside upper left", ncols=2 if across > 1 else 1)
    made.supxlabel("measured")
    made.supylabel("predicted")
    made.set_label(_CAPTION)
    return cast("Figure", made)


@styled
def truth(tests: Sequence[Test], out: Path) -> list[Path]:
    """The figure of all tests, its caption, and every point as CSV."""
    rows = (
        (t.name, p.label, p.observed, p.predicted, p.low, p.high) for t in tests for p in t.points
    )
    columns = ["test", "point", "measured", "predicted", "low_90", "high_90"]
    return [
        *save(predicted_against_measured(tests), out, "truth", _CAPTION),
        write_csv(out, "truth", columns, rows),
    ]


def _panel(ax: Axes, test: Test, *, title: int) -> None:
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
    count = f"{len(shown)} point{'s' if len(shown) != 1 else ''}".replace(" ", "\u00a0")
    ax.set_title(literal(f"{test.name}, {count}", title), loc="left", fontsize="x-small")


def _is_outside(point: Point) -> bool:
    return math.isfinite(point.low + point.high) and not point.inside


def _name(point: Point) -> str:
    known = (
        f" ({point.low:.3f} to {point.high:.3f})" if math.isfinite(point.low + point.high) else ""
    )
    return f"{point.label}: measured {point.observed:.3f}, predicted {point.predicted:.3f}{known}"
