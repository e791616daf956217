"""What is handed over in an engine's words, and how an engine knows the draft."""

from __future__ import annotations

import json
import shlex
from dataclasses import dataclass, field
from typing import Any


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
