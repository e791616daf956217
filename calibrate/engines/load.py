"""Read the statistics of one source, whatever its format: the way into this package."""

from __future__ import annotations

import csv
import json
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any

from .completed import length_of, unlike
from .counts import ENGINES, EngineCounts, Group, ratio
from .lines import NoWholeLineError
from .numbers import check_totals, count, number, rounds_bounds, whole_list
from .prometheus import Scrape
from .reader import Body, Source, label_of
from .reading import HEAD_BYTES, Reading

_ANY = (
    "counters, log lines, responses and tables of vLLM, SGLang, llama.cpp, TensorRT-LLM, "
    "transformers, TGI, AIPerf, LM Studio, tabbyAPI and benchmark tools"
)
NAMES = (*ENGINES, "auto")
_LARGEST_JSON = 2**24
_WHOLES = ("rounds", "drafted", "accepted", "tokens", "gamma", "requests", "intervals")
_NUMBERS = ("acceptance_length", "survival_half_width", "length_error", "drafted_rate")
_LISTS = ("per_position_accepted", "tried", "histogram", "rounds_range")


def hint(head: bytes) -> str:
    """One clause on the first bytes of a source that held no statistics, from hints.csv."""
    with Path(__file__).with_name("hints.csv").open(newline="", encoding="utf-8") as file:
        seen = [row for row in csv.DictReader(file) if row["sign"].encode() in head]
    for row in seen:
        if row["means"] == "off":
            return f"speculation was off: the source says {row['what']}"
    looked = seen[0]["what"] if seen else _ANY
    return f"no acceptance found: off, or not reported here; looked for {looked}"


def import_counts(
    source: Source,
    engine: str = "auto",
    *,
    before: Source | None = None,
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
    label, reading = label_of(source), Reading(gamma)
    with _named(label, *(label_of(s) for s in (source, before) if s)):
        reading.read(source)
        _restrict(label, reading.series, before, model)
        try:
            results = _results(reading, label, gamma)
        except NoWholeLineError as error:
            results = _others(source, reading, gamma, error)
        if not results and not reading.damage:
            reading.read_pasted(source)
            results = reading.results()
        if reading.damage and not results:
            raise ValueError(f"is no whole JSON; {reading.damage}")
    if not results:
        raise ValueError(f"{label}: no speculative statistics were found: {hint(reading.head)}")
    result = _chosen(results, label, engine)
    if gamma is not None:
        with _named(label):
            result = with_gamma(result, gamma)
    return replace(result, notes=(*result.notes, *reading.notes))


@contextmanager
def _named(label: str, *names: str) -> Iterator[None]:
    """Put the label of a source before messages that begin with none of the names."""
    try:
        yield
    except ValueError as error:
        said = str(error)
        raise ValueError(said if said.startswith(names) else f"{label}: {said}") from None


def _results(reading: Reading, label: str, gamma: int | None) -> list[EngineCounts]:
    """What the readers found; lines that a terminal or a forum broke are joined where none can."""
    try:
        return reading.results()
    except ValueError as error:
        if len(reading.head) >= HEAD_BYTES or b"\n" not in reading.head.strip():
            raise
        again = Reading(gamma)
        try:
            again.read(Body(label, b" ".join(reading.head.split())))
            found = again.results()
        except ValueError:
            raise error from None
        if not found:
            raise
        reading.notes.append("lines that were broken in two are joined")
        return found


def _others(
    source: Source, reading: Reading, gamma: int | None, error: NoWholeLineError
) -> list[EngineCounts]:
    """What is read as a summary where no line of a log is whole, such as lines without counts."""
    again = Reading(gamma)
    again.head = reading.head
    try:
        again.read_pasted(source)
        found = again.results()
    except ValueError:
        found = []
    if not found:
        raise error
    reading.notes += [*again.notes, f"read as a summary, since {error}"]
    return found


def _restrict(
    source: str, series: Sequence[Scrape], before: Source | None, model: str | None
) -> None:
    """Apply --before and --model to the engine whose series the source holds."""
    filled = [s for s in series if s.counters or s.gauges]
    if (before is not None or model is not None) and not filled:
        option = "--before" if before is not None else "--model"
        raise ValueError(f"{option} is for Prometheus text, which {source} is not")
    for reader in filled:
        reader.model = model
    if before is None:
        return
    earlier, where = Reading(), label_of(before)
    with _named(where, where):
        earlier.read(before)
    for reader, old in zip(series, earlier.series, strict=True):
        if (reader.counters or reader.gauges) and not old.counters:
            raise ValueError(f"{where}: holds no counters of {reader.engine}")
        reader.before = old


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
    return (engine, result.engine) in {
        ("vllm", "speculators"), ("llama.cpp", "mlx-vlm"), ("llama.cpp", "ik_llama.cpp"),
    } or result.engine in ("table", "openai")  # fmt: skip


def with_gamma(counts: EngineCounts, gamma: int) -> EngineCounts:
    """The counts with the most that a round drafts, where the source does not state it.

    Raises ValueError where the source states another, or where its counts rule this one out.
    """
    if counts.gamma is not None:
        if counts.gamma != gamma:
            raise ValueError(f"gamma must agree with the source, {counts.gamma}, got {gamma}")
        return counts
    if counts.acceptance_length is not None and counts.acceptance_length > gamma + 1.0 + 1e-9:
        raise ValueError(
            f"gamma must be at least the acceptance length - 1, {counts.acceptance_length - 1:.4g},"
            f" got {gamma}"
        )
    check_totals(counts.rounds, counts.drafted, counts.accepted, gamma)
    said = [f"gamma {gamma} as given: the source does not state it"]
    found = replace(counts, gamma=gamma)
    if counts.rounds is None and (bounds := counts.bounds(gamma)) is not None:
        found = replace(found, rounds_range=bounds)
        if bounds[0] == bounds[1]:
            found = replace(found, rounds=bounds[0], rounds_range=None)
            found = replace(found, acceptance_length=length_of(vars(found)))
            said.append("rounds are the only number that drafted and all tokens allow")
    groups = tuple(_bounded(g, gamma) for g in found.groups)
    return replace(found, groups=groups, notes=(*counts.notes, *said, *unlike(found)))


def _bounded(group: Group, gamma: int) -> Group:
    if group.rounds is not None or group.drafted is None:
        return group
    bounds = rounds_bounds(group.drafted, group.accepted, gamma=gamma, tokens=group.tokens)
    return replace(group, gamma=gamma, rounds_range=bounds)


def json_object(path: Path) -> dict[str, Any] | None:
    """The object that a file holds as JSON, None for any other file and for very large ones."""
    with path.open("rb") as file:
        start = file.read(64).lstrip()
    if not start.startswith(b"{") or path.stat().st_size > _LARGEST_JSON:
        return None
    try:
        value = json.loads(path.read_text(encoding="utf-8"))
    except ValueError:  # a log may begin with a brace as well
        return None
    return value if isinstance(value, dict) else None


def counts_of_json(value: Mapping[str, Any]) -> EngineCounts:
    """The statistics behind the object that `howspec import --json` printed.

    Keys that are missing or null are not known. Raises ValueError for values of another kind.
    """
    made: dict[str, Any] = {n: count(value.get(n), n) for n in _WHOLES}
    made |= {n: number(value.get(n), n) for n in _NUMBERS}
    for n in _LISTS:
        listed = whole_list(value.get(n), n)
        made[n] = None if listed is None else tuple(listed)
    shares = value.get("survival")
    if shares is not None and not isinstance(shares, list | tuple):
        raise ValueError(f"survival must be a list of numbers, got {type(shares).__name__}")
    survival = [number(s, "survival") for s in shares or ()]
    notes = value.get("notes")
    if made["acceptance_length"] is None:
        made["acceptance_length"] = ratio(made["accepted"], made["rounds"], 1.0)
    return EngineCounts(
        engine=str(value.get("engine") or "an engine"),
        format=str(value.get("format") or "howspec import"),
        definition=str(value.get("definition") or ""),
        survival=tuple(s for s in survival if s is not None) or None,
        accepted_is_prefix=value.get("accepted_is_prefix") is not False,
        notes=tuple(str(n) for n in notes) if isinstance(notes, list | tuple) else (),
        **made,
    )


def read_statistics(source: str | Path, *, gamma: int | None = None) -> EngineCounts:
    """Statistics of a source: the JSON of `howspec import --json`, or an engine's own output.

    source: a path, "-" or an http(s) URL; gamma: the most that a round drafts, where it is silent.
    Raises ValueError for text that is neither, OSError for a file that cannot be read.
    """
    text = str(source)
    local = text != "-" and not text.startswith(("http://", "https://"))
    found = json_object(Path(source)) if local else None
    if found is not None and {"acceptance_length", "rounds", "gamma"} <= found.keys():
        return counts_of_json(found)
    return import_counts(text, gamma=gamma)
