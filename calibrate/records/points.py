"""What a point of a record must hold: entries with kind and range, by the kind of record.

The tables are data. Reading, writing and the journal check every point against them, so that a
record that can be read can be fitted. Entries that are not listed are welcome as long as they are
text, truth values, finite numbers or lists of these: an instrument knows more than its readers.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

Point = dict[str, Any]

# Names that hold a quantity must end with its unit.
_UNITS = {"time": "_s", "latency": "_s", "duration": "_s", "memory": "_bytes"}


@dataclass(frozen=True)
class Entry:
    """One entry of a point.

    kind: ``text``, ``number`` or ``whole``; low, high: closed range of a number. many: a list of
    them; one: a single one (both: either). required: absent is an error; nullable: null is allowed.
    choices: the only texts allowed.
    """

    name: str
    kind: str = "text"
    low: float = 0.0
    high: float = math.inf
    one: bool = True
    many: bool = False
    required: bool = True
    nullable: bool = False
    choices: tuple[str, ...] = ()

    @property
    def allowed(self) -> str:
        """What the entry may hold, in words."""
        if self.kind == "text":
            return f"one of {', '.join(self.choices)}" if self.choices else "text"
        noun = "a whole number" if self.kind == "whole" else "a number"
        right = ")" if math.isinf(self.high) else "]"
        what = f"{noun} in [{self.low:g}, {self.high:g}{right}"
        lists = f"a list of {noun.split(' ', 1)[1]}s in [{self.low:g}, {self.high:g}{right}"
        if self.one and self.many:
            return f"{what}, or a list of them"
        return lists if self.many else what

    def holds(self, value: Any) -> bool:
        """Whether ``value`` is allowed."""
        if value is None:
            return self.nullable
        if isinstance(value, list):
            return self.many and all(self._single(v) for v in value)
        return self.one and self._single(value)

    def _single(self, value: Any) -> bool:
        if self.kind == "text":
            return isinstance(value, str) and (not self.choices or value in self.choices)
        if isinstance(value, bool) or not isinstance(value, int | float):
            return False
        if self.kind == "whole" and not isinstance(value, int):
            return False
        return self.low <= value <= self.high and math.isfinite(value)


@dataclass(frozen=True)
class Kind:
    """The points of one kind of record.

    variants: the entries by the value of the entry ``variant``, which is "" where there is one
    variant only; key: the entries that identify a point, those that a point lacks count as null.
    """

    name: str
    variant: str
    variants: Mapping[str, tuple[Entry, ...]]
    key: tuple[str, ...]


def _whole(name: str, low: int = 0, **more: Any) -> Entry:
    return Entry(name, "whole", low, **more)


def _each(name: str, kind: str, **more: Any) -> Entry:
    return Entry(name, kind, one=False, many=True, **more)


def _either(name: str, *, nullable: bool = True) -> Entry:
    """A whole number, or one for each request of a batch, where it was counted."""
    return Entry(name, "whole", many=True, required=False, nullable=nullable)


_FAILED = Entry("error", required=False)
_TIMED = (
    _each("warmup_s", "number", required=False),
    _each("times_s", "number", required=False),
    _FAILED,
)
_PASS = (
    Entry("model"), _whole("tokens", 1), _whole("batch", 1), _whole("context"), Entry("mode"),
    *_TIMED,
)  # fmt: skip
_REQUEST = (Entry("domain"), Entry("temperature", "number"), _whole("request"), _FAILED)
_PAIR = (Entry("draft"), *_REQUEST)
_DRAFTED = (Entry("method"), _whole("gamma"), _whole("batch", 1))

KINDS: dict[str, Kind] = {
    kind.name: kind
    for kind in (
        Kind(
            "costs",
            "operation",
            {
                **dict.fromkeys(("pass", "round", "step"), _PASS),
                **dict.fromkeys(("draw", "verify", "copy_bandwidth", "launch"), _TIMED),
            },
            ("operation", "model", "tokens", "batch", "context", "mode"),
        ),
        Kind(
            "acceptance",
            "type",
            {
                "rounds": (
                    *_PAIR,
                    _either("drafted", nullable=False),
                    _each("accepted", "whole", required=False),
                ),
                "overlap": (
                    *_PAIR,
                    Entry("overlap", "number", 0.0, 1.0, one=False, many=True, required=False),
                ),
                "text": (Entry("draft", required=False, nullable=True), *_REQUEST),
            },
            ("type", "draft", "domain", "temperature", "request"),
        ),
        Kind(
            "sweep",
            "",
            {
                "": (
                    Entry("draft", nullable=True, required=False),
                    *_DRAFTED,
                    _whole("prompt"),
                    _whole("repeat"),
                    _either("tokens", nullable=False),
                    *map(_either, ("rounds", "accepted", "drafted")),
                    Entry("prefill_s", "number", required=False, nullable=True),
                    Entry("decode_s", "number", required=False, nullable=True),
                    Entry("total_s", "number", required=False),
                    _FAILED,
                )
            },
            ("draft", "method", "gamma", "batch", "prompt", "repeat"),
        ),
        Kind(
            "serving",
            "",
            {
                "": (
                    Entry("draft", nullable=True),
                    *_DRAFTED,
                    _whole("wave"),
                    _each("prompts", "whole"),
                    _each("tokens", "whole"),
                    _each("prompt_tokens", "whole", nullable=True),
                    _each("start_s", "number"),
                    _each("arrivals", "whole"),
                    _each("arrivals_s", "number"),
                    _each("arrived", "whole"),
                    *(_whole(n, nullable=True) for n in ("rounds", "drafted", "accepted")),
                    _each("accepted_by_position", "whole", nullable=True),
                    _whole("counted_tokens", nullable=True),
                )
            },
            ("draft", "method", "gamma", "batch", "wave"),
        ),
    )
}


def kind_of(name: Any) -> Kind:
    """The kind of that name. Raises ValueError listing the kinds."""
    if not isinstance(name, str) or name not in KINDS:
        raise ValueError(f"kind must be one of {', '.join(KINDS)}, got {name!r}")
    return KINDS[name]


def check_point(kind: Kind, point: Any) -> None:
    """Raise ValueError, naming the entry, what is allowed and what was given, for a bad point."""
    if not isinstance(point, dict):
        raise ValueError(f"a point must be an object, got {type(point).__name__}")
    variant = point.get(kind.variant, "") if kind.variant else ""
    if not isinstance(variant, str) or variant not in kind.variants:
        raise ValueError(
            f"{kind.variant} must be one of {', '.join(kind.variants)}, got {variant!r}"
        )
    entries = {e.name: e for e in kind.variants[variant]}
    for entry in entries.values():
        if entry.required and entry.name not in point:
            raise ValueError(f"{entry.name} is missing ({entry.allowed})")
    for name, value in point.items():
        if name in entries:
            if not entries[name].holds(value):
                raise ValueError(f"{name} must be {entries[name].allowed}, got {_short(value)}")
        else:
            _check_free(name, value)
    if kind.name == "costs" and ("error" in point) == bool(point.get("times_s")):
        raise ValueError("a cost point needs times_s or an error, not both")


def point_key(key: tuple[str, ...], point: Mapping[str, Any]) -> tuple[Any, ...]:
    """The values that identify a point; null for an entry that it lacks.

    Raises ValueError for an entry that holds a list or an object.
    """
    values = tuple(point.get(name) for name in key)
    for name, value in zip(key, values, strict=True):
        if isinstance(value, list | dict):
            raise ValueError(f"{name} identifies a point and must be one value, got a list")
    return values


def in_words(key: tuple[str, ...], values: tuple[Any, ...]) -> str:
    """A point's key for a message, without what is null."""
    return ", ".join(f"{n} = {v!r}" for n, v in zip(key, values, strict=True) if v is not None)


def _check_free(name: str, value: Any) -> None:
    for stem, unit in _UNITS.items():
        counted = isinstance(value, int | float | list) and not isinstance(value, bool)
        if counted and stem in name.split("_") and not name.endswith(unit):
            raise ValueError(f"{name} is a {stem} and its name must end with {unit}")
    if not _plain(value, depth=2):
        raise ValueError(
            f"{name} must be text, a finite number, or a list or an object of these, "
            f"got {_short(value)}"
        )


def _plain(value: Any, *, depth: int) -> bool:
    """Whether a value is what JSON can hold, finite, and nested no deeper than ``depth``."""
    if value is None or isinstance(value, str | bool):
        return True
    if isinstance(value, int | float):
        return math.isfinite(value)
    if depth == 0 or not isinstance(value, list | dict):
        return False
    inner = value.values() if isinstance(value, dict) else value
    return all(_plain(v, depth=depth - 1) for v in inner)


def _short(value: Any) -> str:
    if isinstance(value, list):
        bad = [v for v in value if isinstance(v, str | bool) or not _is_sound(v)]
        shown = f"a list with {bad[0]!r}" if bad else f"a list of {len(value)} ({value[:3]}...)"
        return shown[:100]
    text = repr(value)
    return text if len(text) <= 80 else text[:77] + "..."


def _is_sound(value: Any) -> bool:
    return isinstance(value, int | float) and math.isfinite(value) and value >= 0
