"""Speed-ups of the tables of measurements whose plain step is known too: one machine, one load."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable
from dataclasses import dataclass
from functools import cache

from ...calibrate.library.evidence import Measurement, measurements
from ...calibrate.library.load import study_of

_FORMED = ("computed from the printed numbers", "hardware inferred")
GATED = 0.75  # llama.cpp's p-min until May 2026, where drafts ended early by default
GATED_MOST = 16  # and its longest draft


@dataclass(frozen=True)
class TimedSpeedup:
    """speedup: at gamma, over plain decoding that takes ``plain`` [s] a token at the same batch.

    target, draft, device, dtype, draft_dtype, stack: names as a prediction takes them; tokens: per
    round, None where not stated; p_min: confidence at which drafts end early, None where they do
    not; study: who measured.
    """

    target: str
    draft: str
    device: str
    dtype: str
    draft_dtype: str
    kv_dtype: str
    stack: str
    batch: float
    task: str
    gamma: int
    speedup: float
    plain: float
    tokens: float | None
    p_min: float | None
    study: str

    @property
    def machine(self) -> tuple[object, ...]:
        """What rows share that are of one target on one machine under one load."""
        named = (self.study, self.target, self.dtype, self.kv_dtype)
        return (*named, self.device, self.batch, self.task)

    @property
    def label(self) -> str:
        """In words, for tables."""
        formats = f" {self.dtype}" if self.dtype else ""
        draft = f"{self.draft} {self.draft_dtype}".strip()
        return (
            f"{self.target}{formats} + {draft}, {self.device}, batch {self.batch:g}, "
            f"gamma {self.gamma}"
        )


@cache
def timed_speedups() -> tuple[TimedSpeedup, ...]:
    """The rows of the table of 2026 that state tokens or times of rounds beside a plain time."""
    groups: dict[tuple[object, ...], list[Measurement]] = defaultdict(list)
    for m in measurements():
        if m.table == "measured" and _usable(m):
            groups[_work(m)].append(m)
    found = [row for rows in groups.values() for row in _rows(rows)]
    return tuple(r for r in found if r is not None)


def _usable(m: Measurement) -> bool:
    told = not m.objection or m.objection.startswith(_FORMED)
    return bool(told and m.device and m.devices and m.target_model and m.stack and m.batch)


def _work(m: Measurement) -> tuple[object, ...]:
    names = (study_of(m.citation), m.target_model, m.target_format, m.kv_format, m.device)
    return (*names, m.devices, m.batch, m.task, m.execution, m.target)


def _rows(rows: list[Measurement]) -> Iterable[TimedSpeedup | None]:
    """The speed-ups of one target on one machine under one load."""
    alone = [m for m in rows if not m.drafter]
    plain_ms = [m.value for m in alone if m.metric == "tpot_ms"]
    drafted: dict[tuple[object, ...], dict[str, Measurement]] = defaultdict(dict)
    for m in rows:
        if m.drafter:
            drafted[m.draft, m.draft_format, m.gamma][m.metric] = m
    for by_metric in drafted.values():
        tokens = by_metric.get("tokens_per_round")
        for metric, m in by_metric.items():
            value = tokens.value if tokens is not None else None
            if metric == "tpot_ms" and plain_ms:
                yield _row(m, plain_ms[0] / m.value, 1e-3 * plain_ms[0], value)
            elif metric == "speedup_run" and m.plain and value:
                yield _row(m, m.value, (m.batch or 1.0) / m.plain, value)
            elif metric == "throughput_decode" and m.plain and m.drafting == "adaptive":
                yield _row(m, m.value / m.plain, (m.batch or 1.0) / m.plain, value)


def _row(m: Measurement, speedup: float, plain: float, tokens: float | None) -> TimedSpeedup | None:
    gated = m.drafting == "adaptive"
    gamma = GATED_MOST if gated else m.gamma
    if not gamma:
        return None
    return TimedSpeedup(
        m.target_model,
        m.draft_model or m.draft,
        f"{m.devices}x {m.device}",
        m.target_format,
        m.draft_format if m.draft_model else "",
        m.kv_format,
        m.cost_stack,
        m.batch or 1.0,
        m.task,
        gamma,
        speedup,
        plain,
        tokens,
        GATED if gated else None,
        study_of(m.citation),
    )
