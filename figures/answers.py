"""Figures of the answers: speed-up by gamma, drafts in order, crossings, schedules.

With the turning point of a target and device (speed-up against the size of the draft), and the
account of a measured speed-up as a waterfall, from the ideal down to what was measured.
"""

from __future__ import annotations

import textwrap
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING

import numpy as np

from ..sim.crossover import Crossing
from ..sim.explain.account import Account
from ..sim.explain.terms import Term
from ..sim.prediction import Prediction
from ..sim.ranking import Ranking
from ..sim.schedule import Schedule
from .style import COLOURS, COLUMN, PAGE, figure, literal, plain_line, star, styled

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
    star(ax, found.gamma, found.speedup_by_gamma[found.gamma], "black")
    plain_line(ax)
    ax.set_xlabel("draft tokens per round, $\\gamma$")
    ax.set_ylabel("speed-up over plain decoding")
    ax.set_title(literal(title) or f"best at $\\gamma$ = {found.gamma}", loc="left")
    ax.legend(loc="best")
    return made


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
    return made


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
        plain_line(ax)
        ax.set_xscale("log", base=2)
        ax.xaxis.set_major_formatter(lambda v, _: f"{v:g}" if v < 1024 else f"{v / 1024:g}k")
        ax.set_xlabel(_UNITS[name])
        ax.set_ylabel("speed-up at the best $\\gamma$")
    axes[0, 0].legend(loc="best")
    return made


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
    plain_line(lower)
    lower.set_ylabel("speed-up")
    lower.set_xlabel(_UNITS["batch"])
    if made_of.batch_max > 16:
        lower.set_xscale("log", base=2)
        lower.xaxis.set_major_formatter(lambda v, _: f"{v:g}")
    return made


Row = tuple[float, int, float, float, float]


@styled
def turning_curve(
    curves: Mapping[str, Sequence[Row]],
    *,
    best: Row,
    level: float = 0.9,
    title: str = "",
    real: Mapping[str, tuple[float, float, str]] | None = None,
    known_from: float = 0.0,
) -> Figure:
    """Draw curves of rows of (share of the target, gamma, speed-up, low, high), one a format.

    real: (share, speed-up, name of the curve) of drafts that exist, crosses in the colour of their
    curve, the best of each size with its name; known_from: share below which sizes are
    extrapolated. best: the answer, marked with a star; the curve that holds it has a band, the
    interval at ``level``. Raises ValueError for fewer than two sizes, and for a best that is on no
    curve.
    """
    most = max((len(rows) for rows in curves.values()), default=0)
    if most < 2:
        raise ValueError(f"a curve needs two sizes or more, got {most}")
    if not any(best in rows for rows in curves.values()):
        raise ValueError(f"best must be a row of one of the curves, got {best}")
    made, ax = figure(COLUMN, 3.0)
    ax.set_xscale("log")
    others, colours = iter(COLOURS[1:]), {}
    for label, rows in curves.items():
        share, _, middle, low, high = np.array(sorted(rows), dtype=float).T
        held = best in rows
        colours[label] = colour = COLOURS[0] if held else next(others)
        if held:
            ax.fill_between(
                share, low, high, color=colour, alpha=0.18, lw=0,
                label=f"{100 * level:g} % interval",
            )  # fmt: skip
        ax.plot(share, middle, color=colour, marker="o", ms=2.5, lw=1.4 if held else 0.8,
                label=label)  # fmt: skip
    star(ax, best[0], best[2], "black")
    ax.annotate(
        f"1/{1 / best[0]:.0f}, $\\gamma$ = {best[1]}", (best[0], best[2]), xytext=(0, 7),
        textcoords="offset points", ha="center", fontsize="small",
    )  # fmt: skip
    for i, (name, (share, speedup, label)) in enumerate((real or {}).items()):
        ax.plot(share, speedup, "x", color=colours.get(label, "0.4"), ms=5, mew=1.2, zorder=4,
                label="" if i else "that exist")  # fmt: skip
        same = [s for s, *_ in list((real or {}).values())[:i] if s == share]
        if not same:  # the best of that size
            ax.annotate(literal(name.rpartition(" ")[0]), (share, 0.02), rotation=90,
                        xycoords=("data", "axes fraction"), ha="center", va="bottom",
                        fontsize="xx-small", color="0.3")  # fmt: skip
            ax.axvline(share, color="0.85", lw=0.5, zorder=0)
    if known_from > min(row[0] for rows in curves.values() for row in rows):
        ax.axvspan(ax.get_xlim()[0], known_from, color="0.93", zorder=-1, label="extrapolated")
    plain_line(ax)
    ax.set_xlabel("draft parameters / target parameters")
    ax.set_ylabel("speed-up at the best $\\gamma$")
    if title:
        ax.set_title(literal(title), loc="left")
    made.legend(loc="outside lower center", ncols=2)
    return made


_LOSS, _GAIN, _END = COLOURS[1], COLOURS[2], COLOURS[0]


@styled
def waterfall(account: Account) -> Figure:
    """Draw the account: one bar a term, on a logarithmic scale.

    On that scale a factor has the same length wherever it stands, so the order of the bars says
    nothing. Whiskers are the intervals of the factors.
    """
    terms = account.terms
    made, ax = figure(min(PAGE, max(4.7, 2.2 + 0.85 * len(terms))), 3.2)
    level, levels = account.ideal, [account.ideal]
    ax.bar(0, account.ideal - 1.0, bottom=1.0, color=_END, width=0.62)
    for i, term in enumerate(terms, 1):
        after = level * term.factor.estimate
        low, high = min(level, after), max(level, after)
        ax.bar(i, high - low, bottom=low, width=0.62, color=_LOSS if after < level else _GAIN)
        ax.plot([i - 1.31, i + 0.31], [level, level], color="0.4", lw=0.7, zorder=3)
        reach = [level * term.factor.low, level * term.factor.high]
        ax.plot([i, i], reach, color="black", lw=1.0, zorder=4)
        ax.annotate(
            f"x{term.factor.estimate:.2f}", (i, max(high, *reach)), (0, 3),
            textcoords="offset points", ha="center", va="bottom", fontsize="small",
        )  # fmt: skip
        level = after
        levels += [after, *reach]
    end = len(terms) + 1
    ax.plot([end - 1.31, end + 0.31], [level, level], color="0.4", lw=0.7, zorder=3)
    bottom, top = sorted((1.0, account.speedup.estimate))
    ax.bar(end, top - bottom, bottom=bottom, color=_END, width=0.62)
    for x, value in ((0, account.ideal), (end, account.speedup.estimate)):
        ax.annotate(
            f"{value:.2f}", (x, max(value, 1.0)), (0, 3), textcoords="offset points",
            ha="center", va="bottom", fontsize="medium", fontweight="bold",
        )  # fmt: skip
    ax.axhline(1.0, color="0.55", lw=0.7, zorder=0)
    ax.annotate("plain", (end + 0.42, 1.0), (0, 2), textcoords="offset points", fontsize="small",
                color="0.35")  # fmt: skip
    _axes(ax, ["ideal", *map(_label, terms), "measured"], levels, account)
    return made


def _label(term: Term) -> str:
    """The name of a term in lines short enough to stand side by side."""
    return textwrap.fill(term.name, 13, break_long_words=False, break_on_hyphens=False)


def _axes(ax: Axes, names: list[str], levels: list[float], account: Account) -> None:
    from matplotlib.ticker import FixedLocator, NullLocator

    ax.set_yscale("log")
    low, high = min([*levels, 1.0]), max([*levels, 1.0])
    ax.set_ylim(low / 1.18, high * 1.25)
    ticks = [t for t in (0.1, 0.2, 0.3, 0.5, 0.7, 1, 1.5, 2, 3, 4, 5, 7, 10, 15, 20, 30)
             if low / 1.18 <= t <= high * 1.25]  # fmt: skip
    ax.yaxis.set_major_locator(FixedLocator(ticks))
    ax.yaxis.set_minor_locator(NullLocator())
    ax.yaxis.set_major_formatter(lambda value, _: f"{value:g}")
    ax.set_xticks(range(len(names)), names)
    ax.tick_params(axis="x", length=0)
    ax.set_xlim(-0.5, len(names) - 0.1)
    ax.set_ylabel("speed-up over plain decoding")
    ax.set_title(
        f"gamma {account.gamma}: {account.tokens_per_round.estimate:.2f} tokens per round, "
        f"a round takes {account.round_steps.estimate:.2f} plain steps",
        loc="left",
    )
