"""What runs a pair, what is usual where nobody says, and what to know about the answer."""

from __future__ import annotations

from dataclasses import dataclass

from ...theory.domain import check
from ..models import Device, ModelShape, number_format
from .costs_fit import StackPosterior
from .costs_memory import MemoryNeed

_SAME_VOCABULARY = 0.02  # padding moves the rows of one vocabulary by so much


@dataclass(frozen=True)
class Setting:
    """What runs a pair.

    dtype, draft_dtype: number formats of the weights, by default the usual one of the target on the
    device (see `usual_dtype`), and the target's for the draft; kv_dtype: of the caches. batch,
    context: where memory is checked
    and notes are made; the laws themselves take any. stack: kind of software, or an engine's name.
    """

    dtype: str = ""
    draft_dtype: str = ""
    kv_dtype: str = "bf16"
    batch: float = 1
    context: float = 0
    stack: str = "serving"


def usual_dtype(shape: ModelShape, device: Device) -> str:
    """The number format in which a model is usually run on a device, where nobody says.

    That of its release; 16 bits for a release in 32 on an accelerator; the other 16-bit format, or
    8 bits that are unpacked, where the device does not compute in that of the release.
    """
    released = number_format(shape.weights).name
    if device.kind == "cpu":
        return released
    others = {"fp32": ("bf16", "fp16"), "bf16": ("bf16", "fp16"), "fp16": ("fp16", "bf16")}
    for form in others.get(released, ()):
        if form in device.rates:
            return form
    unpacked = {"fp8": "int8", "w8a8": "int8", "nvfp4": "int4"}
    if released in unpacked and number_format(released).arithmetic not in device.rates:
        return unpacked[released]
    return released


def notes_on(
    target: ModelShape,
    draft: ModelShape,
    need: MemoryNeed,
    posterior: StackPosterior,
    context: float,
) -> tuple[str, ...]:
    check("context", context)
    notes = []
    if not need.fits:
        notes.append(need.line)
    if abs(draft.vocab - target.vocab) > _SAME_VOCABULARY * target.vocab:
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
