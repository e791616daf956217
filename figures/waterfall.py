"""The account of a measured speed-up as a waterfall: from the ideal down to what was measured."""

from __future__ import annotations

from typing import TYPE_CHECKING, cast

from ..sim.explain.account import Account, Term
from .style import COLOURS, PAGE, figure, styled

if TYPE_CHECKING:
    from matplotlib.figure import Figure

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
    ax.annotate(
        "plain",
        (end + 0.42, 1.0),
        (0, 2),
        textcoords="offset points",
        fontsize="small",
        color="0.35",
    )  # fmt: skip
    _axes(ax, ["ideal", *map(_label, terms), "measured"], levels, account)
    return cast("Figure", made)


def _label(term: Term) -> str:
    """The name of a term in lines short enough to stand side by side."""
    lines = [""]
    for word in term.name.split():
        longer = f"{lines[-1]} {word}".strip()
        if len(longer) > 13 and lines[-1]:
            lines.append(word)
        else:
            lines[-1] = longer
    return "\n".join(lines)


def _axes(ax: object, names: list[str], levels: list[float], account: Account) -> None:
    from matplotlib.axes import Axes
    from matplotlib.ticker import FixedLocator, NullLocator

    assert isinstance(ax, Axes)
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
