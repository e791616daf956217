"""Which models on which machine: names as they were given, and what they stand for."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

if TYPE_CHECKING:  # tables are read where a name is to be found in them
    from .models import Device
    from .named import NamedModel

DEFAULT_CONTEXT = 1000.0  # cached tokens of a sequence where none are named: a short chat
DEFAULT_STACK = "serving"


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
        from .named import head_dtype

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
        """What names leave open, and what looks like a mistake in them."""
        own = () if self.target is None else self.target.notes
        if self.target is None or self.draft is None or self.head is not None:
            return own
        large, small = self.target, self.draft
        if small.parameters <= large.parameters:
            return (*own, *small.notes)
        return (
            *own,
            *small.notes,
            f"the draft {small.called} is larger than the target {large.called}: are the two "
            "swapped?",
        )

    def with_draft(self, name: str) -> Pair:
        """The same target and machine with another draft."""
        from .named import named_draft

        assert self.target is not None
        draft, head = named_draft(name, self.target, online=self.at.online)
        draft = draft.on(self.machine)
        return replace(self, at=replace(self.at, draft=name), draft=draft, head=head)


def resolve(at: Deployment) -> Pair:
    """The pair of a deployment; raises ValueError, nearest names first, for unknown names."""
    if at.target is None and at.device is None:
        return Pair(at, None, None, None, None)
    from .models import device
    from .named import named

    machine = None if at.device is None else device(at.device)
    target = None if at.target is None else named(at.target, online=at.online, role="target")
    pair = Pair(at, target and target.on(machine), None, None, machine)
    return pair if target is None or at.draft is None else pair.with_draft(at.draft)
