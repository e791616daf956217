"""The paper's measurements beside what was fitted and predicted."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from .study import GridStudy, Panel
from .style import COLOURS, PAGE, figure, panels, save, styled, write_csv, write_latex
from .transfer import TableRow

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
    rows: list[tuple[object, ...]] = []
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
    columns_of = [
        "draft", "gamma", "measured_relative_latency", "fitted", "low_90", "high_90", "best",
        "within_1_percent",
    ]  # fmt: skip
    return [*save(made, out, name, caption), write_csv(out, name, columns_of, rows)]


def _grid_panel(ax: Axes, panel: Panel, colour: str) -> list[tuple[object, ...]]:
    """One draft; the rows of its points."""
    gammas = np.arange(panel.center.size)
    ax.fill_between(gammas[1:], panel.low[1:], panel.high[1:], color=colour, alpha=0.22, lw=0)
    ax.plot(gammas[1:], panel.center[1:], color=colour)
    ax.plot(panel.gammas, panel.measured, "o", color="black", ms=3, zorder=4)
    ax.axhline(1.0, color="0.6", lw=0.6, zorder=0)
    best, window = panel.prediction.gamma, panel.prediction.gamma_window
    ax.plot(best, panel.center[best], "*", color=colour, ms=11, mec="white", mew=0.7, zorder=5)
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
    return [
        (
            panel.draft, int(g), float(m), float(panel.center[g]), float(panel.low[g]),
            float(panel.high[g]), int(g == best), int(g in window),
        )
        for g, m in zip(panel.gammas, panel.measured, strict=True)
    ]  # fmt: skip


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


TABLE_COLUMNS = (
    "target", "method", "paper_draft", "paper_gamma", "paper_speedup", "fitted_speedup",
    "predicted_draft", "predicted_gamma", "gamma_low_1_percent", "gamma_high_1_percent",
    "predicted_speedup", "predicted_low", "predicted_high", "probability_draft",
    "at_paper_choice", "at_paper_choice_low", "at_paper_choice_high", "inside",
)  # fmt: skip


def main_table(rows: tuple[TableRow, ...], out: Path) -> list[Path]:
    """The paper's main table beside ours: LaTeX, CSV, and a picture of the intervals."""
    name = "main_table"
    numbers = [
        (
            r.target, r.method, r.paper_draft, r.paper_gamma, r.paper_speedup,
            "" if r.fitted is None else r.fitted.estimate,
            r.draft, r.gamma, *r.gamma_window, r.speedup.estimate, r.speedup.low, r.speedup.high,
            r.probability_draft, r.at_paper_choice.estimate, r.at_paper_choice.low,
            r.at_paper_choice.high, int(r.inside),
        )
        for r in rows
    ]  # fmt: skip
    cells = [
        [
            r.target, r.method, r.paper_draft, f"{r.paper_gamma}", f"{r.paper_speedup:.2f}",
            "--" if r.fitted is None else f"{r.fitted.estimate:.2f}",
            r.draft, f"{r.gamma}", f"{r.speedup.estimate:.2f} [{r.speedup.low:.2f}, "
            f"{r.speedup.high:.2f}]",
            f"{r.at_paper_choice.estimate:.2f} [{r.at_paper_choice.low:.2f}, "
            f"{r.at_paper_choice.high:.2f}]",
        ]
        for r in rows
    ]  # fmt: skip
    heads = [
        "Target", "Method", "Draft", r"$\gamma$", "Speed-up", "Fitted", "Best draft", r"$\gamma$",
        r"Speed-up [90\,\%]", r"At the paper's choice [90\,\%]",
    ]  # fmt: skip
    return [
        write_csv(out, name, TABLE_COLUMNS, numbers),
        write_latex(out, name, heads, cells, align="llllrrllll"),
        *_table_picture(rows, out),
    ]


@styled
def _table_picture(rows: tuple[TableRow, ...], out: Path) -> list[Path]:
    made, ax = figure(PAGE, 3.1)
    for i, r in enumerate(rows):
        y = len(rows) - 1 - i
        there = r.at_paper_choice
        ax.plot([there.low, there.high], [y, y], color=COLOURS[0], lw=2.5, alpha=0.5)
        ax.plot(there.estimate, y, "|", color=COLOURS[0], ms=9, mew=1.6)
        if r.fitted is not None:
            ax.plot(r.fitted.estimate, y, "D", color=COLOURS[2], ms=4.5, zorder=4)
        ax.plot(r.paper_speedup, y, "o", color=COLOURS[1], ms=4.5, zorder=5)
    ax.set_yticks(
        range(len(rows)),
        [
            f"{r.target}, {r.method}: {r.paper_draft}, $\\gamma$ = {r.paper_gamma}"
            for r in reversed(rows)
        ],
    )
    ax.axvline(1.0, color="0.6", lw=0.6, zorder=0)
    ax.set_xlabel("speed-up at the paper's draft and $\\gamma$")
    from matplotlib.lines import Line2D

    made.legend(
        handles=[
            Line2D([], [], marker="o", ls="", color=COLOURS[1], label="paper"),
            Line2D([], [], marker="|", ls="", color=COLOURS[0], ms=9, mew=1.6, label="predicted"),
            Line2D([], [], color=COLOURS[0], lw=2.5, alpha=0.5, label="90 % interval"),
            Line2D([], [], marker="D", ls="", color=COLOURS[2], label="fitted to the grid"),
        ],
        loc="outside upper center",
        ncols=4,
    )
    hits = sum(r.inside for r in rows)
    caption = (
        "Speed-ups of the paper's main table (dots) beside what is predicted without any row of "
        f"it (ticks with 90 % intervals); {hits} of {len(rows)} lie inside. SpS: speculative "
        "sampling, AsG: assisted generation, at the paper's own draft and number of draft tokens "
        "γ; acceptance is that of other published pairs, costs follow depth and size as on the "
        "BLOOM grid; the diamond is the one row that is also a point of that grid."
    )
    return save(made, out, "main_table", caption)
