"""The time of passes over several new tokens, beside what bytes and operations predict.

Two lines for every model, neither of them fitted: the roofline alone, w(n) / w(1) with w the larger
of memory and computing time; and 1 + (w(n) - w(1)) / T(1), where what the roofline does not explain
of the pass over one token, T(1), stays what it is.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from .roofline import TimedModel
from .roofline_machine import Quartiles
from .roofline_record import CostLimits
from .roofline_table import LimitsTable
from .style import COLOURS, MARKERS, PAGE, figure, save, styled, write_csv

Floats = NDArray[np.float64]
_MODELS, _PLACES = 4, 3


@dataclass(frozen=True)
class VerifyCurve:
    """V(n) / V(1) of one model, mode and place.

    tokens: n; ratios: measured, quartiles of the repeats over the median of one token; roofline,
    fixed: the two predictions, None where the work is not known.
    """

    model: TimedModel
    mode: str
    place: tuple[int, int]
    tokens: tuple[int, ...]
    ratios: tuple[Quartiles, ...]
    roofline: Floats | None
    fixed: Floats | None


def verify_curves(limits: CostLimits) -> tuple[VerifyCurve, ...]:
    """Every model, mode and place with at least one token and two other numbers of tokens."""
    out = []
    for model in limits.models.values():
        for place in limits.places:
            for mode in limits.modes:
                curve = _curve(limits, model, place, mode)
                if curve is not None:
                    out.append(curve)
    return tuple(out)


def _curve(
    limits: CostLimits, model: TimedModel, place: tuple[int, int], mode: str
) -> VerifyCurve | None:
    found = [limits.at(model.name, place, n) for n in limits.tokens]
    rows = [r for r in found if r is not None and mode in r.times]
    if len(rows) < 3 or rows[0].tokens != 1:
        return None
    base = rows[0].times[mode].median
    ratios = [r.times[mode].over(base) for r in rows]
    known = [r.work_s for r in rows if r.work_s is not None]
    roofline = fixed = None
    if len(known) == len(rows):
        work = np.array(known)
        roofline, fixed = work / work[0], 1.0 + (work - work[0]) / base
    numbers = tuple(r.tokens for r in rows)
    return VerifyCurve(model, mode, place, numbers, tuple(ratios), roofline, fixed)


@styled
def verify_figure(table: LimitsTable, out: Path, *, name: str) -> list[Path]:
    """V(n) / V(1) of a few models, from the largest to the smallest, mode by mode and place by
    place; the CSV has all. Nothing is drawn where no model was timed at three numbers of tokens.
    """
    curves = verify_curves(table.limits)
    if not curves:
        return []
    modes = [m for m in table.limits.modes if any(c.mode == m for c in curves)]
    places = _places(curves)
    chosen = _spread([m for m in table.limits.models if any(c.model.name == m for c in curves)])
    height = 2.2 * len(modes) + 0.5
    made, axes = figure(PAGE, height, len(modes), len(places), sharex=True, squeeze=False)
    for i, mode in enumerate(modes):
        for j, place in enumerate(places):
            ax = axes[i, j]
            some = [c for c in curves if c.mode == mode and c.place == place]
            for k, model in enumerate(chosen):
                for curve in (c for c in some if c.model.name == model):
                    _draw(ax, curve, k)
            # The roofline alone may leave the panel: it is the measured curve that counts.
            shown = [q for c in some for q in c.ratios if c.model.name in chosen]
            if shown:
                ax.set_ylim(0.9 * min(q.low for q in shown), 1.1 * max(q.high for q in shown))
            ax.set_title(f"{mode}, batch {place[0]}, context {place[1]}")
        axes[i, 0].set_ylabel("$V(n)\\,/\\,V(1)$")
    for ax in axes[-1]:
        ax.set_xlabel("new tokens of a pass, $n$")
    _legend(made, chosen)
    stem = f"{name}_verify"
    return [*save(made, out, stem), write_csv(out, stem, _COLUMNS, _rows(curves))]


_COLUMNS = ("model", "parameters", "mode", "batch", "context", "tokens", "ratio", "low", "high",
            "roofline", "fixed_and_work")  # fmt: skip


def _draw(ax: Any, curve: VerifyCurve, k: int) -> None:
    """The k-th curve of a panel, a little beside the others, so that its quartiles are seen."""
    colour = COLOURS[k]
    median = np.array([q.median for q in curve.ratios])
    low = median - np.array([q.low for q in curve.ratios])
    high = np.array([q.high for q in curve.ratios]) - median
    beside = np.array(curve.tokens) + 0.2 * (k - 0.5 * (_MODELS - 1))
    ax.errorbar(beside, median, yerr=[low, high], fmt=MARKERS[k], color=colour, ms=2.5, lw=0.6)
    if curve.fixed is not None and curve.roofline is not None:
        ax.plot(curve.tokens, curve.fixed, "-", color=colour, lw=1.0)
        ax.plot(curve.tokens, curve.roofline, ":", color=colour, lw=1.0)


def _places(curves: Sequence[VerifyCurve]) -> list[tuple[int, int]]:
    """The usual place first, then those that differ from it the most: batches, then contexts."""
    count: dict[tuple[int, int], int] = {}
    for c in curves:
        count[c.place] = count.get(c.place, 0) + len(c.tokens)
    first = max(count, key=lambda p: (count[p], -p[0], -p[1]))
    rest = sorted((p for p in count if p != first), key=lambda p: (-p[0], -p[1]))
    longest = [p for p in rest if p[0] == 1][:1]
    largest = [p for p in rest if p not in longest][: _PLACES - 1 - len(longest)]
    return [first, *longest, *largest]


def _spread(names: Sequence[str]) -> list[str]:
    """A few of the models, from the first to the last."""
    picked = np.unique(np.linspace(0, len(names) - 1, min(_MODELS, len(names))).round().astype(int))
    return [names[i] for i in picked]


def _legend(made: Any, chosen: Sequence[str]) -> None:
    from matplotlib.lines import Line2D

    handles = [
        Line2D([], [], marker=MARKERS[k], color=COLOURS[k], ls="", label=model)
        for k, model in enumerate(chosen)
    ]
    handles += [
        Line2D([], [], color="0.3", lw=1.0, label="$1 + (w(n) - w(1))\\,/\\,T(1)$"),
        Line2D([], [], color="0.3", lw=1.0, ls=":", label="roofline alone, $w(n)\\,/\\,w(1)$"),
    ]
    made.legend(handles=handles, loc="outside lower center", ncols=3)


def _rows(curves: Sequence[VerifyCurve]) -> list[tuple[Any, ...]]:
    out: list[tuple[Any, ...]] = []
    for c in curves:
        for i, (n, q) in enumerate(zip(c.tokens, c.ratios, strict=True)):
            lines = ["" if line is None else float(line[i]) for line in (c.roofline, c.fixed)]
            place = (c.model.name, c.model.parameters, c.mode, *c.place)
            out.append((*place, n, q.median, q.low, q.high, *lines))
    return out
