"""Read the statistics of one source, whatever its format: the way into this package."""

from __future__ import annotations

from collections.abc import Sequence

from .counts import ENGINES, EngineCounts
from .lines import LineReader
from .reader import marked_lines, opened
from .vllm_log import V1Log
from .vllm_v0_log import V0Log

NAMES = (*ENGINES, "auto")


def line_readers(engine: str) -> list[LineReader]:
    """New readers of the line formats of an engine, or of all."""
    readers: list[LineReader] = [V1Log(), V0Log()]
    return [r for r in readers if engine in ("auto", r.engine)]


def import_counts(source: str, engine: str = "auto") -> EngineCounts:
    """The statistics that ``source`` holds: a path, "-" for standard input, or an http(s) URL.

    engine: one of the names of `ENGINES`, or "auto". Raises ValueError where the source cannot be
    read, holds no statistics, holds those of several engines, or contradicts itself.
    """
    if engine not in NAMES:
        raise ValueError(f"engine must be one of {', '.join(NAMES)}, got {engine!r}")
    readers = line_readers(engine)
    with opened(source) as stream:
        markers = tuple(dict.fromkeys(m for r in readers for m in r.markers))
        for raw in marked_lines(stream, markers):
            line = raw.decode("utf-8", "replace")
            for reader in readers:
                if any(m in raw for m in reader.markers):
                    reader.feed(line)
    return _only([r.result() for r in readers], source, engine)


def _only(results: Sequence[EngineCounts | None], source: str, engine: str) -> EngineCounts:
    found = [r for r in results if r is not None]
    if not found:
        raise ValueError(f"{source}: no statistics of {engine} were found")
    if len(found) > 1:
        named = ", ".join(f"{r.engine} ({r.format})" for r in found)
        raise ValueError(f"{source}: holds several kinds of statistics: {named}")
    return found[0]
