"""A target and its drafts by their names, and what both priors expect of them."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field

import numpy as np

from ..models import Device, ModelShape, number_format
from ..models.config import shape_for
from ..models.formats import as_stored, format_in
from ..models.names import plain
from .acceptance import AcceptancePrior
from .acceptance_forecast import AcceptanceForecast, rounded
from .costs import PredictedCost, predict_pairs
from .costs_posterior import stack_name, stacks_without

_SAME_VOCABULARY = 0.02  # padding moves the rows of one vocabulary by so much
_PLAIN_BITS = 16


@dataclass(frozen=True)
class NamedModel:
    """A model of a question. called: as it was asked for; dtype: format that the name states, or
    that of its release; kind: of a drafter that is no plain model, a key of `models.DRAFTERS`;
    notes: what its name leaves open; stated: the name ends with ``:FORMAT``.
    """

    called: str
    shape: ModelShape
    dtype: str
    kind: str | None = None
    notes: tuple[str, ...] = ()
    stated: bool = False

    @property
    def dtype_stated(self) -> str:
        """The format, where the name says one that need not be the release's; else ""."""
        return self.dtype if self.stated or self.dtype != self.shape.weights else ""

    @property
    def parameters(self) -> float:
        """All parameters, every expert included."""
        return float(self.shape.parameters())


def named(name: str, *, online: bool = False, role: str = "model") -> NamedModel:
    """The model of a table's name, a folder or a config.json, or with ``online`` of the hub.

    ``MODEL:FORMAT`` states its number format. Raises ValueError, nearest names of the table first,
    where none of them has it; role: as of `shape_for`.
    """
    bare, form = format_in(name)
    shape, dtype = shape_for(bare, online=online, role=role)
    local = bare.endswith(".json") or "/" in bare or "\\" in bare
    called = shape.name if local else bare
    return NamedModel(
        f"{called}:{form}" if form else called, shape, form or dtype, stated=bool(form)
    )


@dataclass(frozen=True)
class Use:
    """What a pair is used for, as far as acceptance depends on it.

    task: one of the prior's, or a text that names one; None: any. temperature: >= 0, None counts as
    greedy; tuned: the drafts were trained towards the target; unseen: a study whose measurements
    are left out, "" for none.
    """

    task: str | None = None
    temperature: float | None = None
    tuned: bool = False
    unseen: str = ""


@dataclass(frozen=True)
class Load:
    """What runs a pair: device, formats (empty: the usual ones), stack, batch and context.

    unseen: a study whose step times are left out, "" for none.
    """

    device: Device
    dtype: str = ""
    draft_dtype: str = ""
    kv_dtype: str = "bf16"
    stack: str = "serving"
    batch: float = 1
    context: float = 0
    unseen: str = ""


@dataclass(frozen=True)
class Expected:
    """Laws of one target with several drafts, draw by draw on one machine and one task.

    acceptance: alpha of shape (drafts, draws); costs: one law a draft, of shape (draws,).
    """

    target: NamedModel
    drafts: tuple[NamedModel, ...]
    acceptance: AcceptanceForecast
    costs: tuple[PredictedCost, ...] = field(default=())


def expect(
    target: NamedModel,
    drafts: Sequence[NamedModel],
    *,
    load: Load,
    use: Use,
    rng: np.random.Generator,
    draws: int = 2000,
) -> Expected:
    """Predict acceptance and cost of every draft, with draws in common.

    Draw i has one task, one family and one machine for all drafts, so that what they share cancels
    when they are compared. Raises ValueError as the two priors do.
    """
    # Generators of their own, so that what is given of one leaves the other alone.
    for_costs, for_acceptance = rng.spawn(2)
    laws = expected_costs(target, drafts, load=load, rng=for_costs, draws=draws)
    forecast = expected_acceptance(
        target, drafts, use=use, dtype=laws[0].dtype, draft_dtype=load.draft_dtype,
        rng=for_acceptance, draws=draws,
    )  # fmt: skip
    return Expected(target, tuple(drafts), forecast, laws)


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
        target.shape,
        tuple(d.shape for d in drafts),
        load.device,
        rng=rng,
        draws=draws,
        posterior=stacks_without(load.unseen)[stack_name(load.stack)],
        dtype=load.dtype or target.dtype_stated,
        draft_dtypes=draft_formats(drafts, load.draft_dtype),
        kv_dtype=load.kv_dtype,
        stack=load.stack,
        batch=load.batch,
        context=load.context,
    )


def draft_formats(drafts: Sequence[NamedModel], draft_dtype: str = "") -> list[str]:
    """The number format of every draft as it is stored, "" where nobody stated one.

    draft_dtype: stated for all drafts that state none themselves.
    """
    forms = [d.dtype_stated if d.stated else draft_dtype or d.dtype_stated for d in drafts]
    return [
        f and as_stored(f, d.shape.hidden, "draft_dtype").name
        for f, d in zip(forms, drafts, strict=True)
    ]


def expected_acceptance(
    target: NamedModel,
    drafts: Sequence[NamedModel],
    *,
    use: Use,
    rng: np.random.Generator,
    dtype: str = "",
    draft_dtype: str = "",
    draws: int = 2000,
    layers: Sequence[int | None] | None = None,
    curve: bool = False,
) -> AcceptanceForecast:
    """Forecast of the acceptance of a target's drafts, alpha of shape (drafts, draws).

    dtype: of the target's weights, by default that of its name; draft_dtype: of the drafts that do
    not state one; where none is stated it is the target's, as in the published pairs. layers: one a
    draft, None where they are usual for the size; by default those of the shapes. curve: the drafts
    are points of one curve and no models of their own.
    """
    prior = AcceptancePrior.load().without(use.unseen)
    form = number_format(dtype or target.dtype)
    known = {plain(n): n for c in prior.cells for n in (c.target, c.draft) if n}
    bare = [format_in(d.called)[0] for d in (target, *drafts)]
    own, *names = [known.get(plain(name), name) for name in bare]
    forecast = prior.predict(
        draft_parameters=[d.parameters for d in drafts],
        target_parameters=target.parameters,
        rng=rng,
        task=use.task,
        temperature=use.temperature,
        tuned=use.tuned,
        target=own,
        draft=None if curve else names,
        draft_layers=[d.shape.layers for d in drafts] if layers is None else list(layers),
        quantised=form.bits < _PLAIN_BITS,
        same_vocabulary=[same_vocabulary(target, d) for d in drafts],
        draws=draws,
    )
    return rounded(forecast, draft_formats(drafts, draft_dtype))


def same_vocabulary(target: NamedModel, draft: NamedModel) -> bool:
    """Whether the rows of two embeddings differ by no more than padding does."""
    rows = target.shape.vocab
    return abs(draft.shape.vocab - rows) <= _SAME_VOCABULARY * rows
