"""A test of truth: predictions beside what was measured, with rivals on the same points; drawn.

Rivals are what simpler laws say from the same input: the plain formula, SDSL, interpolation. The
plain formula is E[N] / (1 + gamma c): independent acceptance, verification as cheap as a plain
step, nothing else in a round (arXiv:2211.17192). SDSL predicts acceptance as affine in the
perplexities of draft and target (arXiv:2603.11053); where a row states none, those that the loss
law gives for the two sizes are taken, and where a size is not stated either it says nothing.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

import numpy as np
from numpy.typing import NDArray

from ...theory import speedup, tokens_per_round
from ...theory.acceptance import alpha_from_length
from ...theory.domain import Floats
from ..inline import name_points
from ..style import COLOURS, PAGE, figure, literal, save, styled
from .left_out import affine_acceptance

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

LEVEL = 0.9
Progress = Callable[[str, int, int], None]  # called with (what, done, of how many)


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

    @property
    def has_interval(self) -> bool:
        """Whether an interval is stated."""
        return math.isfinite(self.low + self.high)

    @property
    def outside(self) -> bool:
        """Whether an interval is stated and does not hold the measurement."""
        return self.has_interval and not self.inside


@dataclass(frozen=True)
class Test:
    """Points of one kind.

    name: what was predicted of what; given: what the prediction rests on; regret: for a test that
    also chooses, the share of the best speed-up lost by each choice; notes: what to know of it;
    error: ``relative``, predicted / observed - 1, or ``absolute``, predicted - observed.
    """

    __test__ = False  # not a test of pytest

    name: str
    given: str
    points: tuple[Point, ...]
    regret: tuple[float, ...] = ()
    notes: tuple[str, ...] = ()
    error: Literal["relative", "absolute"] = "relative"

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
        inside = [p.inside for p in self.points if p.has_interval]
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


def group_notes(groups: Mapping[str, Sequence[Point]], what: str = "points") -> tuple[str, ...]:
    """The relative errors of points in groups, a line each."""
    parts = [Test(name, "", tuple(points)) for name, points in groups.items()]
    return tuple(
        f"{t.name}: {len(t.points)} {what}, median error {np.median(np.abs(t.errors())):.3f}, "
        f"bias {np.median(t.errors()):+.3f}, coverage {t.coverage:.2f}"
        for t in parts
    )


LEAST_PARAMS = 1e3  # what is smaller is no model of language, and its perplexity overflows
PLAIN, SDSL, NEAREST = "plain formula", "SDSL", "interpolation"


def plain_from_sweep(
    gammas: NDArray[np.int64], speedups: Floats, tau: Floats | None, wanted: int
) -> float:
    """Fit alpha and c of the plain formula to the other gammas and predict the wanted one.

    With tokens per round alpha comes from their mean, c from the round times; without, both by
    least squares over a grid.
    """
    if tau is not None:
        alpha = float(np.mean(alpha_from_length(tau, gammas)))
        per_token = (tau / speedups - 1.0) * gammas
        c = max(0.0, float(per_token.sum() / (gammas**2).sum()))
        return float(speedup(alpha, wanted, c))
    alphas = np.linspace(0.01, 0.99, 99)[:, None, None]
    costs = np.geomspace(1e-3, 2.0, 120)[None, :, None]
    table = tokens_per_round(alphas, gammas) / (1.0 + gammas * costs)
    misfit = (np.log(table / speedups) ** 2).sum(-1)
    i, j = np.unravel_index(int(misfit.argmin()), misfit.shape)
    return float(speedup(float(alphas[i, 0, 0]), wanted, float(costs[0, j, 0])))


def interpolated(gammas: NDArray[np.int64], speedups: Floats, wanted: int) -> float:
    """Straight line through the neighbours; beyond the ends, the nearest measured speed-up."""
    return float(np.interp(wanted, gammas, speedups))


def plain_from_numbers(alpha: float, tau: float, gamma: int, cost_ratio: float) -> float:
    """The plain formula at stated acceptance (or tokens per round) and cost ratio."""
    tokens = tau if math.isfinite(tau) else float(tokens_per_round(alpha, gamma))
    return tokens / (1.0 + gamma * cost_ratio)


def sdsl_alpha(draft_params: float, target_params: float) -> float | None:
    """Acceptance by SDSL from two sizes [parameter], None where one is not stated or no model's."""
    if not (draft_params >= LEAST_PARAMS and target_params >= LEAST_PARAMS):
        return None
    return affine_acceptance(draft_params, target_params)


def sdsl_speedup(
    draft_params: float, target_params: float, gamma: int, cost_ratio: float
) -> float | None:
    """SDSL's acceptance in the plain formula, None where a size is not stated."""
    alpha = sdsl_alpha(draft_params, target_params)
    return None if alpha is None else float(speedup(alpha, gamma, cost_ratio))


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
    return made


@styled
def truth(tests: Sequence[Test], out: Path) -> list[Path]:
    """The figure of all tests, its caption, and every point as CSV."""
    rows = [
        {"test": t.name, "point": p.label, "measured": p.observed, "predicted": p.predicted,
         "low_90": p.low, "high_90": p.high}
        for t in tests for p in t.points
    ]  # fmt: skip
    return save(predicted_against_measured(tests), out, "truth", _CAPTION, rows)


def _panel(ax: Axes, test: Test, *, title: int) -> None:
    shown = [p for p in test.points if math.isfinite(p.observed + p.predicted)]
    for colour, marker, outside, label in (
        (COLOURS[0], "o", False, _INSIDE), (COLOURS[1], "s", True, _OUTSIDE),
    ):  # fmt: skip
        some = [p for p in shown if p.outside == outside]
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


def _name(point: Point) -> str:
    known = f" ({point.low:.3f} to {point.high:.3f})" if point.has_interval else ""
    return f"{point.label}: measured {point.observed:.3f}, predicted {point.predicted:.3f}{known}"
