"""Costs of a pair on a machine that a cost record was made on: its own rounds, or a scaled law."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from ...theory.domain import Floats
from ..measured import SampledCost, measured_cost, sampled, timed_rounds
from ..models import Device, ModelShape
from ..named import NamedModel
from ..pair import Load
from ..records import Record
from .costs import PredictedCost, PredictedPass, predict_costs
from .costs_fit import refit
from .costs_model import draw_times, work_of
from .costs_points import (
    MODES,
    CostPoint,
    known_memory,
    measured_device,
    points_from_record,
    recorded_shape,
)

_GROUP = "own record"
_SAME_SIZE = 0.005  # of parameters: counts differ by norms and padding
_REPEATS = 0.02  # of a median, from one run of a program to the next


@dataclass(frozen=True)
class RecordedCost:
    """law: costs of the pair, parameters of shape (draws,); measured: names of the models whose own
    passes the record holds; stack: of the record.
    """

    law: PredictedCost
    measured: tuple[str, ...]
    stack: str


def recorded_costs(
    record: Record,
    target: NamedModel,
    draft: NamedModel,
    *,
    load: Load,
    rng: np.random.Generator,
    draws: int = 2000,
    on: Device | None = None,
) -> RecordedCost:
    """The cost law of a pair with what a record of kind "costs" says of the machine.

    The stack's law is fitted again with the record as a source of its own; a model whose passes the
    record holds is scaled to them, at the batch and context nearest to those asked for; where the
    record timed no drawing of tokens, a step is the pass alone. on: the
    device, by default the one that the record names. Raises ValueError for another kind of record.
    """
    machine = measured_device(record, on)
    points = points_from_record(record, group=_GROUP, on=machine)
    stacks = sorted({p.stack for p in points})
    stack = load.stack if load.stack in stacks else stacks[0]
    mine = [p for p in points if p.stack == stack]
    law = predict_costs(
        target.shape, draft.shape, machine, rng=rng, draws=draws,
        posterior=refit(mine, group=_GROUP), dtype=load.dtype or target.dtype_stated,
        draft_dtype=load.draft_dtype or draft.dtype_stated, kv_dtype=load.kv_dtype, stack=stack,
        batch=load.batch, context=load.context,
    )  # fmt: skip
    seen = []
    for role, asked in (("target", target), ("draft", draft)):
        own = [p for p in mine if _same(p.target, asked.shape)]
        if own:
            passes = getattr(law, role)
            scaled = _scaled(passes, _nearest(own, load), machine, rng, kv_dtype=load.kv_dtype)
            law = replace(law, target=scaled) if role == "target" else replace(law, draft=scaled)
            seen.append(asked.called)
    if not known_memory(machine):
        law = replace(law, memory=None)
    return RecordedCost(law, tuple(seen), stack)


@dataclass(frozen=True)
class TimedCost:
    """law: of a pair whose own rounds a record holds, parameters of shape (draws,); stack: of the
    record; gamma_max: the most draft tokens that its passes cover; notes: what to know.
    """

    law: SampledCost
    stack: str
    gamma_max: int
    notes: tuple[str, ...]


def timed_costs(
    record: Record,
    target: NamedModel,
    draft: NamedModel,
    *,
    load: Load,
    rng: np.random.Generator,
    temperature: float = 1.0,
    draws: int = 2000,
) -> TimedCost | None:
    """The cost law of a pair whose rounds a record of kind "costs" timed, else None.

    Nothing of it is predicted: passes, draws, the rule and whole rounds are those of the record, at
    the batch asked for. None where the record lacks one of the models or the batch.
    """
    names = [_name_in(record, model) for model in (target, draft)]
    modes = {
        MODES[str(p["mode"])]: str(p["mode"])
        for p in record.points
        if p["operation"] == "round" and str(p["mode"]) in MODES
    }
    if None in names or not modes or load.batch != int(load.batch):
        return None
    stack = load.stack if load.stack in modes else min(modes)
    how: dict[str, Any] = {"mode": modes[stack], "batch": int(load.batch)}
    own, other = str(names[0]), str(names[1])
    if timed_rounds(record, own, other, **how) is None:
        return None
    law = measured_cost(record, own, other, whole=np.zeros(1), temperature=temperature, **how)
    found = sampled(law, rng, draws=draws)
    notes: tuple[str, ...] = ()
    if found.within(load.context) != load.context:
        low, high = found.contexts
        notes = (
            f"timed at contexts {low:g} to {high:g} tokens: {load.context:g} is taken as "
            f"{found.within(load.context):g}",
        )
    widest = float(np.max(np.asarray(law.target.tokens)))
    return TimedCost(found, stack, int(widest) - 1, notes)


def _name_in(record: Record, asked: NamedModel) -> str | None:
    """What the record calls the model, or None."""
    identities = record.provenance.get("models")
    for name in dict.fromkeys(str(p["model"]) for p in record.points if p["operation"] == "pass"):
        identity = identities.get(name) if isinstance(identities, Mapping) else None
        try:
            found = _same(recorded_shape(name, identity), asked.shape)
        except ValueError:
            found = isinstance(identity, Mapping) and _alike(identity, asked)
        if found:
            return name
    return None


def _alike(identity: Mapping[str, Any], asked: NamedModel) -> bool:
    """Whether a model whose shape a record does not keep has the name and size of the one asked."""
    shape = asked.shape
    known = (identity.get("name"), identity.get("layers"))
    parameters = identity.get("parameters")
    return (
        known == (shape.name, shape.layers)
        and isinstance(parameters, int)
        and abs(parameters / float(shape.parameters()) - 1.0) < _SAME_SIZE
    )


def _same(one: ModelShape, other: ModelShape) -> bool:
    """Whether two shapes are one, whatever they are called."""
    numbers = ("layers", "hidden", "heads", "kv_heads", "ffn", "vocab", "experts")
    return all(getattr(one, n) == getattr(other, n) for n in numbers)


def _nearest(points: Sequence[CostPoint], load: Load) -> list[CostPoint]:
    """The points at the batch nearest to the one asked for, and there at the nearest context."""
    for name, wanted in (("batch", load.batch), ("context", load.context)):
        distance = [abs(np.log1p(getattr(p, name)) - np.log1p(wanted)) for p in points]
        points = [p for p, d in zip(points, distance, strict=True) if d <= min(distance) + 1e-9]
    return list(points)


def _scaled(
    law: PredictedPass,
    points: Sequence[CostPoint],
    machine: Device,
    rng: np.random.Generator,
    *,
    kv_dtype: str,
) -> PredictedPass:
    """The law with its own deviation put where it meets the medians of the points on average."""
    logs: list[Floats] = []
    bare = all(p.forward for p in points)  # nothing but the pass was timed: a step is the pass
    for p in points:
        work = work_of(
            law.model, machine, dtype=p.dtype, kv_dtype=kv_dtype, stack=law.stack, forward=p.forward
        )
        cached = float(law.model.read_tokens(p.context))
        usual = draw_times(
            work, law.values, np.ones(law.factor.shape), tokens=np.array([p.tokens]),
            batch=p.batch, cached=cached,
        )  # fmt: skip
        logs.append(np.log(p.value) - np.log(usual[:, 0]))
    noise = rng.normal(0.0, _REPEATS, law.factor.shape)
    work = replace(law.work, around=np.zeros(1)) if bare else law.work
    return replace(law, work=work, factor=np.exp(np.mean(logs, axis=0) + noise))
