"""What an engine reports of acceptance, as tables."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import TYPE_CHECKING, Any

from ..answer import json_text
from ..listing import Listing
from ..table import Table, texts
from .explain import check_first

if TYPE_CHECKING:
    from ..calibrate.engines import EngineCounts

_TOTALS = ("rounds", "drafted", "accepted", "gamma", "tokens_per_round", "tokens",
           "tokens_per_target_step", "requests")  # fmt: skip
_PARTS = ("gamma", "rounds", "drafted", "accepted", "tokens", "acceptance_length", "drafted_rate",
          "step_s", "tokens_per_s", "speedup")  # fmt: skip


def statistics(counts: EngineCounts, *, fit: bool = False, seed: int = 0) -> Listing:
    """List the counts of `howspec.read_statistics`: first whether anything looks broken.

    What the source does not determine is None in the JSON and a dash in the table, and the notes
    say why. fit: alpha and its decay with their intervals, see `howspec.sources.fit_statistics`.
    """
    from ..calibrate.engines.health import Case, findings
    from ..sources import fit_statistics

    found = {"health": findings(Case(counts)), **counts.to_json()}
    if fit:
        found["fit"] = fit_statistics(counts, seed=seed)
    return Listing(found, tuple(_blocks(counts, found)))


def _shown(value: Any) -> str:
    if value is None:
        return "-"
    return f"{value:.4f}" if isinstance(value, float) else f"{value}"


def _blocks(counts: EngineCounts, answer: Mapping[str, Any]) -> Iterator[str | Table]:
    health = [check_first(f) for f in answer["health"]]
    yield from health or ["health: nothing looks broken"]
    version = f" {counts.version}" if counts.version else ""
    yield f"{counts.engine}{version} ({counts.format})"
    cells = [_shown(answer[n]) for n in _TOTALS]
    if counts.rounds is None and counts.rounds_range is not None:
        cells[0] = "{}-{}".format(*counts.rounds_range)
    yield texts([n.replace("_", " ") for n in _TOTALS], [cells])
    if counts.survival:
        kept = counts.per_position_accepted or [None] * len(counts.survival)
        rows = [
            [f"{k + 1}", f"{share:.4f}", _shown(n)]
            for k, (share, n) in enumerate(zip(counts.survival, kept, strict=True))
        ]
        yield texts(("position", "survival", "accepted"), rows)
    parts = (*counts.by_batch, *counts.groups)
    if parts:
        columns = [c for c in _PARTS if any(getattr(p, c) is not None for p in parts)]
        rows = [[p.label, *(_shown(getattr(p, c)) for c in columns)] for p in parts[:40]]
        yield texts(("part", *columns), rows)
    for check in counts.consistency:
        if not check.agrees:
            yield (
                f"disagrees: {check.quantity} is printed as {check.printed}, the counts give "
                f"{check.recomputed:.6g}"
            )
    for name, v in answer.get("fit", {}).items():
        yield f"{name} {v.estimate:.4f} (90 % interval {v.low:.4f}-{v.high:.4f})"
    yield f"definition: {counts.definition}"
    yield from (f"note: {note}" for note in counts.notes)


def import_statistics(
    engine: str,
    source: str | None = None,
    *,
    before: str | None = None,
    model: str | None = None,
    gamma: int | None = None,
    every: float | None = None,
    for_: float | None = None,
    to: str | None = None,
    fit: bool = False,
    example: bool = False,
    seed: int = 0,
) -> Listing:
    """List what `howspec.read_statistics` reads of a source, or a sample of an engine's format.

    every, for_: seconds between scrapes of a metrics URL, and to watch it; to: aiperf, the schema
    in which the counts are given instead; fit, seed: as of `statistics`; example: a sample.
    """
    if example:
        from ..calibrate.engines.write import sample

        if source is not None or before is not None or model is not None:
            raise ValueError("--example prints a sample, so no source can be given with it")
        text = sample(engine, seed=seed)
        return Listing({"engine": engine, "sample": text}, (text.removesuffix("\n"),))
    if source is None:
        raise ValueError("import needs a file, - or a URL, got none")
    if to is not None and to != "aiperf":
        raise ValueError(f"--to must be aiperf, got {to!r}")
    if before is not None and (every is not None or for_ is not None):
        raise ValueError("--before is an earlier scrape, --for makes its own: give one of them")
    from ..sources import read_statistics

    counts = read_statistics(
        source, engine, before=before, model=model, gamma=gamma, every_s=every, for_s=for_
    )
    if to is None:
        return statistics(counts, fit=fit, seed=seed)
    from ..calibrate.engines.write import aiperf_record

    record = aiperf_record(counts)
    return Listing(record, (json_text(record),))


TRANSFORMERS = """\
# Counts of assisted generation: put your call of generate inside the block.
from howspec.calibrate.measure.assisted_counts import count_rounds

with count_rounds(model) as counts:
    model.generate(**inputs, assistant_model=draft)

counts.write("rounds.jsonl")  # then: howspec import transformers rounds.jsonl
"""


def hook(engine: str) -> Listing:
    """List the lines that count the rounds of transformers, which does not say what was accepted.

    Raises ValueError for another engine: the others report their own counts.
    """
    if engine != "transformers":
        raise ValueError(f"engine must be transformers, the others report counts; got {engine!r}")
    return Listing({"engine": engine, "code": TRANSFORMERS}, tuple(TRANSFORMERS.splitlines()))
