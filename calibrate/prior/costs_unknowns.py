"""The unknowns of the cost prior: where each stands, its prior, and what it does to the times."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from ...theory.domain import Floats
from .costs_model import PARAMETERS, Parts, Peak, Work, joined, pass_parts, peak_times, work_of
from .costs_points import STACKS, CostPoint

# Of the common prior: median, and standard deviation of the logarithm of the common mean and of a
# stack around it. Shares of a peak are known within a factor; times of launches hardly at all.
COMMON = {
    "memory": (0.7, 0.15, 0.15),
    "compute": (0.4, 0.5, 0.6),
    "launch": (3e-5, 1.0, 1.2),
    "overhead": (5e-4, 1.0, 1.0),
    "switch": (0.03, 0.7, 0.8),
    "packing": (1.2, 0.15, 0.15),
    "unpack": (3.0, 0.5, 0.7),
    "reduce": (1e-5, 0.7, 0.0),
}
# Against kernels that were captured: launched one by one, or compiled into one program.
_LAUNCHED = {("eager", "launch"): float(np.log(10.0)), ("xla", "launch"): float(-np.log(3.0))}
_OF_STACK = tuple(name for name in PARAMETERS if COMMON[name][2] > 0.0)
_SHARED = tuple(name for name in PARAMETERS if COMMON[name][2] == 0.0)
# Deviations of a source; the work around a pass and the launches are of one processor.
_DEVIATIONS = {
    "memory": "memory", "compute": "compute", "launch": "launch", "overhead": "launch",
    "packing": "packing",
}  # fmt: skip


@dataclass(frozen=True)
class Spread:
    """Standard deviations of logarithms: of a source's memory share, compute share, launches and
    packing, and of a model's time in its source.
    """

    memory: float = 0.12
    compute: float = 0.5
    launch: float = 0.4
    packing: float = 0.2
    model: float = 0.08


@dataclass(frozen=True)
class Layout:
    """Where each unknown stands in the vector of unknowns."""

    common: dict[str, int]
    stack: dict[tuple[str, str], int]
    shared: dict[str, int]
    deviation: dict[tuple[str, str], int]
    model: dict[tuple[str, str], int]
    size: int


@dataclass(frozen=True)
class Passes:
    """All passes of the points: targets first, then the drafts of ratios."""

    work: Work
    peak: Peak
    columns: tuple[tuple[int, ...], ...]  # for each pass the unknowns behind each parameter
    factor: tuple[int, ...]  # for each pass the unknown of its model


def layout_of(points: Sequence[CostPoint]) -> Layout:
    names: list[tuple[str, ...]] = [("common", n) for n in _OF_STACK]
    names += [("stack", s, n) for s in STACKS for n in _OF_STACK]
    names += [("shared", n) for n in _SHARED]
    groups = sorted({p.group for p in points})
    kinds = sorted(set(_DEVIATIONS.values()))
    names += [("deviation", g, k) for g in groups for k in kinds]
    shapes = {(p.group, s.name) for p in points for s in (p.target, p.draft) if s}
    names += [("model", g, m) for g, m in sorted(shapes)]
    at = {name: index for index, name in enumerate(names)}
    return Layout(
        {n[1]: i for n, i in at.items() if n[0] == "common"},
        {(n[1], n[2]): i for n, i in at.items() if n[0] == "stack"},
        {n[1]: i for n, i in at.items() if n[0] == "shared"},
        {(n[1], n[2]): i for n, i in at.items() if n[0] == "deviation"},
        {(n[1], n[2]): i for n, i in at.items() if n[0] == "model"},
        len(names),
    )


def passes_of(points: Sequence[CostPoint], layout: Layout) -> Passes:
    runs = [(p, p.target, p.tokens) for p in points]
    runs += [(p, p.draft, 1.0) for p in points if p.draft is not None]
    works, columns, factor = [], [], []
    for p, shape, _ in runs:
        works.append(
            work_of(
                shape, p.device, dtype=p.dtype, kv_dtype="bf16", stack=p.stack, forward=p.forward
            )
        )
        columns.append(columns_of(p, layout))
        factor.append(layout.model[p.group, shape.name])
    work = joined(works)
    peak = peak_times(
        work,
        tokens=np.array([tokens for *_, tokens in runs]),
        batch=np.array([p.batch for p, *_ in runs]),
        cached=np.array([float(shape.read_tokens(p.context)) for p, shape, _ in runs]),
    )
    return Passes(work, peak, tuple(columns), tuple(factor))


def columns_of(p: CostPoint, layout: Layout) -> tuple[int, ...]:
    """Two unknowns for each parameter: of the stack (or shared), and of the source (or -1)."""
    found = []
    for name in PARAMETERS:
        own = layout.shared.get(name)
        found.append(layout.stack[p.stack, name] if own is None else own)
        kind = _DEVIATIONS.get(name)
        # A machine whose bandwidth was measured has no share of a peak to deviate in.
        found.append(-1 if kind is None else layout.deviation[p.group, kind])
    return tuple(found)


def priors_of(layout: Layout, spread: Spread) -> tuple[Floats, Floats, Floats]:
    """(matrix, mean, standard deviation): matrix @ unknowns is normal around mean."""
    rows, mean, sd = [], [], []

    def add(index: int, value: float, width: float, minus: int = -1) -> None:
        row = np.zeros(layout.size)
        row[index] = 1.0
        if minus >= 0:
            row[minus] = -1.0
        rows.append(row)
        mean.append(value)
        sd.append(width)

    for name, index in (layout.common | layout.shared).items():
        add(index, float(np.log(COMMON[name][0])), COMMON[name][1])
    for (stack, name), index in layout.stack.items():
        add(index, _LAUNCHED.get((stack, name), 0.0), COMMON[name][2], layout.common[name])
    for (_, kind), index in layout.deviation.items():
        add(index, 0.0, getattr(spread, kind))
    for index in layout.model.values():
        add(index, 0.0, spread.model)
    return np.array(rows), np.array(mean), np.array(sd)


def log_times(passes: Passes, unknowns: Floats) -> tuple[Parts, Floats]:
    """Parts of every pass, and the logarithm of its time with its model's factor."""
    padded = np.append(unknowns, 0.0)
    columns = np.array(passes.columns).reshape(len(passes.columns), len(PARAMETERS), 2)
    logs = padded[columns].sum(axis=-1)
    values = {name: np.exp(logs[:, k]) for k, name in enumerate(PARAMETERS)}
    parts = pass_parts(passes.work, values, passes.peak)
    return parts, np.log(parts.total) + unknowns[list(passes.factor)]


def slopes_of(passes: Passes, parts: Parts, size: int) -> Floats:
    """d ln T / d unknowns of every pass, (passes, size)."""
    total = parts.total
    by_name = {
        "memory": -(parts.memory + parts.switch) / total,
        "compute": -parts.compute / total,
        "launch": parts.launch / total,
        "overhead": parts.overhead / total,
        "switch": parts.switch / total,
        # Several tokens read packed weights more slowly too, in proportion.
        "packing": parts.packed * (1.0 + parts.switch / parts.memory) / total,
        "unpack": parts.compute * (passes.work.packed > 0.0) / total,
        "reduce": parts.reduce / total,
    }
    slopes = np.zeros((total.size, size + 1))
    rows = np.arange(total.size)
    columns = np.array(passes.columns).reshape(total.size, len(PARAMETERS), 2)
    for k, name in enumerate(PARAMETERS):
        for j in range(2):
            np.add.at(slopes, (rows, columns[:, k, j]), by_name[name])
    slopes = slopes[:, :-1]
    np.add.at(slopes, (rows, np.array(passes.factor)), 1.0)
    return slopes
