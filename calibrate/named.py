"""Names of targets and drafts as they were given, and what they stand for."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import cache
from pathlib import Path

from .models import Device, ModelShape, find_model, nearest_models, number_format
from .models.drafters import DRAFTERS, drafter_kind, head_shape, ships_mtp
from .models.formats import as_stored, format_in, gguf_format
from .models.names import plain, squeeze

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

    def on(self, machine: Device | None) -> NamedModel:
        """This model as engines run it there: a format in its name that the device does not compute
        in has its weights unpacked. One stated as ``:FORMAT`` stays.
        """
        form = self.dtype if machine is None or self.stated else machine.runs(self.dtype)
        if form == self.dtype or not self.dtype_stated:
            return self
        assert machine is not None
        note = (
            f"{machine.name} does not compute in {self.dtype}: the weights of {self.shape.name} "
            f"are unpacked and multiplied in 16 bits, as {form}"
        )
        return replace(self, dtype=form, notes=(*self.notes, note))

    @property
    def parameters(self) -> float:
        """All parameters, every expert included."""
        return float(self.shape.parameters())


def shape_for(name: str, *, online: bool = False, role: str = "model") -> tuple[ModelShape, str]:
    """(shape, number format) of a table's name, a local config, or with ``online`` the hub.

    Raises ValueError, nearest names of the table first, where none of them has it; role: what the
    model is to the caller, in that message.
    """
    file = name.casefold().endswith(".gguf") and Path(name).is_file()
    found = None if file else find_model(name)
    if found is not None:
        return found.shape, found.dtype
    from .models.config import auto_shape, gguf_shape, read_config

    if file:
        shape = gguf_shape(name)
        return shape, gguf_format(name) or shape.weights
    if name.endswith(".json") or (name and Path(name).is_dir()):
        shape = read_config(name)
    elif online:
        shape = auto_shape(name, role=role)
    else:
        hub = " (--online asks the hub)" if "/" in name else ""
        raise ValueError(
            f"{role} must be a name of the table, a config.json or a folder with one{hub}; "
            f"nearest: {nearest_models(name)}; got {name!r}; `howspec models` lists them"
        )
    return shape, shape.weights


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


def named_draft(
    name: str, target: NamedModel, *, online: bool = False
) -> tuple[NamedModel, str | None]:
    """(draft, kind of drafter): a model by its name, or the target's drafter that a name tells.

    The kind is None for a plain model, else a key of `models.drafters.DRAFTERS`, and stands in the
    draft too, with notes on what the name leaves open. A folder or a config.json is a model.
    Raises ValueError as `named` does.
    """
    local = name.endswith(".json") or Path(name).is_dir()
    kind = None if local else drafter_kind(name)
    if kind is None:
        return named(name, online=online, role="draft"), None
    if kind == "PARD":
        words = [w for w in plain(name).split("-") if w != "pard"]
        base = find_model("-".join(words))
        if base is None:
            raise ValueError(
                f"a PARD draft is a model of its own, named as PARD-Llama-3.2-1B; got {name!r}"
            )
        return NamedModel(name, base.shape, base.dtype, kind), kind
    shape = head_shape(target.shape, kind, name=name)
    return NamedModel(name, shape, shape.weights, kind, _flags(name, kind, target)), kind


def _flags(name: str, kind: str, target: NamedModel) -> tuple[str, ...]:
    """What to know of a drafter by its name: whether it may be of another target, or of none."""
    notes = []
    if kind == "MTP" and not (ships_mtp(target.called) or ships_mtp(target.shape.name)):
        notes.append(f"releases of {target.called} ship no MTP head: it would have to be trained")
    from .prior.head_curves import head_curves

    seen = any(same_model(c.target, target.called) for c in head_curves(kind))
    if DRAFTERS[kind].weights == "head" and not seen:
        notes.append(f"no {kind} head of {target.called} is among the published measurements")
    other = told_target(name)
    if other and not same_model(other, target.called):
        notes.append(f"{name} is named for {other}, not for the target {target.called}")
    return tuple(notes)


@cache
def told_target(name: str) -> str:
    """The model that a head's name holds, "" for none: Qwen3-8B of z-lab/Qwen3-8B-DFlash."""
    words = plain(name).replace("speculator.", "speculator-").split("-")
    for size in range(len(words), 1, -1):
        for start in range(len(words) - size + 1):
            found = find_model("-".join(words[start : start + size]))
            if found is not None and not found.remarks:
                return found.name
    return ""


def head_dtype(target: NamedModel, kind: str, machine: Device, dtype: str = "") -> str:
    """Format of a drafter where none is named: "" for that of the target.

    Heads trained after the release stay in 16 bits beside a target of fewer.
    """
    own = kind == "MTP" or DRAFTERS[kind].passes == "none" or kind == "layer-skip"
    if own or number_format(dtype or target.dtype).bits >= _PLAIN_BITS:
        return ""
    return "bf16" if "bf16" in machine.rates else "fp16"


def same_model(one: str, other: str) -> bool:
    """Whether a published target is the asked one, whatever tuning its name ends in."""
    models = [find_model(name) for name in (one, other)]
    if models[0] is None or models[1] is None:
        return squeeze(one) == squeeze(other)
    return models[0].name == models[1].name


def draft_formats(drafts: Sequence[NamedModel], draft_dtype: str = "") -> list[str]:
    """The number format of every draft as it is stored, "" where nobody stated one.

    draft_dtype: stated for all drafts that state none themselves.
    """
    forms = [d.dtype_stated if d.stated else draft_dtype or d.dtype_stated for d in drafts]
    return [
        f and as_stored(f, d.shape.hidden, "draft_dtype").name
        for f, d in zip(forms, drafts, strict=True)
    ]


def same_vocabulary(target: ModelShape, draft: ModelShape) -> bool:
    """Whether the rows of two embeddings differ by no more than padding does."""
    return abs(draft.vocab - target.vocab) <= _SAME_VOCABULARY * target.vocab
