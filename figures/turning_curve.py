"""The turning point of one target and device: speed-up against the size of the draft."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, cast

import numpy as np

from .style import COLOURS, COLUMN, figure, styled

if TYPE_CHECKING:
    from matplotlib.figure import Figure

Row = tuple[float, int, float, float, float, float]


@styled
def turning_curve(rows: Sequence[Row], *, title: str = "") -> Figure:
    """Draw rows of (share of the target, gamma, speed-up, low, high, probability best).

    The band is the interval of the speed-up, the bars say how likely each size is the best, the
    star is the turning point. Raises ValueError for fewer than two sizes.
    """
    if len(rows) < 2:
        raise ValueError(f"a curve needs two sizes or more, got {len(rows)}")
    share, gamma, middle, low, high, chance = np.array(sorted(rows), dtype=float).T
    made, ax = figure(COLUMN, 2.6)
    ax.fill_between(share, low, high, color=COLOURS[0], alpha=0.18, lw=0, label="interval")
    ax.plot(share, middle, color=COLOURS[0], marker="o", ms=2.5, label="best $\\gamma$")
    best = int(middle.argmax())
    ax.plot(share[best], middle[best], "*", color="black", ms=10, mec="white", mew=0.6, zorder=5)
    ax.annotate(
        f"1/{1 / share[best]:.0f}, $\\gamma$ = {gamma[best]:.0f}",
        (share[best], middle[best]),
        xytext=(0, 7),
        textcoords="offset points",
        ha="center",
        fontsize=7,
    )
    ax.axhline(1.0, color="0.6", lw=0.6, zorder=0)
    ax.set_xscale("log")
    ax.set_xlabel("draft parameters / target parameters")
    ax.set_ylabel("speed-up")
    if title:
        ax.set_title(title, loc="left")
    beside = ax.twinx()
    width = 0.8 * np.gradient(share)
    beside.bar(share, chance, width=width, color=COLOURS[1], alpha=0.35, lw=0)
    beside.set_ylim(0.0, max(4.0 * float(chance.max()), 1e-9))
    beside.set_yticks([])
    ax.legend(loc="upper right")
    return cast("Figure", made)
