"""Figures of the answers: speed-up by gamma, drafts in order, crossings, schedules."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, cast

import numpy as np

from ..sim.crossover import Crossing
from ..sim.prediction import Prediction
from ..sim.ranking import Ranking
from ..sim.schedule import Schedule
from .style import COLOURS, COLUMN, PAGE, figure, literal, styled

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

_UNITS = {"batch": "batch [sequences]", "context": "context [tokens]"}


@styled
def gamma_curve(
    found: Prediction, *, title: str = "", measured: Mapping[int, float] | None = None
) -> Figure:
    """Speed-up against gamma: the middle, its interval, the best gamma, what was measured."""
    made, ax = figure(COLUMN, 2.6)
    gamma = np.arange(found.speedup_by_gamma.size)
    level = f"{100 * found.speedup.level:g} % interval"
    if (found.high_by_gamma > found.low_by_gamma).any():
        ax.fill_between(
            gamma, found.low_by_gamma, found.high_by_gamma, color=COLOURS[0], alpha=0.18, lw=0,
            label=level,
        )  # fmt: skip
    ax.plot(gamma, found.speedup_by_gamma, color=COLOURS[0], marker="o", ms=2.5, label="speed-up")
    if measured:
        ax.plot(list(measured), list(measured.values()), "x", color=COLOURS[1], label="measured")
    window = found.gamma_window
    if len(window) > 1:
        ax.axvspan(
            window[0] - 0.3, window[-1] + 0.3, color=COLOURS[2], alpha=0.12, lw=0,
            label=f"within {100 * found.tolerance:g} % of the best",
        )  # fmt: skip
    best = found.speedup_by_gamma[found.gamma]
    ax.plot(found.gamma, best, "*", color="black", ms=10, mec="white", mew=0.6, zorder=5)
    _plain(ax)
    ax.set_xlabel("draft tokens per round, $\\gamma$")
    ax.set_ylabel("speed-up over plain decoding")
    ax.set_title(literal(title) or f"best at $\\gamma$ = {found.gamma}", loc="left")
    ax.legend(loc="best")
    return cast("Figure", made)


def _plain(ax: Axes) -> None:
    ax.axhline(1.0, color="0.6", lw=0.6, zorder=0)


@styled
def ranking_bars(rankings: Sequence[Ranking]) -> Figure:
    """Speed-up of every draft at its best gamma with its interval, one panel a batch."""
    most = max(len(r.drafts) for r in rankings)
    width = COLUMN if len(rankings) == 1 else PAGE
    made, axes = figure(width, 0.9 + 0.26 * most, 1, len(rankings), squeeze=False, sharex=True)
    for ax, ranking in zip(axes[0], rankings, strict=True):
        drafts = [d for d in ranking.drafts if d.fits][::-1]
        for i, d in enumerate(drafts):
            c = d.choice
            ax.plot([c.low, c.high], [i, i], color=COLOURS[0], lw=2.4, alpha=0.4)
            ax.plot(c.speedup, i, "o", color=COLOURS[0])
        labels = [f"{literal(d.draft.called)}, $\\gamma$ = {d.choice.gamma}" for d in drafts]
        ax.set_yticks(range(len(drafts)), labels)
        ax.set_ylim(-0.6, len(drafts) - 0.4)
        ax.axvline(1.0, color="0.6", lw=0.6, zorder=0)
        ax.set_xlabel("speed-up over plain decoding")
        ax.set_title(f"batch {ranking.batch:g}, context {ranking.context:g}", loc="left")
    return cast("Figure", made)


@styled
def crossover_curves(crossings: Mapping[str, Crossing]) -> Figure:
    """Speed-up at the best gamma against batch and context, with where it stops paying."""
    names = [n for n in _UNITS if n in crossings]
    made, axes = figure(PAGE, 2.5, 1, len(names), squeeze=False)
    for ax, name in zip(axes[0], names, strict=True):
        c = crossings[name]
        x = np.array(c.values)
        ax.fill_between(x, c.speedup_low, c.speedup_high, color=COLOURS[0], alpha=0.18, lw=0,
                        label="interval")  # fmt: skip
        ax.plot(x, c.speedup, color=COLOURS[0], marker="o", ms=2.5, label="speed-up")
        if c.at is not None and c.pays:
            ax.axvline(c.at, color=COLOURS[1], lw=0.9)
            ax.annotate(f" stops at {c.at:.4g}", (c.at, max(c.speedup)), fontsize="small", va="top")
        _plain(ax)
        ax.set_xscale("log", base=2)
        ax.xaxis.set_major_formatter(lambda v, _: f"{v:g}" if v < 1024 else f"{v / 1024:g}k")
        ax.set_xlabel(_UNITS[name])
        ax.set_ylabel("speed-up at the best $\\gamma$")
    axes[0, 0].legend(loc="best")
    return cast("Figure", made)


@styled
def schedule_steps(made_of: Schedule) -> Figure:
    """The schedule's gamma, and the speed-up of the best one, against the batch size."""
    made, (upper, lower) = figure(COLUMN, 3.2, 2, 1, sharex=True)
    batches = np.arange(1, made_of.batch_max + 1)
    gammas = [made_of.gamma(int(b)) for b in batches]
    upper.step(batches, gammas, where="mid", color=COLOURS[0], label="schedule")
    upper.plot(batches, made_of.best_gamma, ".", color=COLOURS[1], ms=2, label="best at each batch")
    upper.set_ylabel("$\\gamma$")
    upper.set_ylim(-0.3, max(*gammas, int(made_of.best_gamma.max()), 1) * 1.3 + 0.3)
    upper.legend(loc="upper right", ncols=2)
    lower.plot(batches, made_of.best_speedup, color=COLOURS[0])
    _plain(lower)
    lower.set_ylabel("speed-up")
    lower.set_xlabel(_UNITS["batch"])
    if made_of.batch_max > 16:
        lower.set_xscale("log", base=2)
        lower.xaxis.set_major_formatter(lambda v, _: f"{v:g}")
    return cast("Figure", made)
