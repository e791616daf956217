"""The best draft size on the paper's own ladder: measured drafts, law, turning point."""

from __future__ import annotations

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
from .study import LEVEL, GridStudy
from .style import COLOURS, COLUMN, figure, save, styled, write_csv

if TYPE_CHECKING:
    from matplotlib.axes import Axes


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
    ax.axhline(1.0, color="0.6", lw=0.6, zorder=0)
    ax.set_xscale("log")
    ax.set_xlabel("draft parameters / target parameters")
    ax.set_ylabel("latency / plain latency")
    ax.set_title(f"{result.target}, each draft at its best $\\gamma$")


def write_law(result: ScaleStudy, out: Path, name: str) -> Path:
    """The numbers behind the figure of a law: its line, the drafts and the turning point."""
    law = zip(result.grid, result.center, result.low, result.high, strict=True)
    rows = [("law", *map(float, row)) for row in law]
    drafts = zip(result.drafts, result.scales, result.measured, 1.645 * result.error, strict=True)
    rows += [(n, *map(float, (s, m, m - e, m + e))) for n, s, m, e in drafts]
    turn = result.turning_point
    rows.append(("turning point", turn.estimate, float("nan"), turn.low, turn.high))
    return write_csv(out, name, ["series", "scale", "relative_latency", "low_90", "high_90"], rows)


def _best_scale_bar(ax: Axes, turn: Interval) -> None:
    """The best scale and its interval as a bar at the foot of a plot, with its numbers above."""
    at = ax.get_xaxis_transform()
    ax.plot([turn.low, turn.high], [0.05, 0.05], color=COLOURS[1], lw=3, solid_capstyle="butt",
            transform=at)  # fmt: skip
    ax.plot(turn.estimate, 0.05, "*", color=COLOURS[1], ms=10, mec="white", mew=0.6, transform=at)
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
    lowest = min(float(result.measured.min()), float(result.center.min()))
    highest = max(float(result.measured.max()), float(result.center.max()))
    spread = max(highest - lowest, 0.1)
    ax.set_ylim(lowest - 0.65 * spread, highest + 0.85 * spread)
    ax.legend(loc="upper right")
    turn = result.turning_point
    edge = (
        f" In {100 * result.at_edge:.0f} % of the draws the best size is an end of the sizes shown."
        if result.at_edge > 0.05
        else ""
    )
    caption = (
        f"Latency of {result.target} over plain decoding against the size of the draft: measured "
        "drafts, the fitted law with its 90 % band, and the best size with its 90 % interval "
        f"(bar). Each draft at its best number of draft tokens; the law is fitted to "
        f"{int(result.fitted.sum())} drafts and turns at {turn.estimate:.3g} "
        f"[{turn.low:.3g}, {turn.high:.3g}] of the target.{edge}" + (f" {note}" if note else "")
    )
    return [*save(made, out, name, caption), write_law(result, out, name)]
