"""The time of passes over several new tokens, beside what bytes and operations predict.

Two lines for every model, neither of them fitted: the roofline alone, w(n) / w(1) with w the larger
of memory and computing time; and 1 + (w(n) - w(1)) / T(1), where what the roofline does not explain
of the pass over one token, T(1), stays what it is.

Of a cost record, drafts of a target belong together, and models of equal size.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ..calibrate.library.load import load_table
from ..calibrate.tables.schema import text
from .roofline import TimedModel
from .roofline_record import CostLimits, Quartiles
from .roofline_table import LimitsTable
from .style import COLOURS, PAGE, figure, one_legend, save, styled, write_csv

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
    """V(n) / V(1), a column of panels a model from the largest to the smallest, a row a mode and
    place, all on the same axes; the CSV has every model. Nothing is drawn where no model was timed
    at three numbers of tokens.
    """
    curves = verify_curves(table.limits)
    if not curves:
        return []
    modes = [m for m in table.limits.modes if any(c.mode == m for c in curves)]
    rows = [(mode, place) for mode in modes for place in _places(curves)]
    chosen = _spread([m for m in table.limits.models if any(c.model.name == m for c in curves)])
    made, axes = figure(
        PAGE, 1.35 * len(rows) + 0.8, len(rows), len(chosen), sharex=True, sharey=True,
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
    one_legend(made, axes[:1, :1], "upper", columns=2)
    stem = f"{name}_verify"
    caption = (
        "Time of a pass over n new tokens over that of one token, a column a model, the largest "
        "first, and a row a batch and context: measured medians with quartiles, and two "
        "predictions, neither of them fitted. w(n) is the roofline's time of the pass: the larger "
        "of its bytes over the machine's copy rate and its operations over the machine's peak. "
        "Full line: 1 + (w(n) - w(1)) / T(1), all that the roofline does not explain of the "
        "measured time T(1) of one token staying what it is. Dotted: the roofline alone."
    )
    return [*save(made, out, stem, caption), write_csv(out, stem, _COLUMNS, _rows(curves))]


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


_COLUMNS = ("model", "parameters", "mode", "batch", "context", "tokens", "ratio", "low", "high",
            "roofline", "fixed_and_work")  # fmt: skip


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


def _rows(curves: Sequence[VerifyCurve]) -> list[tuple[Any, ...]]:
    out: list[tuple[Any, ...]] = []
    for c in curves:
        for i, (n, q) in enumerate(zip(c.tokens, c.ratios, strict=True)):
            lines = ["" if line is None else float(line[i]) for line in (c.roofline, c.fixed)]
            place = (c.model.name, c.model.parameters, c.mode, *c.place)
            out.append((*place, n, q.median, q.low, q.high, *lines))
    return out


_EQUAL = 1.1  # parameters of the largest over those of the smallest of a group
_DEPTHS = 3


@dataclass(frozen=True)
class Ladder:
    """A target and the drafts beside it, the largest first."""

    target: TimedModel
    drafts: tuple[TimedModel, ...]


def ladders_of(limits: CostLimits, family: Mapping[str, Any] | None = None) -> tuple[Ladder, ...]:
    """Targets with their drafts: by the roles of a family, else the paper's, else by name.

    By name: what stands before the first dash is the family, its largest model the target; models
    of equal size and different depth, made to be compared with each other, are no ladder.
    """
    models = limits.models
    if family is not None:
        roles = {m["name"]: m.get("role") for m in family["models"]}
        target = next((n for n in models if roles.get(n) == "target"), None)
        drafts = [m for n, m in models.items() if roles.get(n, "target") != "target"]
        return (Ladder(models[target], tuple(drafts)),) if target and drafts else ()
    wanted: dict[str, list[str]] = {}
    for row in load_table("paper_ladders").rows:
        wanted.setdefault(text(row, "target"), []).append(text(row, "draft"))
    placed = {m.name for group in depth_groups(limits) for m in group}
    found = {}
    for target, names in wanted.items():
        if target in models:
            found[target] = [n for n in models if n in names]
            placed |= {target, *found[target]}
    for name in models:  # the largest first, so that the first of a family is its target
        if name in placed:
            continue
        start = name.partition("-")[0]
        found[name] = [n for n in models if n not in placed and n != name
                       and n.partition("-")[0] == start]  # fmt: skip
        placed |= {name, *found[name]}
    return tuple(
        Ladder(models[t], tuple(models[n] for n in names)) for t, names in found.items() if names
    )


def depth_groups(limits: CostLimits) -> tuple[tuple[TimedModel, ...], ...]:
    """Models of one kind and equal size in at least three depths, the smallest models first.

    Each group is sorted by depth; of two models of one depth the first counts.
    """
    groups: list[tuple[TimedModel, ...]] = []
    left = sorted(limits.models.values(), key=lambda m: (m.kind, m.parameters, m.layers))
    while left:
        first = left[0]
        alike = [
            m for m in left if m.kind == first.kind and m.parameters <= _EQUAL * first.parameters
        ]
        left = [m for m in left if m not in alike]
        by_depth = {m.layers: m for m in reversed(alike)}
        if len(by_depth) >= _DEPTHS:
            groups.append(tuple(by_depth[n] for n in sorted(by_depth)))
    return tuple(sorted(groups, key=lambda g: g[0].parameters))


def reference(limits: CostLimits, family: Mapping[str, Any] | None = None) -> TimedModel:
    """The model whose pass others are measured by: the target, else the deepest of the largest."""
    ladders = ladders_of(limits, family) if family is not None else ()
    if ladders:
        return ladders[0].target
    largest = next(iter(limits.models.values()))
    alike = [m for m in limits.models.values() if m.parameters * _EQUAL >= largest.parameters]
    return max(alike, key=lambda m: m.layers)


@dataclass(frozen=True)
class Ratio:
    """Cost ratio of a draft, a pass of one token over that of the target, with quartiles.

    floor: the draft's least time over the target's measured time, None where it is not known.
    """

    draft: TimedModel
    mode: str
    place: tuple[int, int]
    cost: Quartiles
    floor: float | None


def cost_ratios(
    limits: CostLimits, target: TimedModel, drafts: tuple[TimedModel, ...]
) -> tuple[Ratio, ...]:
    """Every draft against the target wherever both were timed, one token, in the same mode.

    Quartiles are those of the draft's repeats over the median of the target's.
    """
    out = []
    for place in limits.places:
        beside = limits.at(target.name, place)
        for draft in drafts:
            row = limits.at(draft.name, place)
            if row is None or beside is None:
                continue
            for mode in row.times:
                if mode not in beside.times:
                    continue
                base = beside.times[mode].median
                cost = row.times[mode].over(base)
                floor = None if row.floor_s is None else row.floor_s / base
                out.append(Ratio(draft, mode, place, cost, floor))
    return tuple(out)
