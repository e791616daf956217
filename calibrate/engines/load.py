"""Read the statistics of one source, whatever its format: the way into this package."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

from .completed import with_gamma
from .counts import ENGINES, EngineCounts
from .formats import Readers
from .hints import hint
from .intake import read
from .prometheus import PrometheusText
from .prometheus_scrape import Scrape

NAMES = (*ENGINES, "auto")


def import_counts(
    source: str,
    engine: str = "auto",
    *,
    before: str | None = None,
    model: str | None = None,
    gamma: int | None = None,
) -> EngineCounts:
    """The statistics that ``source`` holds: a path, "-" for standard input, or an http(s) URL.

    engine: one of the names of `ENGINES`, or "auto". before: an earlier scrape of the same
    Prometheus text, which is subtracted; model: only the series of this model; gamma: the most that
    a round drafts, where the source does not say: it bounds the rounds.
    Raises ValueError where the source cannot be read, holds no statistics, holds those of several
    engines, or contradicts itself.
    """
    if engine not in NAMES:
        raise ValueError(f"engine must be one of {', '.join(NAMES)}, got {engine!r}")
    if source == "-" and before == "-":
        raise ValueError("only one of the two scrapes can be standard input, got both")
    readers = Readers(gamma)
    try:
        taken = read(source, readers)
        _restrict(source, readers.series, before, model)
        results = taken.found or readers.results()
        if taken.damage and not results:
            raise ValueError(f"is no whole JSON; {taken.damage}")
    except ValueError as error:
        message = str(error)
        named = message.startswith(tuple(s for s in (source, before) if s))
        raise ValueError(message if named else f"{source}: {message}") from None
    if not results and (why := hint(taken.head)):
        raise ValueError(f"{source}: no speculative statistics were found; {why}")
    result = _chosen(results, source, engine)
    if gamma is not None:
        try:
            result = with_gamma(result, gamma)
        except ValueError as error:
            raise ValueError(f"{source}: {error}") from None
    return replace(result, notes=(*result.notes, *taken.notes)) if taken.notes else result


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
    earlier = Readers()
    try:
        read(before, earlier)
    except ValueError as error:
        message = str(error)
        raise ValueError(
            message if message.startswith(before) else f"{before}: {message}"
        ) from None
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
