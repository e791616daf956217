"""Every format that is read, in the order in which a source with several of them prefers them."""

from __future__ import annotations

from dataclasses import dataclass, field

from .benches import ModelOptimizer, SpecBench, SpecBenchRows
from .counts import EngineCounts
from .detect import ObjectReader
from .drafts_json import Heads, LmStudioStats, Timings, UsageDetails
from .lines import LineReader
from .llama_cpp import LlamaLog, LlamaRounds
from .prometheus import PrometheusText
from .requests import RoundsJson
from .rounds import HookRounds
from .sglang_log import DecodeLog
from .sglang_meta import MetaInfo
from .sglang_server import Benchmarks, ServerInfo
from .summaries import Summaries
from .tensorrt_llm import BenchReport, IterationStatistics
from .vllm import V1Log, VllmBench
from .vllm_v0_log import V0Log


def _line_readers() -> list[LineReader]:
    return [V1Log(), V0Log(), LlamaLog(), DecodeLog()]


def _pasted_readers() -> list[LineReader]:
    return [BenchReport(), MetaInfo(), LlamaRounds(), Summaries()]


def _object_readers() -> list[ObjectReader]:
    return [
        RoundsJson("aiperf"),
        RoundsJson("tensorrt-llm"),
        RoundsJson("vllm"),
        VllmBench(),
        MetaInfo(),
        ServerInfo(),
        Benchmarks(),
        IterationStatistics(),
        BenchReport(),
        HookRounds(),
        ModelOptimizer(),
        SpecBench(),
        SpecBenchRows(),
        Timings(),
        LmStudioStats(),
        UsageDetails(),
        Heads(),
    ]


def _series_readers() -> list[PrometheusText]:
    return [PrometheusText(e) for e in ("vllm", "llama.cpp", "tensorrt-llm", "sglang", "tgi")]


@dataclass
class Readers:
    """New readers of every format; gamma: the longest draft, where the caller states it.

    pasted: of summaries that scripts print, looked for where the others found nothing, so that a
    large log is not searched for their words.
    """

    gamma: int | None = None
    lines: list[LineReader] = field(default_factory=_line_readers)
    pasted: list[LineReader] = field(default_factory=_pasted_readers)
    objects: list[ObjectReader] = field(default_factory=_object_readers)
    series: list[PrometheusText] = field(default_factory=_series_readers)

    def __post_init__(self) -> None:
        for reader in self.lines:
            if isinstance(reader, LlamaLog):
                reader.given = self.gamma

    @property
    def of_lines(self) -> list[LineReader]:
        """The readers that take lines of text."""
        return [*self.lines, *self.series]

    def results(self) -> list[EngineCounts]:
        """The counts of the readers that found any. Raises ValueError for what cannot be."""
        every: tuple[ObjectReader | LineReader, ...] = (
            *self.objects, *self.series, *self.lines, *self.pasted,
        )  # fmt: skip
        found = [r.result() for r in every]
        return [r for r in found if r is not None]
