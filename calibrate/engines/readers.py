"""Every reader, in the order in which a source with several formats prefers them."""

from __future__ import annotations

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


class Readers:
    """New readers of every format; gamma: the longest draft, where the caller states it.

    pasted: of summaries that scripts print, looked for where the others found nothing, so that a
    large log is not searched for their words. They stand in the order in which a source with
    several formats prefers them.
    """

    def __init__(self, gamma: int | None = None) -> None:
        names = ("vllm", "llama.cpp", "tensorrt-llm", "sglang", "tgi")
        self.series = [PrometheusText(engine) for engine in names]
        lines: list[LineReader] = [V1Log(), V0Log(), LlamaLog(gamma), DecodeLog()]
        self.lines = lines
        self.of_lines: list[LineReader] = [*lines, *self.series]
        self.pasted: list[LineReader] = [BenchReport(), MetaInfo(), LlamaRounds(), Summaries()]
        self.objects: list[ObjectReader] = [
            *map(RoundsJson, ("aiperf", "tensorrt-llm", "vllm")), VllmBench(), MetaInfo(),
            ServerInfo(), Benchmarks(), IterationStatistics(), BenchReport(), HookRounds(),
            ModelOptimizer(), SpecBench(), SpecBenchRows(), Timings(), LmStudioStats(),
            UsageDetails(), Heads(),
        ]  # fmt: skip

    def results(self) -> list[EngineCounts]:
        """The counts of the readers that found any. Raises ValueError for what cannot be."""
        every: tuple[ObjectReader | LineReader, ...]
        every = (*self.objects, *self.series, *self.lines, *self.pasted)
        return [found for reader in every if (found := reader.result()) is not None]
