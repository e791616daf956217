"""What every reader of a line format shares: markers, and lines that were cut or damaged."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Protocol

from .counts import EngineCounts

_ANSI = re.compile(r"\x1b\[[0-9;?]*[ -/]*[@-~]")
_PROCESS = re.compile(r"\b(?:pid=|pid |rank |TP|DP|PP)(\d+)\b")


class LineReader(Protocol):
    """Takes the lines that hold one of its markers and gives the counts in the end.

    engine: the engine's name; markers: bytes, one of which stands in every line of interest;
    needed: those of them that make the reader responsible (others only add a version or a gamma).
    """

    engine: str
    markers: tuple[bytes, ...]
    needed: tuple[bytes, ...]

    def feed(self, line: str) -> None:
        """Take one line."""
        ...

    def result(self) -> EngineCounts | None:
        """The counts, or None where no line was this reader's. ValueError where none was whole."""
        ...


@dataclass
class Damage:
    """Lines that carry a reader's marker and cannot be read: how many, and the first reason."""

    label: str
    lines: int = 0
    reason: str = ""

    def add(self, reason: str) -> None:
        """Count a line."""
        self.lines += 1
        self.reason = self.reason or reason

    def refuse_if_alone(self, whole: int) -> None:
        """Raise ValueError where lines are damaged and none is whole."""
        if self.lines and not whole:
            raise ValueError(f"{self.label}: no line can be read; the first: {self.reason}")

    def notes(self) -> list[str]:
        """One sentence where lines were left out."""
        if not self.lines:
            return []
        noun = "line was" if self.lines == 1 else "lines were"
        return [f"{self.lines} {self.label} {noun} left out; the first: {self.reason}"]


def without_colours(line: str) -> str:
    """The line without the escape sequences of a terminal."""
    return _ANSI.sub("", line) if "\x1b" in line else line


def process_of(line: str) -> str:
    """The process or rank that a log prefix names, "" where it names none."""
    return "/".join(m.group(0) for m in _PROCESS.finditer(line[:200]))
