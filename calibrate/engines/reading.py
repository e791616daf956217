"""How the bytes of a source reach the readers: as JSON, events, a table or lines of text."""

from __future__ import annotations

import csv
import io
import re
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field
from functools import cache
from typing import TYPE_CHECKING, Any, BinaryIO

from ..tables.cells import unquoted
from .acceptance_table import Objects, by_lines, captioned, read_acceptance, table_within, turned
from .counts import EngineCounts
from .detect import NoJson, Walk, as_json, kind_of, object_lines, unwrapped, value_at, values_of
from .lines import LineTaker
from .prometheus import PrometheusText
from .reader import Body, Source, label_of, marked_lines, opened
from .rounds import read_golden, read_trace
from .summaries import read_prose
from .vllm import V1Log

if TYPE_CHECKING:
    from .load import Readers

HEAD_BYTES = 1 << 16
_TABLE_BYTES, _PASTED_BYTES = 64 << 20, 2 << 20
_TEXT_KEYS = ("log", "message", "msg", "MESSAGE", "line", "text", "textPayload")
_TEXTS = frozenset(_TEXT_KEYS)
# What a counter gained in AIPerf's exports, else the mean of a gauge.
_GAINED = ("total", "delta", "increase", "value", "avg", "last")


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


def read(source: Source, readers: Readers) -> Intake:
    """Feed the readers with a source as `howspec.calibrate.engines.import_counts` takes it.

    Raises ValueError where it is empty, cannot be read or is damaged throughout.
    """
    with opened(source) as stream:
        assert isinstance(stream, io.BufferedReader)
        head = stream.peek(HEAD_BYTES)[:HEAD_BYTES]
        if not head.strip():
            raise ValueError("is empty")
        if len(head) < HEAD_BYTES and (plain := as_json(head)) is not None:
            stream, head = io.BufferedReader(io.BytesIO(plain)), plain
        kind, taken = kind_of(head), Intake(head)
        if kind == "trace":
            taken.found.append(read_trace(_text(stream)))
        elif kind == "table":
            taken.found.append(read_acceptance(_whole(stream)))
        elif kind == "columns":
            _columns(_whole(stream), readers.prometheus)
        elif kind == "parquet":
            taken.found.append(read_acceptance(_parquet(stream)))
        elif kind == "yaml":
            taken.found.append(read_golden(_text(stream)))
        elif kind == "json":
            _read_values(values_of(stream, label_of(source), _of_interest(readers)), readers, taken)
        elif kind == "objects":
            _read_values(object_lines(stream, _of_interest(readers)), readers, taken)
        else:
            _read_lines(stream, readers.of_lines)
    return taken


def read_pasted(source: Source, readers: Readers, taken: Intake) -> None:
    """Look for summaries of scripts and tables where nothing else was found.

    The ends of a file are read again, of other sources the first 64 KiB. Raises ValueError for one
    that cannot be.
    """
    again = isinstance(source, Body) or (source != "-" and "://" not in source[:9])
    with opened(source if again else Body(label_of(source), taken.head)) as stream:
        head, data = taken.head, _ends(stream)
        if head.lstrip().startswith((b"{", b"[")):
            data = as_json(data) or data
            if bare := unwrapped(data, _TEXT_KEYS):
                head, data = bare[:HEAD_BYTES], bare
            elif found := _objects(data, label_of(source)):
                taken.found.append(found)
                return
        _read_lines(io.BufferedReader(io.BytesIO(data)), readers.pasted)
    text = unquoted(head.decode("utf-8", "replace"))
    _objects_within(text, readers)
    if table := table_within(text):
        try:
            taken.found.append(read_acceptance(table))
        except ValueError:
            if not readers.results():
                raise
    elif found := turned(text) or captioned(text) or by_lines(text):
        taken.found.append(found)
    elif len(head) < HEAD_BYTES and not readers.results() and (said := read_prose(text)):
        taken.found.append(said)


def _objects_within(text: str, readers: Readers) -> None:
    """Offer the JSON that begins a line of a text, such as behind the command that printed it."""
    walk, end = Walk(readers.objects), 0
    for begin in re.finditer(r"^[ \t]*(?=[{\[])", text, re.MULTILINE):
        if begin.end() >= end:
            found, end = value_at(text, begin.end())
            if found is not None:
                _offer(found, readers, walk)


def _ends(stream: BinaryIO) -> bytes:
    """The first 2 MiB and the last: what is pasted is shorter, a benchmark ends with its table."""
    data, tail = stream.read(_PASTED_BYTES), b""
    while block := stream.read(_PASTED_BYTES):
        tail = (tail + block)[-_PASTED_BYTES:]
    return data + tail


def _objects(data: bytes, label: str) -> EngineCounts | None:
    """Objects whose names say what they count, where no format of an engine was found."""
    every = Objects()
    for _, value in values_of(io.BytesIO(data), label, bool):
        if not isinstance(value, NoJson):
            every.offer(value)
    return every.result()


def _whole(stream: BinaryIO) -> str:
    data = stream.read(_TABLE_BYTES + 1)
    if len(data) > _TABLE_BYTES:
        raise ValueError(f"a table must be at most {_TABLE_BYTES >> 20} MiB, got more")
    return data.decode("utf-8", "replace")


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


def _text(stream: BinaryIO) -> Iterable[str]:
    return io.TextIOWrapper(stream, encoding="utf-8", errors="replace", newline="")


def _of_interest(readers: Readers) -> Callable[[bytes], object]:
    """Whether a line of JSON can be of interest: it holds a key, or a word of a log line."""
    words = frozenset(m for r in readers.of_lines for m in r.markers)
    return _finder(words, frozenset(k.encode() for r in readers.objects for k in r.keys))


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
            _samples(value, readers.prometheus)
        if isinstance(value.get("metrics"), dict):
            _exported(value["metrics"], readers.prometheus)
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


def _samples(value: dict[str, Any], prometheus: PrometheusText) -> None:
    """Hand on samples of Prometheus' own query interface."""
    data = value["data"]
    found = data.get("result") if isinstance(data, dict) else None
    for sample in found if isinstance(found, list) else ():
        if not isinstance(sample, dict):
            continue
        metric, pairs = sample.get("metric"), sample.get("values", [sample.get("value")])
        pairs = [p for p in pairs if isinstance(p, list) and len(p) == 2]
        if isinstance(metric, dict):
            named = {k: v for k, v in metric.items() if k != "__name__"}
            name = f"{metric.get('__name__', '')}{{{_labels(named)}}}"
            prometheus.over_time(name, [str(p[1]) for p in pairs])


def _columns(text: str, prometheus: PrometheusText) -> None:
    """Hand on the columns of a panel that Grafana exported, a series each, a row a time."""
    try:
        header, *rows = csv.reader(io.StringIO(text))
    except csv.Error as error:
        raise ValueError(f"is no table of a panel: {error}") from None
    for k, cell in enumerate(header):
        named = re.match(r'\s*\{(.*?)__name__="([^"]+)",?\s*(.*)\}\s*$', cell)
        name = f"{named[2]}{{{named[1]}{named[3]}}}" if named else cell
        values = [row[k].strip() for row in rows if len(row) > k and row[k].strip()]
        prometheus.over_time(name, values)


def _exported(metrics: dict[str, Any], prometheus: PrometheusText) -> None:
    """Hand on AIPerf's server_metrics_export.json: what each counter gained during the run."""
    for name, metric in metrics.items():
        held = metric.get("series") if isinstance(metric, dict) else None
        for one in held if isinstance(held, list) else ():
            if not isinstance(one, dict):
                continue
            stats, labels = one.get("stats"), one.get("labels")
            stats = stats if isinstance(stats, dict) else one
            value = next((stats[k] for k in _GAINED if isinstance(stats.get(k), int | float)), None)
            pairs = dict(labels) if isinstance(labels, dict) else {}
            if isinstance(one.get("endpoint_url"), str):
                pairs["endpoint_url"] = one["endpoint_url"]
            if value is not None:
                prometheus.feed(f"{name}{{{_labels(pairs)}}} {value}")


def _labels(pairs: dict[str, Any]) -> str:
    return ",".join(f'{k}="{v}"' for k, v in pairs.items() if '"' not in str(v))


def _read_lines(stream: BinaryIO, every: Sequence[LineTaker]) -> None:
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
