"""Which models of a cost record belong together: drafts of a target, and models of equal size."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from ..calibrate.library.load import load_table
from ..calibrate.library.schema import text
from .roofline import TimedModel
from .roofline_record import CostLimits, Quartiles

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
