"""Cost ratios of the drafts of a record: against their size, and against depth at equal size.

Drafts of a target belong together, and models of equal size.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from ..calibrate.library.load import load_table
from ..calibrate.tables.schema import text
from .roofline import TimedModel
from .roofline_limits import CostLimits
from .roofline_passes import LOOK
from .roofline_record import Quartiles
from .style import COLUMN, PAGE, Row, figure, one_legend, panels, save, sized, styled

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


@styled
def ratio_by_size(
    limits: CostLimits, out: Path, *, name: str, family: Mapping[str, Any] | None = None
) -> list[Path]:
    """c of every draft against its parameters, a panel a target: measured, at its floor, and
    in proportion to parameters. Nothing is drawn where no draft has its target beside it.
    """
    place = limits.places[0] if limits.places else (1, 0)
    found: list[tuple[TimedModel, list[Ratio]]] = []
    rows: list[Row] = []
    for ladder in ladders_of(limits, family):
        ratios = cost_ratios(limits, ladder.target, ladder.drafts)
        rows += _ratio_rows(ladder.target, ratios)
        here = [r for r in ratios if r.place == place]
        if here:
            found.append((ladder.target, here))
    if not found:
        return []
    one = len(found) == 1
    width, height = (COLUMN, 2.4) if one else (PAGE, 1.9)
    made, axes = panels(
        len(found), most=3, width=width, height=height, margin=0.7, sharex=True, sharey=True
    )
    for ax, (target, ratios_here) in zip(axes.flat, found, strict=False):
        draw_ratios(ax, ratios_here, lambda m: float(m.parameters), line="")
        sizes = np.array(sorted(r.draft.parameters for r in ratios_here), dtype=float)
        ax.plot(sizes, sizes / target.parameters, ":", color="0.5", label="draft / target size")
        ax.set_xscale("log")
        ax.set_yscale("log")
        _name_depths(ax, ratios_here)
        ax.set_title(f"drafts of {target.name}, batch {place[0]}, context {place[1]}")
    for ax in axes.flat[: len(found)][-axes.shape[1] :]:
        ax.set_xlabel("parameters of the draft")
    for ax in axes[:, 0]:
        ax.set_ylabel("draft pass / target pass, $c$")
    one_legend(made, axes, "lower", columns=2 if one else 3)
    caption = (
        "Cost ratio of a draft against its parameters: small drafts cost far more than their "
        "share of the parameters (dotted) or of the bytes (dashed). A pass over one token timed "
        f"by itself, draft over target, batch {place[0]}, context {place[1]}; medians with "
        "quartiles. Drafts of equal size are told apart by their layers."
    )
    return save(made, out, f"{name}_size", caption, rows)


def _name_depths(ax: Any, ratios: Sequence[Ratio]) -> None:
    """Layers beside the drafts whose parameters are within a tenth of another's."""
    drafts = {r.draft.name: r for r in ratios}.values()
    for r in drafts:
        alike = [
            o for o in drafts
            if o is not r and abs(np.log(o.draft.parameters / r.draft.parameters)) < 0.1
        ]  # fmt: skip
        if alike:
            ax.annotate(
                f"{r.draft.layers} layer{'s' if r.draft.layers > 1 else ''}",
                (r.draft.parameters, r.cost.median), xytext=(-4, 0), textcoords="offset points",
                ha="right", va="center", fontsize="x-small",
            )  # fmt: skip


def draw_ratios(
    ax: Any, ratios: Sequence[Ratio], x: Callable[[TimedModel], float], *, line: str
) -> None:
    """Measured ratios with quartiles, mode by mode, and the drafts' floors as a dashed line."""
    modes = [m for m in LOOK if any(r.mode == m for r in ratios)]
    for mode in modes:
        some = sorted((r for r in ratios if r.mode == mode), key=lambda r: x(r.draft))
        colour, marker = LOOK[mode]
        c = np.array([[r.cost.low, r.cost.median, r.cost.high] for r in some])
        ax.errorbar(
            [x(r.draft) for r in some], c[:, 1], yerr=[c[:, 1] - c[:, 0], c[:, 2] - c[:, 1]],
            fmt=f"{marker}{line}", color=colour, lw=0.8, label=f"{mode}, quartiles",
        )  # fmt: skip
        floors = [(x(r.draft), r.floor) for r in some if r.floor is not None]
        if floors:
            ax.plot(*zip(*floors, strict=True), "--", marker="_", color=colour, lw=1.0,
                    label=f"draft at its floor, {mode} target")  # fmt: skip


@styled
def ratio_by_depth(
    limits: CostLimits, out: Path, *, name: str, family: Mapping[str, Any] | None = None
) -> list[Path]:
    """c against layers at equal parameters, a panel a size. Nothing without such models."""
    target = reference(limits, family)
    place = limits.places[0] if limits.places else (1, 0)
    rows: list[Row] = []
    panels: list[tuple[tuple[TimedModel, ...], list[Ratio]]] = []
    for group in depth_groups(limits):
        ratios = cost_ratios(limits, target, group)
        rows += _ratio_rows(target, ratios)
        here = [r for r in ratios if r.place == place]
        if here:
            panels.append((group, here))
    if not panels:
        return []
    one = len(panels) == 1
    width, height = (COLUMN, 3.0) if one else (PAGE, 2.9)
    made, axes = figure(width, height, 1, len(panels), sharey=True, squeeze=False)
    for ax, (group, ratios_here) in zip(axes.flat, panels, strict=True):
        draw_ratios(ax, ratios_here, lambda m: float(m.layers), line="-")
        layers = [m.layers for m in group]
        ax.set_xscale("log", base=2)
        ax.set_xticks(layers, [str(n) for n in layers])
        ax.minorticks_off()
        ax.set_yscale("log")
        middle = float(np.median([m.parameters for m in group]))
        ax.set_title(f"{sized(middle, 2)} parameters")
        ax.set_xlabel("layers")
    made.suptitle(f"against {target.name}, batch {place[0]}, context {place[1]}")
    axes[0, 0].set_ylabel("draft pass / target pass, $c$")
    one_legend(made, axes, "lower", columns=2 if one else 3)
    caption = (
        "Cost ratio of drafts of equal parameters against their layers: depth sets the time of a "
        "pass, which the bytes (dashed) do not. A pass over one token timed by itself, draft over "
        f"{target.name}, batch {place[0]}, context {place[1]}; medians with quartiles."
    )
    return save(made, out, f"{name}_depth", caption, rows)


def _ratio_rows(target: TimedModel, ratios: Sequence[Ratio]) -> list[Row]:
    return [
        {
            "target": target.name, "draft": r.draft.name, "parameters": r.draft.parameters,
            "layers": r.draft.layers, "batch": r.place[0], "context": r.place[1], "mode": r.mode,
            "cost_ratio": r.cost.median, "low": r.cost.low, "high": r.cost.high,
            "floor": "" if r.floor is None else r.floor,
        }
        for r in ratios
    ]  # fmt: skip
