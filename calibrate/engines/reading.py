"""One source given to the readers of every format: as JSON, events, a table or lines of text."""

from __future__ import annotations

import io
import re
from collections.abc import Callable, Iterable, Sequence
from functools import cache
from typing import Any, BinaryIO

from ..tables.cells import unquoted
from .acceptance_table import Objects, by_lines, captioned, read_acceptance, table_within, turned
from .benches import ModelOptimizer, SpecBench, SpecBenchRows
from .counts import EngineCounts
from .detect import (
    NoJson,
    ObjectReader,
    Walk,
    as_json,
    kind_of,
    object_lines,
    unwrapped,
    value_at,
    values_of,
)
from .drafts_json import Heads, LmStudioStats, Timings, UsageDetails
from .lines import LineReader, LineTaker
from .llama_cpp import LlamaLog, LlamaRounds
from .prometheus import PrometheusText, Scrape
from .reader import Body, Source, label_of, marked_lines, opened
from .requests import RoundsJson
from .rounds import HookRounds, read_golden, read_trace
from .sglang_log import DecodeLog
from .sglang_meta import MetaInfo
from .sglang_server import Benchmarks, ServerInfo
from .summaries import Summaries, read_prose
from .tensorrt_llm import BenchReport, IterationStatistics
from .vllm import V1Log, VllmBench
from .vllm_v0_log import V0Log

HEAD_BYTES = 1 << 16
_TABLE_BYTES, _PASTED_BYTES = 64 << 20, 2 << 20
_TEXT_KEYS = ("log", "message", "msg", "MESSAGE", "line", "text", "textPayload")
_TEXTS = frozenset(_TEXT_KEYS)


class Reading:
    """New readers of every format, and what a source gave beside their own state.

    gamma: the longest draft, where the caller states it. The readers stand in the order in which a
    source with several formats prefers them; pasted: those of summaries that scripts print, looked
    for where the others found nothing, so that a large log is not searched for their words.
    notes: on what was left out; found: the result of a format that is read as a whole; damage: the
    first line that is neither JSON nor a known log line; head: the first bytes, by which a source
    without statistics can be named.
    """

    def __init__(self, gamma: int | None = None) -> None:
        self.prometheus = PrometheusText()
        self.series = list(self.prometheus.scrapes.values())
        self.logs: list[LineReader] = [V1Log(), V0Log(), LlamaLog(gamma), DecodeLog()]
        self.lines: list[LineTaker] = [*self.logs, self.prometheus]
        self.pasted: list[LineReader] = [BenchReport(), MetaInfo(), LlamaRounds(), Summaries()]
        self.objects: list[ObjectReader] = [
            *map(RoundsJson, ("aiperf", "tensorrt-llm", "vllm")), VllmBench(), MetaInfo(),
            ServerInfo(), Benchmarks(), IterationStatistics(), BenchReport(), HookRounds(),
            ModelOptimizer(), SpecBench(), SpecBenchRows(), Timings(), LmStudioStats(),
            UsageDetails(), Heads(),
        ]  # fmt: skip
        self.walk = Walk(self.objects)
        self.head, self.damage = b"", ""
        self.notes: list[str] = []
        self.found: list[EngineCounts] = []

    def results(self) -> list[EngineCounts]:
        """The counts of the readers that found any. Raises ValueError for what cannot be."""
        every: tuple[ObjectReader | LineReader | Scrape, ...]
        every = (*self.objects, *self.series, *self.logs, *self.pasted)
        return self.found or [found for r in every if (found := r.result()) is not None]

    def read(self, source: Source) -> None:
        """Feed the readers with a source as `howspec.calibrate.engines.import_counts` takes it.

        Raises ValueError where it is empty, cannot be read or is damaged throughout.
        """
        with opened(source) as stream:
            assert isinstance(stream, io.BufferedReader)
            self.head = stream.peek(HEAD_BYTES)[:HEAD_BYTES]
            if not self.head.strip():
                raise ValueError("is empty")
            if len(self.head) < HEAD_BYTES and (plain := as_json(self.head)) is not None:
                stream, self.head = io.BufferedReader(io.BytesIO(plain)), plain
            kind = kind_of(self.head)
            if kind in _AS_A_WHOLE:
                self.found.append(_AS_A_WHOLE[kind](stream))
            elif kind == "columns":
                self.prometheus.columns(_whole(stream))
            elif kind == "json":
                self._values(values_of(stream, label_of(source), self._of_interest()))
            elif kind == "objects":
                self._values(object_lines(stream, self._of_interest()))
            else:
                _feed(stream, self.lines)

    def read_pasted(self, source: Source) -> None:
        """Look for summaries of scripts and tables where nothing else was found.

        The ends of a file are read again, of other sources the first 64 KiB. Raises ValueError for
        one that cannot be.
        """
        again = isinstance(source, Body) or (source != "-" and "://" not in source[:9])
        with opened(source if again else Body(label_of(source), self.head)) as stream:
            head, data = self.head, _ends(stream)
        if head.lstrip().startswith((b"{", b"[")):
            data = as_json(data) or data
            if bare := unwrapped(data, _TEXT_KEYS):
                head, data = bare[:HEAD_BYTES], bare
            elif found := _objects(data, label_of(source)):
                self.found.append(found)
                return
        _feed(io.BytesIO(data), self.pasted)
        text = unquoted(head.decode("utf-8", "replace"))
        self._objects_within(text)
        if table := table_within(text):
            try:
                self.found.append(read_acceptance(table))
            except ValueError:
                if not self.results():
                    raise
        elif found := turned(text) or captioned(text) or by_lines(text):
            self.found.append(found)
        elif len(head) < HEAD_BYTES and not self.results() and (said := read_prose(text)):
            self.found.append(said)

    def _objects_within(self, text: str) -> None:
        """Offer the JSON that begins a line of a text, such as behind the command that made it."""
        end = 0
        for begin in re.finditer(r"^[ \t]*(?=[{\[])", text, re.MULTILINE):
            if begin.end() >= end:
                found, end = value_at(text, begin.end())
                if found is not None:
                    self._offer(found)

    def _of_interest(self) -> Callable[[bytes], object]:
        """Whether a line of JSON can be of interest: it holds a key, or a word of a log line."""
        words = frozenset(m for r in self.lines for m in r.markers)
        return _finder(words, frozenset(k.encode() for r in self.objects for k in r.keys))

    def _values(self, values: Iterable[tuple[int, Any]]) -> None:
        """Offer values to the readers, and what is no JSON as text."""
        damaged = 0
        for line, value in values:
            if isinstance(value, NoJson):
                if not self._text(value.text) and value.reason:
                    damaged += bool(value.text)
                    self.damage = self.damage or f"line {line}: {value.reason}"
                continue
            try:
                self._offer(value)
            except ValueError as error:
                raise ValueError(f"line {line}: {error}" if line > 1 else str(error)) from None
        if damaged:
            noun = "line is" if damaged == 1 else "lines are"
            self.notes.append(f"{damaged} {noun} no JSON and left out; the first: {self.damage}")

    def _offer(self, value: Any) -> None:
        if isinstance(value, dict):
            if not _TEXTS.isdisjoint(value):
                text = next((value[k] for k in _TEXT_KEYS if isinstance(value.get(k), str)), "")
                if self._text(text):
                    return
            self.prometheus.take(value)
        self.walk(value)

    def _text(self, text: str) -> bool:
        """Hand on a log line, such as one that a container runtime wrapped in JSON."""
        raw, taken = text.encode("utf-8", "replace"), False
        for reader in self.lines:
            if any(m in raw for m in reader.markers):
                taken = True
                for line in text.splitlines():
                    reader.feed(line)
        return taken


def _feed(stream: BinaryIO, every: Sequence[LineTaker]) -> None:
    """Hand each line to the readers whose markers it holds."""
    markers = tuple(dict.fromkeys(m for r in every for m in r.markers))
    wanted: dict[tuple[bytes, ...], list[Callable[[str], None]]] = {}
    paired = next((r for r in every if isinstance(r, V1Log)), None)
    for _, raw, held in marked_lines(stream, markers, follows=V1Log.follows):
        feeds = wanted.get(held)
        if feeds is None:
            feeds = wanted[held] = [r.feed for r in every if not set(held).isdisjoint(r.markers)]
        behind, _, line = raw.decode("utf-8", "replace").rpartition("\n")
        if behind and paired is not None:
            paired.behind(behind)
        for feed in feeds:
            feed(line)


def _objects(data: bytes, label: str) -> EngineCounts | None:
    """Objects whose names say what they count, where no format of an engine was found."""
    every = Objects()
    for _, value in values_of(io.BytesIO(data), label, bool):
        if not isinstance(value, NoJson):
            every.offer(value)
    return every.result()


@cache
def _finder(words: frozenset[bytes], keys: frozenset[bytes]) -> Callable[[bytes], object]:
    key = re.compile(b'"(?:' + b"|".join(map(re.escape, sorted(keys))) + b")").search
    short = sorted(w for w in words if not any(o != w and o in w for o in words))

    def found(line: bytes) -> bool:
        if key(line) is not None:
            return True
        for word in short:  # noqa: SIM110 - every line comes here: no generator
            if word in line:
                return True
        return False

    return found


def _ends(stream: BinaryIO) -> bytes:
    """The first 2 MiB and the last: what is pasted is shorter, a benchmark ends with its table."""
    data, tail = stream.read(_PASTED_BYTES), b""
    while block := stream.read(_PASTED_BYTES):
        tail = (tail + block)[-_PASTED_BYTES:]
    return data + tail


def _whole(stream: BinaryIO) -> str:
    data = stream.read(_TABLE_BYTES + 1)
    if len(data) > _TABLE_BYTES:
        raise ValueError(f"a table must be at most {_TABLE_BYTES >> 20} MiB, got more")
    return data.decode("utf-8", "replace")


def _text(stream: BinaryIO) -> Iterable[str]:
    return io.TextIOWrapper(stream, encoding="utf-8", errors="replace", newline="")


def _parquet(stream: BinaryIO) -> str:
    """A Parquet file as CSV, where pyarrow, which reads them for pandas, is there."""
    import pandas as pd  # only here

    try:
        frame = pd.read_parquet(io.BytesIO(stream.read(_TABLE_BYTES)))
    except ImportError:
        raise ValueError(
            "a Parquet file needs pyarrow: pip install 'howspec[parquet]', or write it as CSV"
        ) from None
    except Exception as error:
        raise ValueError(f"is no whole Parquet file: {str(error).splitlines()[0]}") from None
    return str(frame.to_csv(index=False))


_AS_A_WHOLE: dict[str, Callable[[BinaryIO], EngineCounts]] = {
    "trace": lambda stream: read_trace(_text(stream)),
    "yaml": lambda stream: read_golden(_text(stream)),
    "table": lambda stream: read_acceptance(_whole(stream)),
    "parquet": lambda stream: read_acceptance(_parquet(stream)),
}
