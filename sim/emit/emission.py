"""What is handed to an engine: text to paste, the same as an object, and what it does not say.

What an engine calls the method of a draft, and the model that it needs.
"""

from __future__ import annotations

import json
import shlex
from dataclasses import dataclass, field
from typing import Any

from ...calibrate.doors import Pair
from ...calibrate.models.drafters import DRAFTERS, DrafterKind, Engine


@dataclass(frozen=True)
class Emission:
    """A configuration in an engine's own words.

    engine: its name; command: options of the command line, "" where there are none; environment:
    variables to set before the start; files: content by name; config: the same as plain objects;
    notes: what the engine cannot express, and what it does with the rest.
    """

    engine: str
    command: str = ""
    environment: dict[str, str] = field(default_factory=dict)
    files: dict[str, str] = field(default_factory=dict)
    config: dict[str, Any] = field(default_factory=dict)
    notes: tuple[str, ...] = ()

    def text(self) -> str:
        """Everything to paste, in the order in which it is used."""
        parts = [f"export {name}={shlex.quote(v)}" for name, v in self.environment.items()]
        for name, content in self.files.items():
            parts.append(f"# {name}\n{content.rstrip()}")
        if self.command:
            parts.append(self.command)
        return "\n".join(parts)


def one_line(value: Any) -> str:
    """JSON on one line, as it stands in a shell command."""
    return json.dumps(value, separators=(", ", ": "), allow_nan=False)


def decimal(value: float) -> str:
    """A number as a person would write it: 3.24, not 3.2399999999999998."""
    return f"{value:.6f}".rstrip("0").rstrip(".")


def whole(name: str, value: Any, *, low: int = 0) -> int:
    """``value`` as an int in [low, inf), or ValueError naming what was found instead."""
    if isinstance(value, bool) or not isinstance(value, int) or value < low:
        raise ValueError(f"{name} must be an integer in [{low}, inf), got {value!r}")
    return value


@dataclass(frozen=True)
class DraftWords:
    """A draft in an engine's words; method, model: None where neither is known.

    options: what vLLM is given besides; flags: those that SGLang takes for a round of K draft
    tokens, None for a method that nobody named; notes: what is to be added by hand.
    """

    method: str | None
    model: str | None
    options: tuple[tuple[str, bool], ...] = ()
    flags: tuple[str, ...] | None = None
    notes: tuple[str, ...] = ()


def draft_words(
    pair: Pair, engine: Engine, *, method: str | None = None, model: str | None = None
) -> DraftWords:
    """The method and model of a pair's draft; what is stated wins.

    Raises ValueError for a kind of drafter that the engine does not run.
    """
    kind = None if pair.at.draft is None else DRAFTERS[pair.head or "model"]
    if method is None and kind is not None and engine not in kind.engines:
        able = ", ".join(kind.engines)
        raise ValueError(
            f"{engine} runs no {kind.name} drafts; {able} do: state a method to insist"
        )
    flags_of = kind if method is None else _called(method, engine) or kind
    flags = flags_of.sglang_flags if flags_of is not None and engine == "sglang" else None
    if kind is None:
        return DraftWords(method, model, flags=flags)
    named = model or _path(pair, kind)
    notes: tuple[str, ...] = ()
    if named is None and kind.needs_path:
        notes = (f"add the path of the {kind.name} weights for this target",)
    called = method or kind.engines[engine]
    return DraftWords(called, named, kind.options, flags, notes)


def _called(method: str, engine: Engine) -> DrafterKind | None:
    """The kind that an engine calls so, None where the table has none."""
    same = (
        k for k in DRAFTERS.values() if k.engines.get(engine, "").casefold() == method.casefold()
    )
    return next(same, None)


def _path(pair: Pair, kind: DrafterKind) -> str | None:
    """Where the weights of the draft are: a kind alone is no path to load."""
    name = pair.at.draft
    if name is None or not kind.needs_path or (kind.is_head and "/" not in name):
        return None
    return name
