"""A cost record drawn, in the figures and tables that its models allow.

Passes beside their floor, c against size, and c against depth.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from functools import lru_cache
from pathlib import Path
from typing import Any, Protocol

import numpy as np

from ..calibrate.library.own import OwnCosts
from .paper_costs import PaperCostRow, has_paper_pairs, paper_cost_rows, paper_cost_table
from .roofline import TimedModel
from .roofline_bounds import LAUNCHES
from .roofline_table import LimitsTable, limits_table, write_limits
from .roofline_verify import Ratio, cost_ratios, depth_groups, ladders_of, reference, verify_figure
from .study import GridStudy
from .style import COLOURS, COLUMN, PAGE, figure, one_legend, panels, save, styled, write_csv
from .transfer import transfer_laws

# (colour, marker) of a mode; the floor is black.
LOOK = {"eager": (COLOURS[1], "o"), "graph": (COLOURS[0], "s")}
_RATIO_COLUMNS = (
    "target", "draft", "parameters", "layers", "batch", "context", "mode", "cost_ratio", "low",
    "high", "floor",
)  # fmt: skip


@styled
def passes_and_floor(table: LimitsTable, out: Path, *, name: str) -> list[Path]:
    """Time of every pass of one token against the bytes that it must move, and the copy's line.

    Filled where launches take most of the time. Nothing is drawn where no floor is known.
    """
    rows = [r for r in table.rows(tokens=1) if r.moved is not None]
    machine = table.limits.machine
    if machine.bandwidth is None or not rows:
        return []
    made, ax = figure(COLUMN, 3.0)
    for mode in table.limits.modes:
        colour, marker = LOOK[mode]
        for launched in (True, False):
            some = [
                r for r in rows
                if (b := table.bound(r, mode)) is not None and (b.what == LAUNCHES) == launched
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
    _floor_line(ax, (float(moved.min()), float(moved.max())), table)
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
    return [*save(made, out, stem, caption), *write_limits(table, out, stem)]


def _floor_line(ax: Any, ends: tuple[float, float], table: LimitsTable) -> None:
    """Bytes over the copy's bandwidth; dashed, and no floor, where they may fit into a cache."""
    machine = table.limits.machine
    assert machine.bandwidth is not None
    turn = machine.cache if machine.cache is not None else machine.copied or 0.0
    rate = machine.bandwidth.median
    for low, high, style, label in (
        (ends[0], min(turn, ends[1]), "--", "bytes at copy rate, if not cached"),
        (max(turn, ends[0]), ends[1], "-", "bytes at copy rate: floor"),
    ):
        if low < high:
            x = np.array([low, high])
            ax.plot(x / 1e6, 1e3 * x / rate, style, color="black", lw=1.0, label=label)


@styled
def ratio_by_size(
    table: LimitsTable, out: Path, *, name: str, family: Mapping[str, Any] | None = None
) -> list[Path]:
    """c of every draft against its parameters, a panel a target: measured, at its floor, and
    in proportion to parameters. Nothing is drawn where no draft has its target beside it.
    """
    place = table.limits.places[0] if table.limits.places else (1, 0)
    found: list[tuple[TimedModel, list[Ratio]]] = []
    rows: list[tuple[Any, ...]] = []
    for ladder in ladders_of(table.limits, family):
        ratios = cost_ratios(table.limits, ladder.target, ladder.drafts)
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
    stem = f"{name}_size"
    caption = (
        "Cost ratio of a draft against its parameters: small drafts cost far more than their "
        "share of the parameters (dotted) or of the bytes (dashed). A pass over one token timed "
        f"by itself, draft over target, batch {place[0]}, context {place[1]}; medians with "
        "quartiles. Drafts of equal size are told apart by their layers."
    )
    return [*save(made, out, stem, caption), write_csv(out, stem, _RATIO_COLUMNS, rows)]


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
    table: LimitsTable, out: Path, *, name: str, family: Mapping[str, Any] | None = None
) -> list[Path]:
    """c against layers at equal parameters, a panel a size. Nothing without such models."""
    limits = table.limits
    target = reference(limits, family)
    place = limits.places[0] if limits.places else (1, 0)
    rows: list[tuple[Any, ...]] = []
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
        ax.set_title(f"{_size(group)} parameters")
        ax.set_xlabel("layers")
    made.suptitle(f"against {target.name}, batch {place[0]}, context {place[1]}")
    axes[0, 0].set_ylabel("draft pass / target pass, $c$")
    one_legend(made, axes, "lower", columns=2 if one else 3)
    stem = f"{name}_depth"
    caption = (
        "Cost ratio of drafts of equal parameters against their layers: depth sets the time of a "
        "pass, which the bytes (dashed) do not. A pass over one token timed by itself, draft over "
        f"{target.name}, batch {place[0]}, context {place[1]}; medians with quartiles."
    )
    return [*save(made, out, stem, caption), write_csv(out, stem, _RATIO_COLUMNS, rows)]


def _size(group: Sequence[TimedModel]) -> str:
    middle = float(np.median([m.parameters for m in group]))
    return f"{middle / 1e9:.2g} B" if middle >= 1e9 else f"{middle / 1e6:.2g} M"


def _ratio_rows(target: TimedModel, ratios: Sequence[Ratio]) -> list[tuple[Any, ...]]:
    return [
        (
            target.name, r.draft.name, r.draft.parameters, r.draft.layers, *r.place, r.mode,
            r.cost.median, r.cost.low, r.cost.high, "" if r.floor is None else r.floor,
        )
        for r in ratios
    ]  # fmt: skip


class HasStudy(Protocol):
    """What the paper's table needs: the study of the paper's grid, for its acceptance."""

    seed: int

    @property
    def study(self) -> GridStudy: ...


Part = Callable[[Path, HasStudy], list[Path]]


def cost_parts(costs: OwnCosts) -> dict[str, Part]:
    """The figures of a record by name: passes beside their floor, c against size and depth,
    V(n) / V(1), and the paper's table where the record has its models.
    """
    stem, family = costs.stem, costs.family

    @lru_cache(maxsize=1)
    def table() -> LimitsTable:
        return limits_table(costs.record, family)

    found: dict[str, Part] = {
        f"{stem}_floor": lambda out, _: passes_and_floor(table(), out, name=stem),
        f"{stem}_size": lambda out, _: ratio_by_size(table(), out, name=stem, family=family),
        f"{stem}_depth": lambda out, _: ratio_by_depth(table(), out, name=stem, family=family),
        f"{stem}_verify": lambda out, _: verify_figure(table(), out, name=stem),
    }
    if has_paper_pairs(costs.record):
        found[f"{stem}_paper"] = lambda out, studies: paper_cost_table(
            paper_rows(costs, studies.study, seed=studies.seed), out, name=stem
        )
    return found


def paper_rows(costs: OwnCosts, study: GridStudy, *, seed: int = 0) -> tuple[PaperCostRow, ...]:
    """The paper's main table at the costs of a record; () where it has none of its pairs."""
    if not has_paper_pairs(costs.record):
        return ()
    laws = transfer_laws(study, np.random.default_rng([seed, 101]))
    return paper_cost_rows(costs.record, laws, seed=seed)
