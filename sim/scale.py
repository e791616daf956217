"""How small a draft, and in which number format: the turning point in both axes.

Sizes are hypothetical drafts in the shape of the target's family (`scale_grid`), each in every
number format that a draft is stored in where it runs. Drafts that exist are ranked in the same
formats.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from ..calibrate.doors import Deployment, Pair, resolve
from ..calibrate.models import Device
from ..calibrate.models.formats import format_in, number_format
from ..calibrate.prior.stacks import stack_name
from ..theory.interval import check_level
from .choice import DEFAULT_OBJECTIVE, Objective
from .known import DRAWS, GAMMA_MAX, check_gamma_max, check_seed
from .ranking import RankedDraft, existing_drafts, rank_drafts
from .scale_grid import ScaleAnswer, best_point, best_scale, smallest_published

# Formats that drafts come in, by stack; the first of a group that the device computes in.
_FORMATS = {
    "llama.cpp": (("fp16", "bf16"), ("q8_0",), ("q4_k_m",)),
    "mlx": (("bf16", "fp16"), ("mlx-8bit",), ("mlx-4bit",)),
    "serving": (("bf16", "fp16"), ("fp8", "int8"), ("int4",)),
}
_WIDEST = (("bf16", "fp16", "fp32"),)


def usual_formats(device: Device, stack: str) -> tuple[str, ...]:
    """Formats in which drafts are commonly stored for a stack, the widest first."""
    found = []
    for group in _FORMATS.get(stack_name(stack), _WIDEST):
        for name in group:
            try:
                device.arithmetic(name)
            except ValueError:
                continue
            found.append(name)
            break
    return tuple(found)


@dataclass(frozen=True)
class DraftScale:
    """The best size and number format of a draft for a target on a machine.

    found: the grid behind it; pays: whether any draft does; notes: what to know before relying on
    it; existing: released drafts of the family, or those that were named, each in the formats of
    the grid, best first.
    """

    pair: Pair
    found: ScaleAnswer
    pays: bool
    notes: tuple[str, ...]
    existing: tuple[RankedDraft, ...] = ()


def draft_scale(
    at: Deployment,
    *,
    drafts: Sequence[str] = (),
    formats: Sequence[str] = (),
    sizes: int = 19,
    gamma_max: int | None = None,
    objective: Objective = DEFAULT_OBJECTIVE,
    level: float = 0.9,
    seed: int = 0,
) -> DraftScale:
    """Find the best draft in the shape of the target's family, as `best_scale` does.

    drafts: to name on the curve, ``MODEL:FORMAT`` in that format alone, by default the family's of
    the table; formats: by default the usual ones of the stack; sizes: in [3, 60], from half of the
    target to a thousandth; gamma_max: default 16; objective: what gamma, size and format make
    largest. Raises ValueError outside the ranges and without target or device.
    """
    check_level(level)
    if not 3 <= sizes <= 60:
        raise ValueError(f"sizes must be in [3, 60], got {sizes}")
    at.needs("scale", "target", "device")
    pair = resolve(at)
    load, target = pair.load(), pair.target
    assert load is not None
    assert target is not None
    forms = tuple(dict.fromkeys(number_format(f, "draft_dtype").name for f in formats))
    forms = forms or usual_formats(load.device, load.stack)
    found = best_scale(
        target, load=load, use=pair.use, rng=np.random.default_rng(check_seed(seed)),
        formats=forms, sizes=sizes,
        gamma_max=GAMMA_MAX if gamma_max is None else check_gamma_max(gamma_max), draws=DRAWS,
        objective=objective, level=level,
    )  # fmt: skip
    pays = found.best.fits and found.best.choice.gamma > 0
    names = [
        name if format_in(name)[1] else f"{name}:{form}"
        for name in drafts or existing_drafts(pair)
        for form in (forms if not format_in(name)[1] else forms[:1])
    ]
    ranked: tuple[RankedDraft, ...] = ()
    if names:
        ranking = rank_drafts(
            at, names, gamma_max=gamma_max, objective=objective, level=level, seed=seed
        )
        ranked = ranking.rankings[0].drafts
    known = smallest_published(target.parameters)
    return DraftScale(pair, found, pays, _notes(found, pays, known), ranked)


def _notes(found: ScaleAnswer, pays: bool, smallest: float) -> tuple[str, ...]:
    notes, best = [], found.best
    if not best.fits:
        needs = [law.memory for law in found.costs if law.memory is not None]
        least = min(needs, key=lambda need: need.weights_bytes)
        notes.append(f"NO: no draft fits beside the target: the smallest {least.line}")
    elif not pays:
        notes.append("NO: no size pays here; plain decoding is fastest")
    able = [p for p in found.curve if p.fits]
    if pays and best in (able[0], able[-1]):
        notes.append("the best size is at the end of those tried: the turning point lies beyond")
    near = [
        form
        for form, curve in found.curves.items()
        if form != best.dtype and max(p.choice.speedup for p in curve) >= 0.99 * best.choice.speedup
    ]
    if pays and near:
        notes.append(f"flat in the format: {', '.join(near)} within 1 % of {best.dtype}")
    if pays and best.choice.gamma == best.choice.by_gamma.size - 1:
        notes.append(f"gamma {best.choice.gamma} is the largest tried: {best.choice.gamma} or more")
    if pays and min(p.parameters for p in able) < smallest:
        notes.append(
            f"extrapolated below {smallest / 1e6:.0f}M parameters: no published pair has so small "
            "a draft for its target, and intervals widen from there"
        )
    deeper = [p for p in found.grid if p.fits and p.depth != 1.0]
    other = best_point([*deeper, best]) if deeper else best
    if pays and other is not best:
        notes.append(
            f"{other.depth:g} of the usual layers may be faster still "
            f"({other.choice.speedup:.2f}); few published pairs tell depth from size"
        )
    return (*notes, *found.notes)
