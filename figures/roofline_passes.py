"""The passes of a cost record drawn: beside their floor, and over several new tokens.

Two lines for every model of the last, neither of them fitted: the roofline alone, w(n) / w(1) with
w the larger of memory and computing time; and 1 + (w(n) - w(1)) / T(1), where what the roofline
does not explain of the pass over one token, T(1), stays what it is.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from ..theory.domain import Floats
from . import style
from .roofline import TimedModel
from .roofline_limits import LAUNCHES, CostLimits
from .roofline_record import Machine, Quartiles
from .roofline_table import write_limits
from .style import COLOURS, Row, save, styled

if TYPE_CHECKING:
    from matplotlib.axes import Axes

# (colour, marker) of a mode; the floor is black.
LOOK = {"eager": (COLOURS[1], "o"), "graph": (COLOURS[0], "s")}


@styled
def passes_and_floor(limits: CostLimits, out: Path, *, name: str) -> list[Path]:
    """Time of every pass of one token against the bytes that it must move, and the copy's line.

    Filled where launches take most of the time. Nothing is drawn where no floor is known.
    """
    rows = [r for r in limits.single if r.moved is not None]
    machine = limits.machine
    if machine.bandwidth is None or not rows:
        return []
    made, ax = style.figure(style.COLUMN, 3.0)
    for mode in limits.modes:
        colour, marker = LOOK[mode]
        for launched in (True, False):
            some = [
                r for r in rows
                if (b := limits.bound(r, mode)) is not None and (b.what == LAUNCHES) == launched
            ]  # fmt: skip
            if not some:
                continue
            times = np.array([[r.times[mode].low, r.times[mode].median, r.times[mode].high]
                              for r in some]) * 1e3  # fmt: skip
            what = "mostly launches" if launched else "mostly data"
            ax.errorbar(
                np.array([r.moved for r in some], dtype=float) / 1e6, times[:, 1],
                yerr=[times[:, 1] - times[:, 0], times[:, 2] - times[:, 1]], fmt=marker,
                color=colour, mfc=colour if launched else "white", mew=0.8, lw=0.6,
                label=f"{mode}, {what}",
            )  # fmt: skip
    moved = np.array([r.moved for r in rows], dtype=float)
    _floor_line(ax, float(moved.min()), float(moved.max()), machine)
    ax.set_xscale("log")
    ax.set_yscale("log")
    ax.set_xlabel("bytes that a pass must move [MB]")
    ax.set_ylabel("time of a pass over one token [ms]")
    ax.set_title("passes at every batch and context timed")
    made.legend(loc="outside lower center", ncols=2, handlelength=1.6)
    stem = f"{name}_floor"
    caption = (
        "Time of every pass over one token against the bytes that it must move, with the line "
        "that the machine's own copy rate would allow. One point a model, batch and context, "
        f"medians with quartiles, on {machine.device}; filled where launches take most of the "
        "time. The line is dashed where the bytes may fit into a cache and it is no floor."
    )
    return [*save(made, out, stem, caption), *write_limits(limits, out, stem)]


def _floor_line(ax: Axes, least: float, most: float, machine: Machine) -> None:
    """Bytes over the copy's bandwidth; dashed, and no floor, where they may fit into a cache."""
    assert machine.bandwidth is not None
    turn = machine.cache if machine.cache is not None else machine.copied or 0.0
    rate = machine.bandwidth.median
    for low, high, dashes, label in (
        (least, min(turn, most), "--", "bytes at copy rate, if not cached"),
        (max(turn, least), most, "-", "bytes at copy rate: floor"),
    ):
        if low < high:
            x = np.array([low, high])
            ax.plot(x / 1e6, 1e3 * x / rate, dashes, color="black", lw=1.0, label=label)


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
def verify_figure(limits: CostLimits, out: Path, *, name: str) -> list[Path]:
    """V(n) / V(1), a column of panels a model from the largest to the smallest, a row a mode and
    place, all on the same axes; the CSV has every model. Nothing is drawn where no model was timed
    at three numbers of tokens.
    """
    curves = verify_curves(limits)
    if not curves:
        return []
    modes = [m for m in limits.modes if any(c.mode == m for c in curves)]
    rows = [(mode, place) for mode in modes for place in _places(curves)]
    chosen = _spread([m for m in limits.models if any(c.model.name == m for c in curves)])
    made, axes = style.figure(
        style.PAGE, 1.35 * len(rows) + 0.8, len(rows), len(chosen), sharex=True, sharey=True,
        squeeze=False,
    )  # fmt: skip
    for line, (mode, place) in zip(axes, rows, strict=True):
        for ax, model in zip(line, chosen, strict=True):
            some = [c for c in curves if (c.mode, c.place, c.model.name) == (mode, place, model)]
            for curve in some:
                _draw(ax, curve)
        line[0].set_ylabel(f"{mode}\nbatch {place[0]}, context {place[1]}")
    for ax, model in zip(axes[0], chosen, strict=True):
        ax.set_title(model)
    _axes(axes[0, 0], [c for c in curves if c.model.name in chosen])
    made.supxlabel("new tokens of a pass, $n$")
    made.supylabel("time of a pass over one of a single token, $V(n)\\,/\\,V(1)$")
    style.one_legend(made, axes[:1, :1], "upper", columns=2)
    caption = (
        "Time of a pass over n new tokens over that of one token, a column a model, the largest "
        "first, and a row a batch and context: measured medians with quartiles, and two "
        "predictions, neither of them fitted. w(n) is the roofline's time of the pass: the larger "
        "of its bytes over the machine's copy rate and its operations over the machine's peak. "
        "Full line: 1 + (w(n) - w(1)) / T(1), all that the roofline does not explain of the "
        "measured time T(1) of one token staying what it is. Dotted: the roofline alone."
    )
    return save(made, out, f"{name}_verify", caption, [row for c in curves for row in _rows(c)])


def _axes(ax: Any, curves: Sequence[VerifyCurve]) -> None:
    """Logarithmic axes for all panels; the roofline alone may leave them upwards."""
    from matplotlib.ticker import FuncFormatter, NullLocator

    quartiles = [q for c in curves for q in c.ratios]
    ax.set_xscale("log", base=2)
    ax.set_yscale("log", base=2)
    ax.set_ylim(0.9 * min(q.low for q in quartiles), 1.3 * max(q.high for q in quartiles))
    for axis in (ax.xaxis, ax.yaxis):
        axis.set_major_formatter(FuncFormatter(lambda v, _: f"{v:g}"))
        axis.set_minor_locator(NullLocator())


def _draw(ax: Any, curve: VerifyCurve) -> None:
    """One curve: medians with the band of its quartiles, and the two predictions."""
    tokens = np.array(curve.tokens)
    low, median, high = (
        np.array([getattr(q, what) for q in curve.ratios]) for what in ("low", "median", "high")
    )
    ax.fill_between(tokens, low, high, color="0.6", alpha=0.4, lw=0, label="quartiles")
    ax.plot(tokens, median, "o", color="black", ms=1.8, label="measured, median")
    if curve.fixed is not None and curve.roofline is not None:
        ax.plot(tokens, curve.fixed, "-", color=COLOURS[0], lw=1.2,
                label="$1 + (w(n) - w(1))\\,/\\,T(1)$, $w$: roofline")  # fmt: skip
        ax.plot(tokens, curve.roofline, ":", color=COLOURS[1], lw=1.2,
                label="roofline alone, $w(n)\\,/\\,w(1)$")  # fmt: skip


def _places(curves: Sequence[VerifyCurve]) -> list[tuple[int, int]]:
    """The usual place first, then those that differ from it the most: batches, then contexts."""
    count = Counter(c.place for c in curves for _ in c.tokens)
    first = max(count, key=lambda p: (count[p], -p[0], -p[1]))
    rest = sorted((p for p in count if p != first), key=lambda p: (-p[0], -p[1]))
    longest = [p for p in rest if p[0] == 1][:1]
    largest = [p for p in rest if p not in longest][: _PLACES - 1 - len(longest)]
    return [first, *longest, *largest]


def _spread(names: Sequence[str]) -> list[str]:
    """A few of the models, from the first to the last."""
    picked = np.unique(np.linspace(0, len(names) - 1, min(_MODELS, len(names))).round().astype(int))
    return [names[i] for i in picked]


def _rows(c: VerifyCurve) -> list[Row]:
    roofline, fixed = ("" if line is None else line for line in (c.roofline, c.fixed))
    return style.by_rows({
        "model": c.model.name, "parameters": c.model.parameters, "mode": c.mode,
        "batch": c.place[0], "context": c.place[1], "tokens": c.tokens,
        "ratio": [q.median for q in c.ratios], "low": [q.low for q in c.ratios],
        "high": [q.high for q in c.ratios], "roofline": roofline, "fixed_and_work": fixed,
    })  # fmt: skip
