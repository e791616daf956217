"""Which models on which machine: names as they were given, and what they stand for."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import cache
from pathlib import Path

from .models import Device, ModelShape, device, find_model, number_format
from .models.catalogue import shape_for
from .models.drafters import DRAFTERS, drafter_kind, ships_mtp
from .models.formats import as_stored, format_in
from .models.heads import head_shape
from .models.names import plain, squeeze

DEFAULT_CONTEXT = 1000.0  # cached tokens of a sequence where none are named: a short chat
DEFAULT_STACK = "serving"
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
    """What runs a pair.

    dtype, draft_dtype: number formats of the weights, by default the usual one of the target on the
    device (see `prior.costs.usual_dtype`), and the target's for the draft; kv_dtype: of the caches;
    stack: kind of software, or an engine's name. batch, context: where memory is checked and notes
    are made; the laws themselves take any. unseen: a study whose step times are left out, "" for
    none.
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
class Deployment:
    """What runs where, as it was asked for; None, or "", where it was not said.

    target, draft, device: names; dtype, draft_dtype: number formats of the weights; stack:
    software; batch: sequences decoded together, >= 1; context: cached tokens of each, >= 0; task;
    temperature: of sampling; tuned: the draft was trained towards the target; online: unknown
    models are looked up on the hub; unseen: a study of which no published measurement is used, as
    tests of truth ask; p_min: confidence of a draft token, in [0, 1], below which a draft ends,
    None where drafts have their full length. Raises ValueError outside the ranges.
    """

    target: str | None = None
    draft: str | None = None
    device: str | None = None
    dtype: str = ""
    draft_dtype: str = ""
    stack: str | None = None
    batch: float = 1.0
    context: float | None = None
    task: str | None = None
    temperature: float | None = None
    tuned: bool = False
    online: bool = False
    unseen: str = ""
    p_min: float | None = None

    def __post_init__(self) -> None:
        if self.p_min is not None and not 0.0 <= self.p_min <= 1.0:
            raise ValueError(f"p_min must be in [0, 1], got {self.p_min:g}")
        if not 1.0 <= self.batch < float("inf"):
            raise ValueError(f"batch must be in [1, inf), got {self.batch:g}")
        if self.context is not None and not 0.0 <= self.context < float("inf"):
            raise ValueError(f"context must be in [0, inf), got {self.context:g}")

    @property
    def cached(self) -> float:
        """Cached tokens of a sequence: the context, or the usual one of a named target."""
        usual = 0.0 if self.target is None else DEFAULT_CONTEXT
        return usual if self.context is None else self.context

    def lacks(self, *names: str) -> list[str]:
        """Those of target, draft and device that were not named."""
        return [name for name in names if getattr(self, name) is None]

    def needs(self, what: str, *names: str, instead: str = "") -> None:
        """Raise ValueError, saying what is missing, unless all of the names were given."""
        if missing := self.lacks(*names):
            other = f" (or {instead})" if instead else ""
            raise ValueError(
                f"{what} needs {', '.join(names)}{other}; missing {' and '.join(missing)}"
            )


@dataclass(frozen=True)
class Pair:
    """The models and the machine of a deployment, each None where it was not named.

    head: the kind of drafting head that the draft is, None for a model of its own.
    """

    at: Deployment
    target: NamedModel | None
    draft: NamedModel | None
    head: str | None
    machine: Device | None

    @property
    def models(self) -> tuple[NamedModel, NamedModel]:
        """Target and draft; raises ValueError where one was not named."""
        self.at.needs("a pair", "target", "draft")
        assert self.target is not None
        assert self.draft is not None
        return self.target, self.draft

    @property
    def use(self) -> Use:
        """What acceptance depends on."""
        return Use(self.at.task, self.at.temperature, self.at.tuned, self.at.unseen)

    def load(self, machine: Device | None = None) -> Load | None:
        """Machine and load, None where no device was named and none is given here."""
        found = self.machine or machine
        if found is None:
            return None
        form = self.at.draft_dtype
        if self.head is not None and self.target is not None and not form:
            form = head_dtype(self.target, self.head, found, self.at.dtype)
        return Load(
            found, dtype=self.at.dtype, draft_dtype=form, stack=self.at.stack or DEFAULT_STACK,
            batch=self.at.batch, context=self.at.cached, unseen=self.at.unseen,
        )  # fmt: skip

    @property
    def notes(self) -> tuple[str, ...]:
        """What looks like a mistake in what was named."""
        if self.target is None or self.draft is None or self.head is not None:
            return ()
        large, small = self.target, self.draft
        if small.parameters <= large.parameters:
            return ()
        return (
            f"the draft {small.called} is larger than the target {large.called}: are the two "
            "swapped?",
        )

    def with_draft(self, name: str) -> Pair:
        """The same target and machine with another draft."""
        assert self.target is not None
        draft, head = named_draft(name, self.target, online=self.at.online)
        return replace(self, at=replace(self.at, draft=name), draft=draft, head=head)


def resolve(at: Deployment) -> Pair:
    """The pair of a deployment; raises ValueError, nearest names first, for unknown names."""
    if at.target is None and at.device is None:
        return Pair(at, None, None, None, None)
    target = None if at.target is None else named(at.target, online=at.online, role="target")
    pair = Pair(at, target, None, None, None if at.device is None else device(at.device))
    return pair if target is None or at.draft is None else pair.with_draft(at.draft)
