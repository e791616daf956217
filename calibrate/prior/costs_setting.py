"""What runs a pair, what is usual where nobody says, and whether it fits in memory."""

from __future__ import annotations

import math
from dataclasses import dataclass

from ...theory.costs import largest_batch
from ...theory.costs.law import operating_point
from ...theory.domain import check
from ..models import Device, ModelShape, number_format
from .costs_fit import StackPosterior

_USABLE = {"gpu": 0.9, "tpu": 0.9, "npu": 0.9, "cpu": 0.8}  # the rest is for activations


@dataclass(frozen=True)
class MemoryNeed:
    """What target, draft and caches take of a device's memory [byte].

    weights, caches: of both models; target: weights of the target alone; usable: memory of all
    devices less what activations need; batch: asked for; largest: batch that fits at this context,
    0 where the weights do not; device: its name; count: how many there are.
    """

    weights: float
    target: float
    caches: float
    usable: float
    batch: float
    largest: int
    device: str
    count: int = 1

    @property
    def least(self) -> int:
        """The fewest such devices that everything fits on."""
        return max(math.ceil(self.count * (self.weights + self.caches) / self.usable), 1)

    @property
    def fits(self) -> bool:
        """Whether everything fits."""
        return self.weights + self.caches <= self.usable

    @property
    def line(self) -> str:
        """One line that says whether it fits, and how much there is."""
        need = f"weights {self.weights / 1e9:.3g} GB and caches {self.caches / 1e9:.3g} GB"
        label = self.device if self.count == 1 else f"{self.count}x {self.device}"
        have = f"{self.usable / 1e9:.3g} GB usable on {label}"
        if self.fits:
            return f"fits: {need} in {have}"
        enough = f"it needs {self.least}x {self.device} or more"
        if self.target >= self.usable:
            return (
                f"does NOT fit: the target alone takes {self.target / 1e9:.3g} GB of weights, more "
                f"than the {have}, so that plain decoding does not run either; {enough}"
            )
        if self.largest < 1:
            room = "the weights leave no room for a sequence"
            return f"does NOT fit: {need}, with {have}; {room}; {enough}"
        return f"does NOT fit: {need}, with {have}; the largest batch is {self.largest}"


def memory_need(
    target: ModelShape,
    draft: ModelShape | None,
    device: Device,
    *,
    dtype: str,
    draft_dtype: str = "",
    kv_dtype: str = "bf16",
    batch: float = 1,
    context: float = 0,
) -> MemoryNeed:
    """Whether weights of both models and the caches of a batch fit in the memory of the devices."""
    rows, ctx = operating_point(batch, context)
    models = [(target, dtype)] + ([(draft, draft_dtype or dtype)] if draft is not None else [])
    weights = [shape.bytes(form) for shape, form in models]
    cache = float(sum(shape.cache_bytes(ctx, kv_dtype) for shape, _ in models))
    usable = _USABLE[device.kind] * device.total_memory
    largest = 0.0
    if sum(weights) < usable:
        # The cache of a whole sequence stands for that of one token, windows included.
        largest = largest_batch(usable, 1.0, weight_bytes=sum(weights), kv_bytes=cache)
    whole = int(min(largest, 1e9))
    return MemoryNeed(
        sum(weights), weights[0], rows * cache, usable, rows, whole, device.name, device.count
    )


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
