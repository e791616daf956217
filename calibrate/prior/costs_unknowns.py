"""The unknowns of the cost prior: where each stands, its prior, and what it does to the times."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from ...theory.domain import Floats
from .costs_model import COMMON, DEVIATIONS, PARAMETERS, Peak, Work, pass_times, peak_times, work_of
from .costs_points import CostPoint, terms_of
from .costs_posterior import Spread, is_head
from .stacks import STACKS

# Against kernels that were captured: launched one by one, or compiled into one program.
_LAUNCHED = {("eager", "launch"): float(np.log(10.0)), ("xla", "launch"): float(-np.log(3.0))}
_STEP = 1e-5  # of a logarithm, for slopes
_OF_STACK = tuple(name for name in PARAMETERS if COMMON[name][2] > 0.0)
_SHARED = tuple(name for name in PARAMETERS if COMMON[name][2] == 0.0)


# Where each unknown stands in the vector of them: ("common", parameter), ("stack", stack,
# parameter), ("shared", parameter) where stacks do not differ, ("deviation", source, kind), and
# ("model", source, model).
Layout = dict[tuple[str, ...], int]


def joined(works: Sequence[Work]) -> Work:
    """Several works one after the other."""
    names = vars(works[0])
    return Work(**{n: np.concatenate([getattr(w, n) for w in works]) for n in names})


@dataclass(frozen=True)
class Passes:
    """All passes of the points, in the order of `terms_of` each.

    columns: for each pass the unknowns behind each parameter; factor: the unknown of its model;
    point, weight, below: of which point's number it is a part, how often, and whether of what the
    number is divided by; verifies, drafts: 1 where a round's work is around it, and where it is a
    draft's pass within a round.
    """

    work: Work
    peak: Peak
    columns: NDArray[np.int64]
    factor: NDArray[np.int64]
    point: NDArray[np.int64]
    weight: Floats
    below: NDArray[np.bool_]
    verifies: Floats
    drafts: Floats


def layout_of(points: Sequence[CostPoint]) -> Layout:
    """The unknowns of all stacks, and of the sources and models of these points."""
    names: list[tuple[str, ...]] = [("common", n) for n in _OF_STACK]
    names += [("stack", s, n) for s in STACKS for n in _OF_STACK]
    names += [("shared", n) for n in _SHARED]
    groups = sorted({p.group for p in points})
    kinds = sorted(set(DEVIATIONS.values()))
    names += [("deviation", g, k) for g in groups for k in kinds]
    shapes = {(p.group, s.name) for p in points for s in p.models}
    names += [("model", g, m) for g, m in sorted(shapes)]
    return {name: index for index, name in enumerate(names)}


def passes_of(points: Sequence[CostPoint], layout: Layout) -> Passes:
    """The work, peak times and unknowns of every pass behind the points."""
    terms = [(k, p, t) for k, p in enumerate(points) for t in terms_of(p)]
    works = [
        work_of(t.shape, p.device, dtype=t.dtype, kv_dtype="bf16", stack=p.stack, forward=p.forward)
        for _, p, t in terms
    ]
    work = joined(works)
    peak = peak_times(
        work,
        tokens=np.array([t.tokens for *_, t in terms]),
        batch=np.array([p.batch for _, p, _ in terms]),
        cached=np.array([float(t.shape.read_tokens(p.context)) for _, p, t in terms]),
    )
    columns = np.array([columns_of(p, layout) for _, p, _ in terms])
    return Passes(
        work,
        peak,
        columns.reshape(len(terms), len(PARAMETERS), 2),
        np.array([layout["model", p.group, t.shape.name] for _, p, t in terms]),
        np.array([k for k, *_ in terms]),
        np.array([t.times for *_, t in terms]),
        np.array([t.below for *_, t in terms]),
        np.array([float(t.kind == "verify") for *_, t in terms]),
        np.array([float(t.kind == "draft") for *_, t in terms]),
    )


def columns_of(p: CostPoint, layout: Layout) -> tuple[int, ...]:
    """Two unknowns for each parameter: of the stack (or shared), and of the source (or -1)."""
    found = []
    for name in PARAMETERS:
        kind = DEVIATIONS.get(name)
        # A machine whose bandwidth was measured has no share of a peak to deviate in.
        own = -1 if kind is None else layout["deviation", p.group, kind]
        found += [of_stack(layout, p.stack, name), own]
    return tuple(found)


def of_stack(layout: Layout, stack: str, name: str) -> int:
    """Where a parameter of a stack stands, or of all stacks where they do not differ in it."""
    return layout["shared", name] if name in _SHARED else layout["stack", stack, name]


def priors_of(layout: Layout, spread: Spread) -> tuple[Floats, Floats, Floats]:
    """(matrix, mean, standard deviation): matrix @ unknowns is normal around mean."""
    rows, mean, sd = [], [], []

    def add(index: int, value: float, width: float, minus: int = -1) -> None:
        row = np.zeros(len(layout))
        row[index] = 1.0
        if minus >= 0:
            row[minus] = -1.0
        rows.append(row)
        mean.append(value)
        sd.append(width)

    for unknown, index in layout.items():
        match unknown:
            case ("common" | "shared", name):
                add(index, float(np.log(COMMON[name][0])), COMMON[name][1])
            case ("stack", stack, name):
                usual = _LAUNCHED.get((stack, name), 0.0)
                add(index, usual, COMMON[name][2], layout["common", name])
            case ("deviation", _, kind):
                add(index, 0.0, getattr(spread, kind))
            case ("model", _, name):
                add(index, 0.0, spread.head if is_head(name) else spread.model)
    return np.array(rows), np.array(mean), np.array(sd)


def log_numbers(passes: Passes, unknowns: Floats) -> tuple[Floats, Floats]:
    """Logarithms of the points' numbers, (points,), and their slopes, (points, unknowns)."""
    logs = np.append(unknowns, 0.0)[passes.columns].sum(axis=-1)
    times = np.exp(_log_times(passes, logs) + unknowns[passes.factor]) * passes.weight
    slopes = _slopes(passes, logs, unknowns.size) * times[:, None]
    count = int(passes.point[-1]) + 1
    value, slope = np.zeros(count), np.zeros((count, unknowns.size))
    for below, sign in ((False, 1.0), (True, -1.0)):
        mine = passes.below == below
        total = np.bincount(passes.point[mine], times[mine], count)
        there = total > 0.0
        summed = np.zeros_like(slope)
        np.add.at(summed, passes.point[mine], slopes[mine])
        value[there] += sign * np.log(total[there])
        slope[there] += sign * summed[there] / total[there, None]
    return value, slope


def _log_times(passes: Passes, logs: Floats) -> Floats:
    """ln of the times of passes at logarithms of their parameters, (passes, parameters)."""
    values = {name: np.exp(logs[:, k]) for k, name in enumerate(PARAMETERS)}
    around = 1.0 + passes.verifies * values["round"] + passes.drafts * (values["drafting"] - 1.0)
    values["overhead"] = values["overhead"] * around
    return np.asarray(np.log(pass_times(passes.work, values, passes.peak)))


def _slopes(passes: Passes, logs: Floats, size: int) -> Floats:
    """d ln T / d unknowns of every pass, (passes, size), by differences in each parameter."""
    slopes = np.zeros((len(logs), size + 1))
    rows = np.arange(len(logs))
    for k, step in enumerate(_STEP * np.eye(len(PARAMETERS))):
        up, down = (_log_times(passes, logs + sign * step) for sign in (1.0, -1.0))
        for column in passes.columns[:, k].T:
            np.add.at(slopes, (rows, column), (up - down) / (2.0 * _STEP))
    slopes = slopes[:, :-1]
    np.add.at(slopes, (rows, passes.factor), 1.0)
    return slopes
