"""The best draft size on the paper's own ladder: measured drafts, law, turning point."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from ..calibrate.ladder import fit_ladder
from ..calibrate.library.load import load_table
from ..calibrate.library.schema import number, text
from ..sim.prediction import speedup_table
from ..theory.interval import Interval
from .study import LEVEL, GridStudy
from .style import COLOURS, COLUMN, figure, save, styled, write_csv

if TYPE_CHECKING:
    from matplotlib.axes import Axes

Floats = NDArray[np.float64]
GAMMA_MAX = 7


@dataclass(frozen=True)
class ScaleStudy:
    """Latency at the best gamma against draft scale, for one target.

    scales, measured: of the drafts, shape (drafts,); fitted: whether each draft entered the law;
    grid, center, low, high: the law's relative latency, shape (points,); turning_point: best scale
    with its interval; at_edge: share of the sample whose best scale is an end of the grid.
    """

    target: str
    drafts: tuple[str, ...]
    scales: Floats
    measured: Floats
    fitted: NDArray[np.bool_]
    grid: Floats
    center: Floats
    low: Floats
    high: Floats
    turning_point: Interval
    at_edge: float


def scale_study(study: GridStudy, seed: int = 0) -> ScaleStudy:
    """Fit one law to the latencies of the ladder and find the best size under every draw of it.

    Drafts that are not released models of the family have no entry in the ladder and are shown
    only.
    """
    rng = np.random.default_rng([seed, 4])
    params = {
        text(r, "draft"): number(r, "draft_params") / number(r, "target_params")
        for r in load_table("paper_bloom_grid").rows
    }
    released = {r["draft"] for r in load_table("paper_ladders").rows}
    drafts = study.fit.drafts
    scales = np.array([params[d] for d in drafts])
    fitted = np.array([d in released for d in drafts])
    points = [p for p, keep in zip(study.fit.points, fitted, strict=True) if keep]
    ladder = fit_ladder(points, scales[fitted], rng)
    grid = np.geomspace(0.01, 1.0, 140)
    latency = 1.0 / speedup_table(*ladder.laws(grid), GAMMA_MAX).max(axis=-1)
    best = latency.argmin(axis=1)
    at_edge = float(((best == 0) | (best == grid.size - 1)).mean())
    tails = [0.5 * (1 - LEVEL), 0.5 * (1 + LEVEL)]
    low, high = np.quantile(latency, tails, axis=0)
    turn = float(grid[best[0]])
    shortest, longest = (float(q) for q in np.quantile(grid[best], tails))
    return ScaleStudy(
        study.target,
        drafts,
        scales,
        np.array([p.measured.min() for p in study.panels]),
        fitted,
        grid,
        latency[0],
        low,
        high,
        Interval(turn, shortest, longest, LEVEL),
        at_edge,
    )


def best_scale_bar(ax: Axes, turn: Interval) -> None:
    """The best scale and its interval as a bar at the foot of a plot, with its numbers above."""
    at = ax.get_xaxis_transform()
    ax.plot([turn.low, turn.high], [0.05, 0.05], color=COLOURS[1], lw=3, solid_capstyle="butt",
            transform=at)  # fmt: skip
    ax.plot(turn.estimate, 0.05, "*", color=COLOURS[1], ms=10, mec="white", mew=0.6, transform=at)
    ax.text(
        np.sqrt(turn.low * turn.high), 0.1,
        f"best size {_part(turn.estimate)} [{_part(turn.low)}, {_part(turn.high)}]",
        ha="center", va="bottom", fontsize="small", color=COLOURS[1], transform=at,
    )  # fmt: skip


def _part(scale: float) -> str:
    """A share of the target as people write it: 0.13, 1/50."""
    return f"{scale:.2f}" if scale >= 0.05 else f"1/{1 / scale:.0f}"


@styled
def bloom_scale(result: ScaleStudy, out: Path) -> list[Path]:
    """Draw measured drafts, the fitted law with its band, and the turning point."""
    made, ax = figure(COLUMN, 2.6)
    ax.fill_between(result.grid, result.low, result.high, color=COLOURS[0], alpha=0.2, lw=0)
    ax.plot(result.grid, result.center, color=COLOURS[0], label="law, 90 % band")
    for label, chosen, face in (
        ("measured", result.fitted, "black"),
        ("measured, no released model: not fitted", ~result.fitted, "white"),
    ):
        ax.plot(
            result.scales[chosen],
            result.measured[chosen],
            "o",
            color="black",
            mfc=face,
            label=label,
        )
    for name, s, m in zip(result.drafts, result.scales, result.measured, strict=True):
        ax.annotate(
            name.removeprefix("BLOOM-"), (s, m), xytext=(4, -8), textcoords="offset points",
            fontsize="small",
        )  # fmt: skip
    best_scale_bar(ax, result.turning_point)
    ax.axhline(1.0, color="0.6", lw=0.6, zorder=0)
    ax.set_xscale("log")
    ticks = [0.01, 0.03, 0.1, 0.3, 1.0]
    ax.set_xticks(ticks, [f"{t:g}" for t in ticks])
    ax.minorticks_off()
    ax.set_ylim(0.42, 1.3)
    ax.set_title(f"{result.target}, each draft at its best $\\gamma$")
    ax.set_xlabel("draft parameters / target parameters")
    ax.set_ylabel("latency / plain latency")
    ax.legend(loc="upper right")
    rows = [("law", float(s), float(c), float(a), float(b)) for s, c, a, b in zip(
        result.grid, result.center, result.low, result.high, strict=True)]  # fmt: skip
    rows += [
        (name, float(s), float(m), float(m), float(m))
        for name, s, m in zip(result.drafts, result.scales, result.measured, strict=True)
    ]
    turn = result.turning_point
    rows.append(("turning point", turn.estimate, float("nan"), turn.low, turn.high))
    columns = ["series", "scale", "relative_latency", "low_90", "high_90"]
    shown = ", ".join(n for n, f in zip(result.drafts, result.fitted, strict=True) if not f)
    left_out = (
        f" {shown} is no released model of the family, has no known depth, and is shown only."
        if shown
        else ""
    )
    caption = (
        f"Latency of {result.target} over plain decoding against the size of the draft: measured "
        "drafts, the fitted law with its 90 % band, and the best size with its 90 % interval "
        f"(bar). Each draft at its best number of draft tokens, up to {GAMMA_MAX}; the law is "
        f"fitted to {int(result.fitted.sum())} drafts and turns at {turn.estimate:.2f} "
        f"[{turn.low:.2f}, {turn.high:.2f}] of the target.{left_out}"
    )
    return [
        *save(made, out, "bloom_scale", caption),
        write_csv(out, "bloom_scale", columns, rows),
    ]
