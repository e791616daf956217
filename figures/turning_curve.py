"""The turning point of one target and device: speed-up against the size of the draft."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, cast

import numpy as np

from .style import COLOURS, COLUMN, figure, literal, styled

if TYPE_CHECKING:
    from matplotlib.figure import Figure

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
    ax.plot(best[0], best[2], "*", color="black", ms=10, mec="white", mew=0.6, zorder=5)
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
    ax.axhline(1.0, color="0.6", lw=0.6, zorder=0)
    ax.set_xlabel("draft parameters / target parameters")
    ax.set_ylabel("speed-up at the best $\\gamma$")
    if title:
        ax.set_title(literal(title), loc="left")
    made.legend(loc="outside lower center", ncols=2)
    return cast("Figure", made)
