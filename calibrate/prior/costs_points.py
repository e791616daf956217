"""Step times that the cost prior is fitted to: published ones, and those of own cost records, by
which a machine that was measured teaches its stack.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, replace
from functools import cache
from math import log
from statistics import median
from typing import Any, Literal

import numpy as np

from ..files import bundled
from ..library.load import study_of
from ..models import Device, ModelShape, device, devices, find_model, model
from ..models.config import shape_of
from ..models.devices import find_device
from ..models.drafters import Passes
from ..records import Record
from ..tables.read import Table, parse_table
from ..tables.schema import Row, Rule, Schema, number, text

MODES = {"eager": "eager", "graph": "graphs", "graphs": "graphs", "cuda_graph": "graphs"}
_LEAST_ERROR = 0.02  # of a median of times on a machine that does other things too
_UNKNOWN_MEMORY = 1e15  # bytes; what was measured on the device did fit
_LONG_COPY = 2**26  # bytes; shorter copies stay in a cache

POINTS = Schema(
    "costs_points",
    key=("id",),
    rules=(
        Rule("draft", "must be given for a ratio, and only there",
             lambda row: bool(text(row, "draft")) == (text(row, "quantity") == "ratio")),
    ),
)  # fmt: skip


@dataclass(frozen=True)
class CostPoint:
    """One time of a pass or of a round, or one ratio of two.

    group: source and device whose deviations it shares; stack: kind of software; target, dtype:
    what ran; draft, draft_dtype: for a ratio or a round, else None; gamma: draft tokens of a round,
    0 where it is none; drafting: how often the draft runs in it; over_plain: the number is in plain
    steps; tokens, batch, context: of the pass; value: [s], or the ratio; error: relative standard
    error of the number; forward: without the engine's work; fitted: whether the prior may use it.
    """

    group: str
    stack: str
    device: Device
    target: ModelShape
    dtype: str
    value: float
    error: float
    draft: ModelShape | None = None
    draft_dtype: str = ""
    gamma: int = 0
    drafting: Passes = "serial"
    over_plain: bool = False
    tokens: float = 1.0
    batch: float = 1.0
    context: float = 0.0
    forward: bool = False
    fitted: bool = True
    label: str = ""
    study: str = ""

    @property
    def models(self) -> tuple[ModelShape, ...]:
        """The models whose passes are timed."""
        return tuple(dict.fromkeys(t.shape for t in terms_of(self)))


@dataclass(frozen=True)
class Term:
    """Passes of one model in a number: how many times, and whether the number is divided by them.

    kind: "step", by itself; "verify", with what a round adds; "draft", within a round.
    """

    shape: ModelShape
    dtype: str
    tokens: float
    kind: Literal["step", "verify", "draft"] = "step"
    times: float = 1.0
    below: bool = False


def terms_of(p: CostPoint) -> tuple[Term, ...]:
    """The passes that a point's number is made of."""
    if p.draft is None and not p.gamma:
        return (Term(p.target, p.dtype, p.tokens),)
    drafts = p.draft_dtype or p.dtype
    if not p.gamma:
        assert p.draft is not None
        return (Term(p.draft, drafts, 1.0), Term(p.target, p.dtype, p.tokens, below=True))
    found = [Term(p.target, p.dtype, p.gamma + 1.0, "verify")]
    if p.draft is not None and p.drafting == "serial":
        found.append(Term(p.draft, drafts, 1.0, "draft", float(p.gamma)))
    elif p.draft is not None and p.drafting == "block":
        found.append(Term(p.draft, drafts, float(p.gamma), "draft"))
    if p.over_plain:
        found.append(Term(p.target, p.dtype, 1.0, below=True))
    return tuple(found)


def points_table() -> Table:
    """The bundled rows, checked."""
    data = bundled(__package__, "costs_points.csv")
    return parse_table(data, "costs_points.csv", POINTS)


@cache
def bundled_points() -> tuple[CostPoint, ...]:
    """The bundled step times and ratios."""
    return tuple(_point(row) for row in points_table().rows)


def _point(row: Row) -> CostPoint:
    ratio = text(row, "quantity") == "ratio"
    return CostPoint(
        group=text(row, "group"),
        stack=text(row, "stack"),
        device=device(text(row, "device")),
        target=model(text(row, "model")).shape,
        dtype=text(row, "dtype"),
        value=number(row, "value"),
        error=number(row, "error"),
        draft=model(text(row, "draft")).shape if ratio else None,
        tokens=number(row, "tokens"),
        batch=number(row, "batch"),
        context=number(row, "context"),
        forward=text(row, "quantity") == "forward",
        fitted=text(row, "fitted") == "yes",
        label=text(row, "id"),
        study=study_of(text(row, "source")),
    )


def points_from_record(
    record: Record,
    *,
    group: str,
    on: Device | None = None,
    shapes: Mapping[str, ModelShape] | None = None,
) -> tuple[CostPoint, ...]:
    """The passes of a cost record as points of one source, the median of the times each.

    group: name of the source; on: the device, by default the one that the record names; its copy
    bandwidth, where the record has one, replaces the table's. shapes: by the record's names of
    models; others come from the record's own identities, or from the table of models. Where the
    record timed the drawing of a token, a point is a pass and a drawing, else a pass alone.
    Raises ValueError for another kind of record, an unknown model, or without passes.
    """
    if record.kind != "costs":
        raise ValueError(f"record must be of kind costs, got {record.kind}")
    machine = measured_device(record, on)
    drawing = _drawing(record)
    identities = record.provenance.get("models")
    known = dict(shapes or {})
    points = []
    for point in record.points:
        if point.get("operation") != "pass" or not point.get("times_s"):
            continue
        name = str(point["model"])
        if name not in known:
            own = identities.get(name) if isinstance(identities, Mapping) else None
            known[name] = recorded_shape(name, own)
        points.append(_recorded(point, known[name], machine, group, record, drawing))
    if not points:
        raise ValueError("record must hold at least one pass with times, got none")
    return tuple(points)


def measured_device(record: Record, on: Device | None = None) -> Device:
    """The device of a record, with the copy bandwidth that was measured on it.

    on: in place of the one that the record names. A device that the table does not know keeps its
    name, and its remarks say which device of the table stands for it; see `known_memory`.
    """
    rates = [
        float(size) / median(point["times_s"])  # bytes that it reads and writes
        for point in record.points
        if point.get("operation") == "copy_bandwidth" and point.get("times_s")
        for size in [point.get("bytes")]
        if isinstance(size, int | float) and size >= _LONG_COPY
    ]
    bandwidth = max(rates, default=None)
    found = on or _recorded_device(record, bandwidth)
    return found if bandwidth is None else found.measured(bandwidth=bandwidth)


def known_memory(machine: Device) -> bool:
    """Whether the table knows the device, and so how much it holds."""
    return machine.name in devices()


def _recorded_device(record: Record, bandwidth: float | None) -> Device:
    """The device that a record names: of the table, or with the rates of the nearest bandwidth."""
    named = str(record.provenance.get("device") or "the device of the record")
    own = record.provenance
    kind = "cpu" if own.get("cpu") == own.get("device") else "gpu"
    # Some processors are named with the graphics in them, which did not measure.
    bare = re.split(r"\bwith\b|\bw/", named)[0]
    for name in (named, bare) if kind == "cpu" else (named,):
        found = find_device(name)
        if found is not None and (kind == "gpu" or found.kind == "cpu"):
            return found
    likely = sorted((d for d in devices().values() if d.kind == kind), key=lambda d: d.bandwidth)
    if bandwidth is None:
        found, why = likely[len(likely) // 2], "the middle one of its kind by bandwidth"
    else:
        found = min(likely, key=lambda d: abs(log(d.bandwidth / bandwidth)))
        why = "the nearest in measured bandwidth"
    remark = f"{named} is not in the table: {found.name}, {why}, stands for what was not measured"
    return replace(found, name=named, memory=_UNKNOWN_MEMORY, remarks=(remark,))


def _drawing(record: Record) -> dict[tuple[Any, Any], float]:
    """Median time of drawing a token, by model and batch [s]; the slowest way of drawing."""
    found: dict[tuple[Any, Any], float] = {}
    for point in record.points:
        if point.get("operation") == "draw" and point.get("times_s"):
            key = (point.get("model"), point.get("batch"))
            found[key] = max(found.get(key, 0.0), median(point["times_s"]))
    return found


def recorded_shape(name: str, identity: Any) -> ModelShape:
    """The shape of a model by its identity in a record, else by its name in the table.

    identity: with the configuration as ``config``, or a configuration itself, as records of random
    weights keep it. Raises ValueError where neither knows it.
    """
    config = identity.get("config") if isinstance(identity, Mapping) else None
    if isinstance(identity, Mapping) and config is None and "vocab_size" in identity:
        config = identity
    if isinstance(config, Mapping):
        return shape_of(config, name=name)
    entry = find_model(name)
    if entry is None:
        raise ValueError(f"shapes must hold {name!r}: neither the record nor the table knows it")
    return entry.shape


def _recorded(
    point: Mapping[str, Any],
    shape: ModelShape,
    machine: Device,
    group: str,
    record: Record,
    drawing: Mapping[tuple[Any, Any], float],
) -> CostPoint:
    mode = str(point.get("mode", "")).casefold().replace("-", "_")
    if mode not in MODES:
        raise ValueError(f"mode must be one of {', '.join(MODES)}, got {point.get('mode')!r}")
    times = np.asarray(point["times_s"], dtype=np.float64)
    value = float(np.median(times))
    drawn = drawing.get((point["model"], point["batch"]))
    spread = float(np.median(np.abs(times - value))) / value if value > 0.0 else 1.0
    dtype = str(record.provenance.get("dtype") or record.settings.get("dtype") or shape.weights)
    return CostPoint(
        group=group,
        stack=MODES[mode],
        device=machine,
        target=shape,
        dtype=dtype.removeprefix("torch."),
        value=value + (drawn or 0.0),
        error=max(_LEAST_ERROR, spread / np.sqrt(times.size)),
        tokens=float(point["tokens"]),
        batch=float(point["batch"]),
        context=float(point["context"]),
        forward=drawn is None,
    )
