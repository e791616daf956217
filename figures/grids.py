"""Fits to latencies of a ladder: against gamma for every draft, and the best size of a draft."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from ..calibrate.ladder import fit_ladder
from ..calibrate.library.load import load_table
from ..calibrate.tables.schema import number, text
from ..sim.prediction import speedup_table
from ..theory.domain import Floats
from ..theory.interval import Interval, ends
from .study import GridStudy, Panel
from .style import COLOURS, COLUMN, Row, by_rows, figure, panels, plain_line, save, star, styled
from .validation.result import LEVEL

if TYPE_CHECKING:
    from matplotlib.axes import Axes


def bloom_grid(study: GridStudy, out: Path) -> list[Path]:
    """The paper's grid: latency against gamma for every draft."""
    return latency_grid(
        study, out, name="bloom_grid", where="speculative sampling; digitised from the paper",
        how="Speculative sampling, measured by the paper (which writes K for γ) and digitised from "
        "its figure", measured="measured (digitised)",
    )  # fmt: skip


@styled
def latency_grid(
    study: GridStudy, out: Path, *, name: str, where: str, how: str, measured: str = "measured"
) -> list[Path]:
    """Latency against gamma for every draft: measured points, fitted line and band, the optimum.

    where: ends the title; how: the sentence of the caption that says how it was measured.
    """
    shown = len(study.panels)
    made, axes = panels(shown, most=3, height=1.7, spare=1, sharex=True, sharey=True)
    columns = axes.shape[1]
    rows: list[Row] = []
    for i, (ax, panel) in enumerate(zip(axes.flat, study.panels, strict=False)):
        rows += _grid_panel(ax, panel, COLOURS[i % (len(COLOURS) - 1)])
        ax.set_ylabel("latency / plain latency" if i % columns == 0 else "")
        if i + columns >= shown:
            ax.set_xlabel("draft tokens per round, $\\gamma$")
    _legend(axes.flat[shown], measured)
    ends = np.concatenate([np.r_[p.measured, p.low[1:], p.high[1:], 1.0] for p in study.panels])
    spread = float(ends.max() - ends.min())
    axes[0, 0].set_ylim(ends.min() - 0.3 * spread, ends.max() + 0.6 * spread)
    axes[0, 0].set_xticks(sorted({int(g) for p in study.panels for g in p.gammas}))
    made.suptitle(f"{study.target}, {where}")
    caption = (
        f"Latency of {study.target} over plain decoding against the draft tokens of a round, for "
        f"{len(study.panels)} draft{'s' if len(study.panels) > 1 else ''}: measured points, the "
        f"fitted line, its optimum (star) and the window within 1 % of it. {how}; one fit of all "
        "drafts, overhead and decay in common, rms "
        f"{100 * study.rms:.1f} % of plain latency; bands hold 90 % of measurements."
    )
    return save(made, out, name, caption, rows)


def _grid_panel(ax: Axes, panel: Panel, colour: str) -> list[Row]:
    """One draft; the rows of its points."""
    gammas = np.arange(panel.center.size)
    ax.fill_between(gammas[1:], panel.low[1:], panel.high[1:], color=colour, alpha=0.22, lw=0)
    ax.plot(gammas[1:], panel.center[1:], color=colour)
    ax.plot(panel.gammas, panel.measured, "o", color="black", ms=3, zorder=4)
    plain_line(ax)
    best, window = panel.prediction.gamma, panel.prediction.gamma_window
    star(ax, best, panel.center[best], colour, 11, mew=0.7)
    span = f"{window[0]}-{window[-1]}" if len(window) > 1 else f"{best}"
    ax.plot([window[0] - 0.25, window[-1] + 0.25], [0.06, 0.06], color=colour, lw=3,
            transform=ax.get_xaxis_transform())  # fmt: skip
    s = panel.prediction.speedup
    ax.text(
        0.97, 0.96,
        f"$\\gamma^*$ = {best} (within 1 %: {span})\n"
        f"{s.estimate:.2f}x [{s.low:.2f}, {s.high:.2f}]",
        transform=ax.transAxes, ha="right", va="top", fontsize="small",
    )  # fmt: skip
    ax.set_title(panel.draft, loc="left")
    at = panel.gammas
    return by_rows({
        "draft": panel.draft, "gamma": at, "measured_relative_latency": panel.measured,
        "fitted": panel.center[at], "low_90": panel.low[at], "high_90": panel.high[at],
        "best": (at == best).astype(int), "within_1_percent": np.isin(at, window).astype(int),
    })  # fmt: skip


def _legend(ax: Axes, measured: str) -> None:
    from matplotlib.lines import Line2D
    from matplotlib.patches import Patch

    handles = [
        Line2D([], [], marker="o", ls="", color="black", label=measured),
        Line2D([], [], color="0.35", label="fitted, all drafts jointly"),
        Patch(color="0.35", alpha=0.22, lw=0, label="90 % interval of a measurement"),
        Line2D([], [], marker="*", ls="", color="0.35", ms=9, label="predicted optimum"),
        Line2D([], [], color="0.35", lw=3, label="within 1 % of the optimum"),
    ]
    ax.legend(handles=handles, loc="center", fontsize="small")


@dataclass(frozen=True)
class ScaleStudy:
    """Latency at the best gamma against draft scale, for one target.

    scales, measured, error: of the drafts, with standard errors, 0 where none is stated, shape
    (drafts,); fitted: whether each draft entered the law; grid, center, low, high: the law's
    relative latency, shape (points,); turning_point: best scale with its interval; at_edge: share
    of the sample whose best scale is an end of the grid.
    """

    target: str
    drafts: tuple[str, ...]
    scales: Floats
    measured: Floats
    error: Floats
    fitted: NDArray[np.bool_]
    grid: Floats
    center: Floats
    low: Floats
    high: Floats
    turning_point: Interval
    at_edge: float


def scale_study(study: GridStudy, seed: int = 0) -> ScaleStudy:
    """The best size on the paper's ladder.

    Drafts that are not released models of the family have no entry in the ladder and are shown
    only.
    """
    params = {
        text(r, "draft"): number(r, "draft_params") / number(r, "target_params")
        for r in load_table("paper_bloom_grid").rows
    }
    released = {r["draft"] for r in load_table("paper_ladders").rows}
    return size_study(study, params, tuple(d for d in study.fit.drafts if d in released), seed=seed)


def size_study(
    study: GridStudy, params: Mapping[str, float], fitted: Sequence[str], *, seed: int = 0
) -> ScaleStudy:
    """Fit one law to the latencies of a ladder and find the best size under every draw of it.

    params: draft over target parameters, by draft, in (0, 1]; fitted: the drafts that enter the
    law, three or more. Raises ValueError for fewer.
    """
    rng = np.random.default_rng([seed, 4])
    drafts = study.fit.drafts
    scales = np.array([params[d] for d in drafts])
    chosen = np.array([d in fitted for d in drafts])
    points = [p for p, keep in zip(study.fit.points, chosen, strict=True) if keep]
    ladder = fit_ladder(points, scales[chosen], rng)
    gamma_max = max(int(p.gammas.max()) for p in points)
    grid = np.geomspace(min(0.01, float(scales.min()) / 3), 1.0, 140)
    latency = 1.0 / speedup_table(*ladder.laws(grid), gamma_max).max(axis=-1)
    measured = np.array([p.measured.min() for p in study.panels])
    return scale_law(
        study.target, drafts, scales, measured, np.zeros(len(drafts)), fitted=chosen, grid=grid,
        latency=latency, center=latency[0],
    )  # fmt: skip


def scale_law(
    target: str,
    drafts: tuple[str, ...],
    scales: Floats,
    measured: Floats,
    error: Floats,
    *,
    fitted: NDArray[np.bool_],
    grid: Floats,
    latency: Floats,
    center: Floats,
) -> ScaleStudy:
    """The study behind draws of a law, (draws, points) over the grid; center: the law's middle."""
    best = latency.argmin(axis=1)
    low, high = ends(latency, LEVEL)
    short, long = (float(q) for q in ends(grid[best], LEVEL))
    turn = Interval(float(grid[center.argmin()]), short, long, LEVEL)
    at_edge = float(((best == 0) | (best == grid.size - 1)).mean())
    return ScaleStudy(
        target, drafts, scales, measured, error, fitted, grid, center, low, high, turn, at_edge
    )


def draw_law(ax: Axes, result: ScaleStudy) -> None:
    """The law with its band, its best scale as a bar, and what the axes say."""
    ax.fill_between(result.grid, result.low, result.high, color=COLOURS[0], alpha=0.2, lw=0)
    ax.plot(result.grid, result.center, color=COLOURS[0], label="law, 90 % band")
    _best_scale_bar(ax, result.turning_point)
    plain_line(ax)
    ax.set_xscale("log")
    ax.set_xlabel("draft parameters / target parameters")
    ax.set_ylabel("latency / plain latency")
    ax.set_title(f"{result.target}, each draft at its best $\\gamma$")


def law_rows(result: ScaleStudy) -> list[Row]:
    """The numbers behind the figure of a law: its line, the drafts and the turning point."""
    columns = ("series", "scale", "relative_latency", "low_90", "high_90")
    turn, error = result.turning_point, 1.645 * result.error
    parts = (
        ("law", result.grid, result.center, result.low, result.high),
        (result.drafts, result.scales, result.measured, result.measured - error,
         result.measured + error),
        ("turning point", [turn.estimate], math.nan, turn.low, turn.high),
    )  # fmt: skip
    return [row for part in parts for row in by_rows(dict(zip(columns, part, strict=True)))]


def _best_scale_bar(ax: Axes, turn: Interval) -> None:
    """The best scale and its interval as a bar at the foot of a plot, with its numbers above."""
    at = ax.get_xaxis_transform()
    ax.plot([turn.low, turn.high], [0.05, 0.05], color=COLOURS[1], lw=3, solid_capstyle="butt",
            transform=at)  # fmt: skip
    star(ax, turn.estimate, 0.05, COLOURS[1], transform=at, zorder=2)
    ax.text(
        np.sqrt(turn.low * turn.high), 0.1,
        "best size {} [{}, {}]".format(*_parts(turn.estimate, turn.low, turn.high)),
        ha="center", va="bottom", fontsize="small", color=COLOURS[1], transform=at,
    )  # fmt: skip


def _parts(*shares: float) -> list[str]:
    """Shares of the target as people write them: 0.13, or all as 1/50 where one is small."""
    return [f"1/{1 / s:.0f}" if min(shares) < 0.045 else f"{s:.2f}" for s in shares]


def bloom_scale(result: ScaleStudy, out: Path) -> list[Path]:
    """Draw the paper's ladder."""
    shown = ", ".join(n for n, f in zip(result.drafts, result.fitted, strict=True) if not f)
    left_out = f"{shown} is no released model of the family, has no known depth, and is shown only."
    return draft_scale(
        result, out, name="bloom_scale", note=left_out if shown else "", short="BLOOM-",
        unfitted="measured, no released model: not fitted",
    )  # fmt: skip


@styled
def draft_scale(
    result: ScaleStudy,
    out: Path,
    *,
    name: str,
    note: str = "",
    short: str = "",
    unfitted: str = "measured, not fitted",
) -> list[Path]:
    """Draw measured drafts, the fitted law with its band, and the turning point.

    note: ends the caption; short: start of names that is left out beside the points.
    """
    made, ax = figure(COLUMN, 2.6)
    draw_law(ax, result)
    for label, chosen, face in (
        ("measured", result.fitted, "black"),
        (unfitted, ~result.fitted, "white"),
    ):
        if chosen.any():
            ax.plot(
                result.scales[chosen], result.measured[chosen], "o", color="black", mfc=face,
                label=label,
            )  # fmt: skip
    for draft, s, m in zip(result.drafts, result.scales, result.measured, strict=True):
        ax.annotate(
            draft.removeprefix(short), (s, m), xytext=(4, -8), textcoords="offset points",
            fontsize="small",
        )  # fmt: skip
    ticks = [t for t in (0.001, 0.003, 0.01, 0.03, 0.1, 0.3, 1.0) if t >= 0.9 * result.grid[0]]
    ax.set_xticks(ticks, [f"{t:g}" for t in ticks])
    ax.minorticks_off()
    shown = np.r_[result.measured, result.center]
    lowest, highest = float(shown.min()), float(shown.max())
    spread = max(highest - lowest, 0.1)
    ax.set_ylim(lowest - 0.65 * spread, highest + 0.85 * spread)
    ax.legend(loc="upper right")
    turn = result.turning_point
    edge = ""
    if result.at_edge > 0.05:
        share = f"{100 * result.at_edge:.0f} %"
        edge = f" In {share} of the draws the best size is an end of the sizes shown."
    caption = (
        f"Latency of {result.target} over plain decoding against the size of the draft: measured "
        "drafts, the fitted law with its 90 % band, and the best size with its 90 % interval "
        f"(bar). Each draft at its best number of draft tokens; the law is fitted to "
        f"{int(result.fitted.sum())} drafts and turns at {turn.estimate:.3g} "
        f"[{turn.low:.3g}, {turn.high:.3g}] of the target.{edge}" + (f" {note}" if note else "")
    )
    return save(made, out, name, caption, law_rows(result))
