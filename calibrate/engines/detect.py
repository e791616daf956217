"""What a source is: JSON, lines of JSON, a table, or lines of a log or of Prometheus text."""

from __future__ import annotations

import ast
import json
import math
import re
import warnings
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from typing import Any, BinaryIO, Protocol

from .acceptance_table import is_acceptance
from .counts import EngineCounts
from .rounds import is_golden, is_trace

DOCUMENT_BYTES = 256 << 20
_OBJECT_LINE = re.compile(r"^(?:data:\s*)?\{\s*\"", re.MULTILINE)
_PANEL = re.compile(r'"?time"?,.*(?:vllm|sglang|llamacpp|trtllm|tgi)[:_]\w*spec', re.IGNORECASE)
_INSIDE = re.compile(r'"\w+"\s*:\s*[\[{"\d]')
_NESTED = (dict, list)
_OFFERED = (dict, list, str)
_Take = Callable[[dict[str, Any], str], bool]
_DECODER = json.JSONDecoder(parse_constant=lambda _: math.nan)


class ObjectReader(Protocol):
    """Takes the JSON objects that are its format's, and gives the counts in the end.

    keys: one of them stands in every object of the format.
    """

    keys: frozenset[str]

    def take(self, entry: dict[str, Any], key: str) -> bool:
        """Take an object that stands under ``key``; False where it is not this format's."""
        ...

    def result(self) -> EngineCounts | None:
        """The counts, or None where nothing was taken."""
        ...


@dataclass(frozen=True)
class NoJson:
    """A line that is no JSON: its text, and the reason."""

    text: str
    reason: str


def as_json(data: bytes) -> bytes | None:
    """JSON for what Python prints, or for the inside of an object that was pasted; else None."""
    text = data.decode("utf-8", "replace").strip().rstrip(",")
    try:
        if text.startswith(("{'", "[{'")):
            with warnings.catch_warnings():  # of escapes that Python does not know
                warnings.simplefilter("ignore")
                return _printed(text)
        if _INSIDE.match(text):
            return json.dumps(json.loads(f"{{{text}}}")).encode()
    except (ValueError, SyntaxError, TypeError, RecursionError, MemoryError):
        pass
    return None


def _printed(text: str) -> bytes:
    """What Python printed as JSON: one value, or a value a line."""
    try:
        return json.dumps(ast.literal_eval(text)).encode()
    except SyntaxError:
        values = [ast.literal_eval(line.strip()) for line in text.splitlines() if line.strip()]
        return "\n".join(map(json.dumps, values)).encode()


def value_at(text: str, begin: int) -> tuple[Any, int]:
    """The JSON value that begins there, and its end; None where none does."""
    try:
        value, end = _DECODER.raw_decode(text, begin)
    except (ValueError, RecursionError):
        return None, begin
    return value, end


def kind_of(head: bytes) -> str:
    """json, columns (of a panel), trace, table, yaml, parquet, objects (lines) or lines."""
    if head.startswith(b"PAR1"):
        return "parquet"
    text = head.decode("utf-8", "replace").lstrip("\ufeff \t\r\n")
    if text.startswith(("{", "[{", "[\n", "[\r", "[ ", "[[", "[]", '["')):
        return "json"
    first = text.split("\n", 1)[0]
    if _PANEL.match(first):
        return "columns"
    if is_trace(first):
        return "trace"
    if is_acceptance(first):
        return "table"
    if is_golden(text):
        return "yaml"
    return "objects" if _OBJECT_LINE.search(text) else "lines"


class Walk:
    """Offers every object within a value to the readers that know one of its keys."""

    def __init__(self, readers: Iterable[ObjectReader]) -> None:
        self._readers = list(readers)
        self._keys = frozenset[str]().union(*(r.keys for r in self._readers))
        self._takes: dict[frozenset[str], list[_Take]] = {}

    def __call__(self, value: Any) -> None:
        """Walk through one value, outer objects before inner ones; what is taken is not entered."""
        stack = [("", value)]
        while stack:
            name, part = stack.pop()
            if isinstance(part, dict):
                held = self._keys.intersection(part)
                if held and self._taken(held, part, name):
                    continue
                stack += [(k, v) for k, v in reversed(part.items()) if isinstance(v, _NESTED)]
            elif isinstance(part, list):
                stack += [(name, _inner(v)) for v in reversed(part) if isinstance(v, _OFFERED)]

    def _taken(self, held: frozenset[str], part: dict[str, Any], name: str) -> bool:
        takes = self._takes.get(held)
        if takes is None:
            takes = [r.take for r in self._readers if not held.isdisjoint(r.keys)]
            self._takes[held] = takes
        for take in takes:  # noqa: SIM110 - every round of a log comes here: no generator
            if take(part, name):
                return True
        return False


def _inner(value: Any) -> Any:
    """An object that stands in a list as a string of JSON, as some servers return them."""
    if isinstance(value, str):
        found = parse(value) if value.lstrip().startswith("{") else None
        return None if isinstance(found, NoJson) else found
    return value


def parse(text: str) -> Any:
    """One JSON value, NaN and infinities as NaN; :class:`NoJson` where it is none."""
    try:
        return _DECODER.decode(text)
    except RecursionError:
        return NoJson(text, "JSON must not be nested that deep")
    except json.JSONDecodeError as error:
        return NoJson(text, f"{error.msg} at column {error.colno}")
    except ValueError as error:
        return NoJson(text, str(error))


def object_lines(
    stream: BinaryIO, wanted: Callable[[bytes], object], start: int = 1
) -> Iterator[tuple[int, Any]]:
    """(line, value) of the lines that are wanted: JSON, server-sent events, or text."""
    number = start
    while line := stream.readline(DOCUMENT_BYTES):
        if wanted(line):
            text = line.decode("utf-8", "replace").rstrip("\r\n")
            body = text.removeprefix("data:").lstrip()
            yield number, parse(body) if body.startswith(("{", "[")) else NoJson(text, "")
        number += 1


def values_of(
    stream: BinaryIO, label: str, wanted: Callable[[bytes], object]
) -> Iterator[tuple[int, Any]]:
    """(line, value) of JSON, of values one after another, or of one value a line.

    A document must fit into 256 MiB. Of one value a line only the lines that are wanted are
    read, and what is no JSON comes as :class:`NoJson`. Raises ValueError for a damaged document.
    """
    number, first = 1, stream.readline(DOCUMENT_BYTES)
    while first and not first.strip():
        number, first = number + 1, stream.readline(DOCUMENT_BYTES)
    text = first.decode("utf-8", "replace")
    value = parse(text)
    if isinstance(value, NoJson) and _goes_on(text):
        yield from _document(first, stream, label)
        return
    yield number, value
    yield from object_lines(stream, wanted, number + 1)


def _goes_on(text: str) -> bool:
    """Whether a line that is no whole JSON could be the start of some, not a line of a log."""
    try:
        _DECODER.raw_decode(text.lstrip("\ufeff \t\r\n"))
    except RecursionError:
        return False
    except ValueError as error:
        at = error.pos if isinstance(error, json.JSONDecodeError) else 0
        return at >= len(text.strip()) - 1 or "string" in str(error)
    return True


def _document(first: bytes, stream: BinaryIO, label: str) -> Iterator[tuple[int, Any]]:
    data = first + stream.read(DOCUMENT_BYTES + 1 - len(first))
    if len(data) > DOCUMENT_BYTES:
        raise ValueError(f"{label}: one JSON document must be at most 256 MiB, got more")
    text = data.decode("utf-8", "replace").lstrip("\ufeff")
    at, found = 0, []
    try:
        while (at := _skip(text, at)) < len(text):
            value, at = _DECODER.raw_decode(text, at)
            found.append(value)
    except RecursionError:
        raise ValueError(f"{label}: JSON must not be nested that deep") from None
    except ValueError as error:
        line = text.count("\n", 0, getattr(error, "pos", at)) + 1
        yield line, NoJson("", getattr(error, "msg", str(error)))
        yield from _loose(text)
        return
    for value in found:
        yield 1, value


def _skip(text: str, at: int) -> int:
    while at < len(text) and text[at] in " \t\r\n,":
        at += 1
    return at


def _loose(text: str) -> Iterator[tuple[int, Any]]:
    """Lines that are whole objects, and lines of text, where the text as a whole is damaged."""
    for number, raw in enumerate(text.splitlines(), start=1):
        piece = raw.strip().rstrip(",")
        if piece:
            value = parse(piece)
            yield number, value if isinstance(value, dict | NoJson) else NoJson(raw, "no object")


def unwrapped(data: bytes, keys: Iterable[str]) -> bytes:
    """The text within lines that a container runtime keeps as JSON, b"" where they are none."""
    lines = []
    for line in filter(None, (x.strip() for x in data.splitlines())):
        try:
            value = json.loads(line)
        except ValueError:
            return b""
        held = value if isinstance(value, dict) else {}
        text = next((held[k] for k in keys if isinstance(held.get(k), str)), None)
        if text is None:
            return b""
        lines.append(text.rstrip("\r\n"))
    return "\n".join(lines).encode()
