"""How the bytes of a source reach the readers: as JSON, events, a table or lines of text."""

from __future__ import annotations

import io
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field
from functools import cache
from typing import Any, BinaryIO

from .counts import EngineCounts
from .detect import NoJson, Walk, kind_of, object_lines, values_of
from .formats import Readers
from .golden import read_golden
from .prometheus import PrometheusText
from .reader import marked_lines, opened
from .tables import read_csv

_HEAD_BYTES = 1 << 16
_TEXT_KEYS = ("log", "message", "msg", "MESSAGE", "line", "text", "textPayload")
_TEXTS = frozenset(_TEXT_KEYS)


@dataclass
class Intake:
    """What reading a source gave beside the readers' own state.

    notes: on what was left out; found: the result of a format that is read as a whole; damage: the
    first line that is neither JSON nor a known log line; head: the first bytes, by which a source
    without statistics can be named.
    """

    head: bytes = b""
    damage: str = ""
    notes: list[str] = field(default_factory=list)
    found: list[EngineCounts] = field(default_factory=list)


def read(source: str, readers: Readers) -> Intake:
    """Feed the readers with a source as `howspec.calibrate.engines.import_counts` takes it.

    Raises ValueError where it is empty, cannot be read or is damaged throughout.
    """
    with opened(source) as stream:
        assert isinstance(stream, io.BufferedReader)
        head = stream.peek(_HEAD_BYTES)[:_HEAD_BYTES]
        if not head.strip():
            raise ValueError("is empty")
        kind, taken = kind_of(head), Intake(head)
        if kind == "csv":
            taken.found.append(read_csv(_text(stream)))
        elif kind == "yaml":
            taken.found.append(read_golden(_text(stream)))
        elif kind == "json":
            _read_values(values_of(stream, source, _json_markers(readers)), readers, taken)
        elif kind == "objects":
            _read_values(object_lines(stream, _json_markers(readers)), readers, taken)
        else:
            _read_lines(stream, readers)
    return taken


def _text(stream: BinaryIO) -> Iterable[str]:
    return io.TextIOWrapper(stream, encoding="utf-8", errors="replace", newline="")


def _json_markers(readers: Readers) -> tuple[bytes, ...]:
    """Words one of which stands in every line of JSON that is of interest."""
    words = {m for r in readers.of_lines for m in r.markers}
    return _shortest(frozenset(words | {k.encode() for r in readers.objects for k in r.keys}))


@cache
def _shortest(words: frozenset[bytes]) -> tuple[bytes, ...]:
    """The words that hold none of the others."""
    return tuple(sorted(w for w in words if not any(o != w and o in w for o in words)))


def _read_values(values: Iterable[tuple[int, Any]], readers: Readers, taken: Intake) -> None:
    """Offer values to the readers, and what is no JSON as text."""
    walk, damaged = Walk(readers.objects), 0
    for line, value in values:
        if isinstance(value, NoJson):
            if not _feed_text(value.text, readers) and value.reason:
                damaged += bool(value.text)
                taken.damage = taken.damage or f"line {line}: {value.reason}"
            continue
        try:
            _offer(value, readers, walk)
        except ValueError as error:
            raise ValueError(f"line {line}: {error}" if line > 1 else str(error)) from None
    if damaged:
        noun = "line is" if damaged == 1 else "lines are"
        taken.notes.append(f"{damaged} {noun} no JSON and left out; the first: {taken.damage}")


def _offer(value: Any, readers: Readers, walk: Walk) -> None:
    if isinstance(value, dict):
        if not _TEXTS.isdisjoint(value):
            text = next((value[k] for k in _TEXT_KEYS if isinstance(value.get(k), str)), "")
            if _feed_text(text, readers):
                return
        if "data" in value:
            _samples(value, readers.series)
    walk(value)


def _feed_text(text: str, readers: Readers) -> bool:
    """Hand on a log line, such as one that a container runtime wrapped in JSON."""
    raw, taken = text.encode("utf-8", "replace"), False
    for reader in readers.of_lines:
        if any(m in raw for m in reader.markers):
            taken = True
            for line in text.splitlines():
                reader.feed(line)
    return taken


def _samples(value: dict[str, Any], series: Sequence[PrometheusText]) -> None:
    """Hand on samples of Prometheus' own query interface."""
    data = value["data"]
    found = data.get("result") if isinstance(data, dict) else None
    for sample in found if isinstance(found, list) else ():
        if not isinstance(sample, dict):
            continue
        metric, pair = sample.get("metric"), sample.get("value")
        if isinstance(metric, dict) and isinstance(pair, list) and len(pair) == 2:
            labels = ",".join(
                f'{k}="{v}"' for k, v in metric.items() if k != "__name__" and '"' not in str(v)
            )
            for reader in series:
                reader.feed(f"{metric.get('__name__', '')}{{{labels}}} {pair[1]}")


def _read_lines(stream: BinaryIO, readers: Readers) -> None:
    every = readers.of_lines
    markers = tuple(dict.fromkeys(m for r in every for m in r.markers))
    wanted: dict[tuple[bytes, ...], list[Callable[[str], None]]] = {}
    for _, raw, held in marked_lines(stream, markers):
        feeds = wanted.get(held)
        if feeds is None:
            feeds = wanted[held] = [r.feed for r in every if not set(held).isdisjoint(r.markers)]
        line = raw.decode("utf-8", "replace")
        for feed in feeds:
            feed(line)
