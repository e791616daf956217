"""What a round costs for a pair that nobody has timed, on a device by its name.

The law is a roofline with launches (see `costs_model`), its shares of the peak rates drawn from
what published step times and own records say of the stack of software. One draw is one source of
that stack: target and draft share its deviations, so the cost ratio is better known than either
time. Stacks are never mixed.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np
from numpy.typing import ArrayLike

from ...theory.costs import SequentialDraftCost
from ...theory.costs.law import ParallelDraftCost, drafted, operating_point, token_grid
from ...theory.domain import Floats, check
from ..known import MemoryUse
from ..models import Device, ModelShape, number_format
from ..models.drafters import Passes
from ..named import NamedModel, draft_formats, same_vocabulary
from ..pair import Load
from .costs_model import Work, draw_times, work_of
from .costs_posterior import (
    StackPosterior,
    Values,
    draw_factor,
    draw_values,
    stacks_without,
)
from .stacks import stack_name

_KEPT = 32


@dataclass(frozen=True)
class PredictedPass:
    """A pass law with one draw of the stack's parameters for each entry of ``factor``.

    model, stack: what is timed; work: what a pass has to do; values: draws of the parameters;
    factor: draws of the model's own deviation, (draws,).
    """

    model: ModelShape
    stack: str
    work: Work
    values: Mapping[str, Floats]
    factor: Floats
    _seen: dict[tuple[bytes, float, float], Floats] = field(
        default_factory=dict, init=False, repr=False, compare=False
    )

    @property
    def shape(self) -> tuple[int, ...]:
        return self.factor.shape

    def step_time(self, tokens: ArrayLike, *, batch: float = 1, context: float = 0) -> Floats:
        rows, ctx = operating_point(batch, context)
        grid = token_grid(tokens)
        key = (grid.tobytes(), rows, ctx)
        if key not in self._seen:
            cached = float(self.model.read_tokens(ctx))
            times = draw_times(
                self.work, self.values, self.factor, tokens=grid, batch=rows, cached=cached
            )
            times.setflags(write=False)
            if len(self._seen) >= _KEPT:  # one target is asked for every draft of a ranking
                self._seen.clear()
            self._seen[key] = times
        return self._seen[key]


@dataclass(frozen=True)
class PredictedCost(SequentialDraftCost):
    """Cost law of a pair that was not timed; parameters of shape (draws,), times in seconds.

    drafting: how often the draft runs in a round: "serial", once a token; "block", once for all
    tokens; "none", never. stack: kind of software, and of no other; device, dtype, draft_dtype:
    what was asked for; sources: how many the stack has been seen in; memory: whether it fits;
    notes: what to know.
    """

    stack: str = ""
    drafting: Passes = "serial"
    device: str = ""
    dtype: str = ""
    draft_dtype: str = ""
    sources: int = 0
    memory: MemoryUse | None = None
    notes: tuple[str, ...] = ()

    def round_time(self, gamma: int, *, batch: float = 1, context: float = 0) -> Floats:
        """Times of rounds of 0..gamma draft tokens, (draws, gamma + 1) [s]."""
        if self.drafting == "serial":
            return super().round_time(gamma, batch=batch, context=context)
        if self.drafting == "block":
            law = ParallelDraftCost(self.target, self.draft, self.overhead)
            return law.round_time(gamma, batch=batch, context=context)
        g = drafted(gamma)
        verify = self.target.step_time(g + 1.0, batch=batch, context=context)
        extra = np.asarray(self.overhead, dtype=np.float64)[..., None] * (g > 0.0)
        return np.asarray(np.broadcast_to(verify + extra, (*self.shape, g.size)))

    def plain_step(self, *, batch: float = 1, context: float = 0) -> Floats:
        """Time of a plain step, (draws,) [s]."""
        return self.target.step_time(np.ones(1), batch=batch, context=context)[..., 0]

    def cost_ratio(self, *, batch: float = 1, context: float = 0) -> Floats:
        """Time of a draft pass over that of a plain step, (draws,); 0 where there is none."""
        if self.drafting == "none":
            return np.zeros(self.shape)
        draft = self.draft.step_time(np.ones(1), batch=batch, context=context)[..., 0]
        return np.asarray(draft / self.plain_step(batch=batch, context=context))


def predict_costs(
    target: ModelShape,
    draft: ModelShape,
    device: Device,
    *,
    rng: np.random.Generator,
    draws: int = 2000,
    posterior: StackPosterior | None = None,
    **load: Any,
) -> PredictedCost:
    """Cost law of a pair that was not timed, with ``draws`` draws of its parameters.

    posterior: of a source that was measured (see `costs_fit.refit`), in place of the stack's;
    load: the other fields of `Load` (dtype, draft_dtype, kv_dtype, batch, context, stack).
    Raises ValueError for an unknown stack or format, for one that the device does not compute in,
    and for numbers outside the ranges.
    """
    asked = Load(device, **load)
    return predict_pairs(target, (draft,), asked, rng=rng, draws=draws, posterior=posterior)[0]


def expected_costs(
    target: NamedModel,
    drafts: Sequence[NamedModel],
    *,
    load: Load,
    rng: np.random.Generator,
    draws: int = 2000,
) -> tuple[PredictedCost, ...]:
    """Cost laws of a target's drafts on one machine, one a draft, of shape (draws,)."""
    return predict_pairs(
        target.shape, [d.shape for d in drafts],
        replace(load, dtype=load.dtype or target.dtype_stated), rng=rng, draws=draws,
        draft_dtypes=draft_formats(drafts, load.draft_dtype),
    )  # fmt: skip


def predict_pairs(
    target: ModelShape,
    drafts: Sequence[ModelShape],
    load: Load,
    *,
    rng: np.random.Generator,
    draws: int = 2000,
    posterior: StackPosterior | None = None,
    draft_dtypes: Sequence[str] = (),
) -> tuple[PredictedCost, ...]:
    """Cost laws of one target with several drafts on one machine, one law a draft.

    All laws share the draws of the machine and of the target, so that drafts can be compared draw
    by draw. draft_dtypes: number formats, one a draft, "" for the usual one. Other arguments and
    errors as for `predict_costs`.
    """
    if isinstance(draws, bool) or not 1 <= draws <= 10**7:
        raise ValueError(f"draws must be a whole number in [1, 1e7], got {draws!r}")
    device = load.device
    known = posterior or stacks_without(load.unseen)[stack_name(load.stack)]
    form = number_format(load.dtype or usual_dtype(target, device)).name
    stated = draft_dtypes or [""] * len(drafts)
    forms = [number_format(own or load.draft_dtype or form, "draft_dtype").name for own in stated]
    changed: tuple[str, ...] = ()
    if not load.dtype and form != target.weights:
        changed = (f"weights of {target.name} taken as {form}, released as {target.weights}",)
    operating_point(load.batch, load.context)
    values = draw_values(known, rng, draws=draws, device=device)

    def timed(shape: ModelShape, dtype: str, drawn: Values) -> PredictedPass:
        """The pass law of a model on this machine; its own deviation is drawn here."""
        work = work_of(shape, device, dtype=dtype, kv_dtype=load.kv_dtype, stack=known.stack)
        factor = draw_factor(known, shape, rng, draws=draws)
        return PredictedPass(shape, known.stack, work, drawn, factor)

    own = timed(target, form, values)
    inside = {**values, "overhead": values["overhead"] * values["drafting"]}
    laws = []
    for draft, draft_form in zip(drafts, forms, strict=True):
        need = MemoryUse.of(
            target, draft, device, dtype=form, draft_dtype=draft_form, kv_dtype=load.kv_dtype,
            batch=load.batch, context=load.context,
        )  # fmt: skip
        notes = _notes_on(target, draft, need, known, load.context)
        law = PredictedCost(
            target=own,
            draft=timed(draft, draft_form, inside),
            overhead=values["overhead"] * values["round"],
            stack=known.stack,
            device=device.label,
            dtype=form,
            draft_dtype=draft_form,
            sources=known.sources,
            memory=need,
            notes=(*changed, *notes, *device.remarks),
        )
        laws.append(law)
    return tuple(laws)


def usual_dtype(shape: ModelShape, device: Device) -> str:
    """The number format in which a model is usually run on a device, where nobody says.

    That of its release; 16 bits for a release in 32 on an accelerator; the other 16-bit format, or
    8 bits that are unpacked, where the device does not compute in that of the release. A device
    without 16-bit arithmetic converts fp16.
    """
    released = number_format(shape.weights).name
    if device.kind == "cpu":
        return released
    others = {"fp32": ("bf16", "fp16"), "bf16": ("bf16", "fp16"), "fp16": ("fp16", "bf16")}
    for form in others.get(released, ()):
        if form in device.rates:
            return form
    if released in others:
        return "fp16"
    return device.runs(released)


def _notes_on(
    target: ModelShape,
    draft: ModelShape,
    need: MemoryUse,
    posterior: StackPosterior,
    context: float,
) -> tuple[str, ...]:
    check("context", context)
    notes = []
    if not need.fits:
        notes.append(need.line)
    if not same_vocabulary(target, draft):
        notes.append(f"vocabularies differ: {draft.vocab} rows against {target.vocab}")
    shortest = min((target, draft), key=lambda m: m.context)
    if 1 < shortest.context < context:
        notes.append(
            f"context {context:g} is beyond the {shortest.context} tokens of {shortest.name}"
        )
    if target.recurrent_layers:
        size = target.state_bytes() / 1e6
        notes.append(
            f"{target.name} keeps a state of {size:.3g} MB a sequence that cannot be cut back: an "
            "engine keeps a copy for every draft token, or restores it after a rejection"
        )
    if 1 < posterior.sources < 3:  # 1: the machine's own posterior
        notes.append(f"the stack {posterior.stack} was seen in {posterior.sources} sources only")
    return tuple(notes)
