"""What a source is: JSON, lines of JSON, a table, or lines of a log or of Prometheus text."""

from __future__ import annotations

import json
import math
from collections.abc import Iterable, Iterator
from typing import Any, BinaryIO, Protocol

from .counts import EngineCounts
from .tables import is_golden, is_table

DOCUMENT_BYTES = 256 << 20
_NOT_JSON = json.JSONDecodeError


class ObjectReader(Protocol):
    """Takes the JSON objects that are its format's, and gives the counts in the end."""

    engine: str

    def take(self, entry: dict[str, Any], key: str) -> bool:
        """Take an object that stands under ``key``; False where it is not this format's."""
        ...

    def result(self) -> EngineCounts | None:
        """The counts, or None where nothing was taken."""
        ...


def kind_of(head: bytes) -> str:
    """json, csv, yaml or lines, from the first bytes of a source."""
    text = head.decode("utf-8", "replace").lstrip("\ufeff \t\r\n")
    if text.startswith(("{", "[{", "[\n", "[\r", "[ ", "[[", "[]", '["')):
        return "json"
    if text.startswith("data:"):
        return "events"
    if is_table(text.split("\n", 1)[0]):
        return "csv"
    if is_golden(text):
        return "yaml"
    return "lines"


def walk(value: Any, readers: Iterable[ObjectReader], key: str = "") -> int:
    """Offer every object within ``value`` to the readers; returns how many were taken."""
    readers, taken, stack = list(readers), 0, [(key, value)]
    while stack:
        name, part = stack.pop()
        if isinstance(part, dict):
            if any(r.take(part, name) for r in readers):
                taken += 1
                continue
            stack += [(str(k), v) for k, v in reversed(part.items()) if isinstance(v, dict | list)]
        elif isinstance(part, list):
            stack += [(name, _inner(v)) for v in reversed(part) if isinstance(v, dict | list | str)]
    return taken


def _inner(value: Any) -> Any:
    """An object that stands in a list as a string of JSON, as some servers return them."""
    if isinstance(value, str) and value.lstrip().startswith("{"):
        try:
            return parse(value)
        except ValueError:
            return None
    return value


def parse(text: str) -> Any:
    """One JSON value; NaN and infinities become null. Raises ValueError."""
    try:
        return json.loads(text, parse_constant=lambda _: math.nan)
    except RecursionError:
        raise ValueError("JSON must not be nested that deep") from None


def values_of(stream: BinaryIO, label: str) -> Iterator[tuple[int, Any]]:
    """(line, value) of JSON, of values one after another, or of one value a line.

    A document must fit into 256 MiB; one value a line is read line by line. A line that is no JSON
    gives (line, ValueError), so that the caller can say what was left out.
    """
    first = stream.readline(DOCUMENT_BYTES)
    while first and not first.strip():
        first = stream.readline(DOCUMENT_BYTES)
    try:
        value = parse(first.decode("utf-8", "replace"))
    except ValueError:
        yield from _document(first, stream, label)
        return
    yield 1, value
    yield from _lines(stream, 2)


def _lines(stream: BinaryIO, start: int) -> Iterator[tuple[int, Any]]:
    number = start
    while line := stream.readline(DOCUMENT_BYTES):
        if line.strip():
            try:
                yield number, parse(line.decode("utf-8", "replace"))
            except ValueError as error:
                yield number, error
        number += 1


def _document(first: bytes, stream: BinaryIO, label: str) -> Iterator[tuple[int, Any]]:
    data = first + stream.read(DOCUMENT_BYTES + 1 - len(first))
    if len(data) > DOCUMENT_BYTES:
        raise ValueError(f"{label}: one JSON document must be at most 256 MiB, got more")
    text = data.decode("utf-8", "replace").lstrip("\ufeff")
    decoder = json.JSONDecoder(parse_constant=lambda _: math.nan)
    at, found = 0, []
    try:
        while (at := _skip(text, at)) < len(text):
            value, at = decoder.raw_decode(text, at)
            found.append(value)
    except RecursionError:
        raise ValueError(f"{label}: JSON must not be nested that deep") from None
    except ValueError as error:
        by_line = list(_loose(text))
        if not any(isinstance(v, dict | list) for _, v in by_line):
            line = text.count("\n", 0, error.pos if isinstance(error, _NOT_JSON) else at) + 1
            reason = error.msg if isinstance(error, _NOT_JSON) else str(error)
            raise ValueError(f"{label}, line {line}: is no whole JSON: {reason}") from None
        yield from by_line
        return
    for value in found:
        yield 1, value


def _skip(text: str, at: int) -> int:
    while at < len(text) and text[at] in " \t\r\n,":
        at += 1
    return at


def _loose(text: str) -> Iterator[tuple[int, Any]]:
    """Values of the lines that are whole objects, where the text as a whole is damaged."""
    for number, line in enumerate(text.splitlines(), start=1):
        piece = line.strip().rstrip(",")
        if not piece:
            continue
        try:
            value = parse(piece)
        except ValueError as error:
            yield number, error
            continue
        yield number, value if isinstance(value, dict) else ValueError("is no object of a line")
