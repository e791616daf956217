"""Costs of a pair on a machine that a cost record was made on."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np

from ...theory.domain import Floats
from ..models import Device, ModelShape
from ..records import Record
from .costs import PredictedCost, PredictedPass, predict_costs
from .costs_draws import draw_times
from .costs_model import work_of
from .costs_points import CostPoint
from .costs_records import measured_device, points_from_record
from .costs_stored import refit
from .pair import Load, NamedModel

_GROUP = "own record"
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
    return RecordedCost(law, tuple(seen), stack)


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
        cached = float(law.model.cached_tokens(p.context))
        usual = draw_times(
            work, law.values, np.ones(law.factor.shape), tokens=np.array([p.tokens]),
            batch=p.batch, cached=cached,
        )  # fmt: skip
        logs.append(np.log(p.value) - np.log(usual[:, 0]))
    noise = rng.normal(0.0, _REPEATS, law.factor.shape)
    work = replace(law.work, around=np.zeros(1)) if bare else law.work
    return replace(law, work=work, factor=np.exp(np.mean(logs, axis=0) + noise))
