"""Read the statistics of one source, whatever its format: the way into this package."""

from __future__ import annotations

import io
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from typing import Any, BinaryIO

from .bench import SpecBench, SpecdecBench, VllmBench, VllmConsole
from .counts import ENGINES, EngineCounts
from .detect import ObjectReader, kind_of, parse, values_of, walk
from .lines import LineReader
from .llama_cpp_json import Timings
from .llama_cpp_log import LlamaLog, SimpleLog
from .prometheus import PrometheusText, Scrape
from .reader import marked_lines, opened
from .rounds_json import RoundsJson
from .sglang_json import BenchRows, MetaInfo, ServerInfo
from .sglang_log import DecodeLog
from .tables import read_csv, read_golden
from .tensorrt_llm import IterationStatistics, RequestMetrics
from .transformers_hook import HookRounds
from .vllm_log import V1Log
from .vllm_v0_log import V0Log

NAMES = (*ENGINES, "auto")
_HEAD_BYTES = 1 << 16
_TEXT_KEYS = ("log", "message", "msg", "MESSAGE", "line", "text", "textPayload")


@dataclass
class _Readers:
    """New readers of every format, in the order in which they are preferred."""

    lines: list[LineReader]
    objects: list[ObjectReader]
    series: list[PrometheusText]

    def results(self) -> list[EngineCounts]:
        """The counts of the readers that found any."""
        every: tuple[ObjectReader | LineReader, ...] = (*self.objects, *self.series, *self.lines)
        found = [r.result() for r in every]
        return [r for r in found if r is not None]


def _readers() -> _Readers:
    series = [PrometheusText(e) for e in ("vllm", "llama.cpp", "tensorrt-llm", "sglang")]
    return _Readers(
        lines=[V1Log(), V0Log(), VllmConsole(), LlamaLog(), SimpleLog(), DecodeLog()],
        objects=[
            RoundsJson("aiperf"),
            RoundsJson("vllm"),
            VllmBench(),
            MetaInfo(),
            ServerInfo(),
            BenchRows(),
            IterationStatistics(),
            RequestMetrics(),
            HookRounds(),
            SpecdecBench(),
            SpecBench(),
            Timings(),
        ],
        series=series,
    )


def import_counts(
    source: str, engine: str = "auto", *, before: str | None = None, model: str | None = None
) -> EngineCounts:
    """The statistics that ``source`` holds: a path, "-" for standard input, or an http(s) URL.

    engine: one of the names of `ENGINES`, or "auto". before: an earlier scrape of the same
    Prometheus text, which is subtracted; model: only the series of this model.
    Raises ValueError where the source cannot be read, holds no statistics, holds those of several
    engines, or contradicts itself.
    """
    if engine not in NAMES:
        raise ValueError(f"engine must be one of {', '.join(NAMES)}, got {engine!r}")
    if source == "-" and before == "-":
        raise ValueError("only one of the two scrapes can be standard input, got both")
    readers = _readers()
    try:
        notes, found = _read(source, readers)
        _restrict(source, readers.series, before, model)
        results = found or readers.results()
    except ValueError as error:
        message = str(error)
        raise ValueError(
            message if message.startswith(source) else f"{source}: {message}"
        ) from None
    result = _chosen(results, source, engine)
    return replace(result, notes=(*result.notes, *notes)) if notes else result


def _read(source: str, readers: _Readers) -> tuple[list[str], list[EngineCounts]]:
    """Feed the readers; returns notes and the result of a format that is read as a whole."""
    with opened(source) as stream:
        assert isinstance(stream, io.BufferedReader)
        head = stream.peek(_HEAD_BYTES)[:_HEAD_BYTES]
        if not head.strip():
            raise ValueError("is empty")
        kind = kind_of(head)
        if kind == "csv":
            return [], [read_csv(_text(stream))]
        if kind == "yaml":
            return [], [read_golden(_text(stream))]
        if kind == "json":
            return _read_values(values_of(stream, source), readers), []
        if kind == "events":
            return _read_values(_events(stream), readers), []
        _read_lines(stream, readers)
    return [], []


def _text(stream: BinaryIO) -> Iterable[str]:
    return io.TextIOWrapper(stream, encoding="utf-8", errors="replace", newline="")


def _events(stream: BinaryIO) -> Iterable[tuple[int, Any]]:
    """The values of server-sent events."""
    for number, line in enumerate(_text(stream), start=1):
        body = line.strip().removeprefix("data:").strip()
        if line.startswith("data:") and body and body != "[DONE]":
            try:
                yield number, parse(body)
            except ValueError as error:
                yield number, error


def _read_values(values: Iterable[tuple[int, Any]], readers: _Readers) -> list[str]:
    damaged, first = 0, ""
    for line, value in values:
        if isinstance(value, ValueError):
            damaged += 1
            first = first or f"line {line}: {value}"
            continue
        try:
            if isinstance(value, dict) and _log_text(value, readers):
                continue
            _samples(value, readers.series)
            walk(value, readers.objects)
        except ValueError as error:
            raise ValueError(f"line {line}: {error}" if line > 1 else str(error)) from None
    if not damaged:
        return []
    noun = "line is" if damaged == 1 else "lines are"
    return [f"{damaged} {noun} no JSON and left out; the first: {first}"]


def _log_text(value: dict[str, Any], readers: _Readers) -> bool:
    """Hand on a log line that a container runtime wrapped in JSON."""
    text = next((value[k] for k in _TEXT_KEYS if isinstance(value.get(k), str)), None)
    if text is None:
        return False
    raw, taken = text.encode("utf-8", "replace"), False
    for reader in (*readers.lines, *readers.series):
        if any(m in raw for m in reader.markers):
            taken = True
            for line in text.splitlines():
                reader.feed(line)
    return taken


def _samples(value: Any, series: Sequence[PrometheusText]) -> None:
    """Hand on samples of Prometheus' own query interface."""
    data = value.get("data") if isinstance(value, dict) else None
    found = data.get("result") if isinstance(data, dict) else None
    for sample in found if isinstance(found, list) else ():
        metric, pair = sample.get("metric"), sample.get("value")
        if isinstance(metric, dict) and isinstance(pair, list) and len(pair) == 2:
            labels = ",".join(
                f'{k}="{v}"' for k, v in metric.items() if k != "__name__" and '"' not in str(v)
            )
            for reader in series:
                reader.feed(f"{metric.get('__name__', '')}{{{labels}}} {pair[1]}")


def _read_lines(stream: BinaryIO, readers: _Readers) -> None:
    every: list[LineReader] = [*readers.lines, *readers.series]
    markers = tuple(dict.fromkeys(m for r in every for m in r.markers))
    wanted = [(r, r.markers) for r in every]
    for raw in marked_lines(stream, markers):
        line = raw.decode("utf-8", "replace")
        for reader, own in wanted:
            for marker in own:
                if marker in raw:
                    reader.feed(line)
                    break


def _restrict(
    source: str, series: Sequence[PrometheusText], before: str | None, model: str | None
) -> None:
    """Apply --before and --model to the engine whose series the source holds."""
    filled = [s for s in series if s.scrape.counters or s.scrape.gauges]
    if (before is not None or model is not None) and not filled:
        option = "--before" if before is not None else "--model"
        raise ValueError(f"{option} is for Prometheus text, which {source} is not")
    for reader in filled:
        reader.model = model
    if before is None:
        return
    earlier = _readers()
    _read(before, earlier)
    scrapes: dict[str, Scrape] = {s.engine: s.scrape for s in earlier.series}
    for reader in filled:
        if not scrapes[reader.engine].counters:
            raise ValueError(f"{before}: holds no counters of {reader.engine}")
        reader.before = scrapes[reader.engine]


def _chosen(results: Sequence[EngineCounts], source: str, engine: str) -> EngineCounts:
    """The one result, or the most detailed of one engine."""
    own = [r for r in results if engine in ("auto", r.engine) or _belongs(r, engine)]
    if not own:
        others = ", ".join(f"{r.engine} ({r.format})" for r in results)
        held = f"; it holds those of {others}" if others else ""
        what = "any engine" if engine == "auto" else engine
        raise ValueError(f"{source}: no speculative statistics of {what} were found{held}")
    engines = dict.fromkeys(r.engine for r in own)
    if len(engines) > 1:
        raise ValueError(
            f"{source}: holds statistics of several engines ({', '.join(engines)}); name one"
        )
    if len(own) == 1:
        return own[0]
    left = ", ".join(r.format for r in own[1:])
    return replace(own[0], notes=(*own[0].notes, f"other statistics of the source unused: {left}"))


def _belongs(result: EngineCounts, engine: str) -> bool:
    """Results of tools that drive one engine count as that engine's."""
    return engine == "vllm" and result.engine == "speculators"
