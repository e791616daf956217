"""`howspec import`: the statistics that an engine reports, in one schema."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import TYPE_CHECKING, Any

from .answering import printing
from .commands import Argument
from .options import spelled
from .output import Shown, json_text, table

if TYPE_CHECKING:
    from ..answer import Table
    from ..calibrate.engines import EngineCounts

_TOTALS = ("rounds", "drafted", "accepted", "gamma", "tokens_per_round", "tokens",
           "tokens_per_target_step", "requests")  # fmt: skip
_PARTS = ("gamma", "rounds", "drafted", "accepted", "tokens", "acceptance_length", "drafted_rate",
          "step_s", "tokens_per_s", "speedup")  # fmt: skip


@printing(
    engine=Argument(
        "vllm, sglang, llama.cpp, tensorrt-llm, transformers, aiperf, or auto; may be left out."
    ),
    source=Argument("A file (also .gz), - for standard input, or a URL."),
    before="An earlier scrape of the same Prometheus text; it is subtracted.",
    model="Only the Prometheus series of this model.",
    gamma="The most that a round drafts, where the source does not say.",
    to="Write the counts in another schema instead: aiperf.",
    fit="Fit alpha and its decay to the counts.",
    example="Print a sample of the engine's format instead.",
    seed="Seed of the posterior draws, and of a sample.",
)
def import_statistics(
    engine: str,
    source: str | None = None,
    before: str | None = None,
    model: str | None = None,
    gamma: int | None = None,
    every: float | None = None,
    for_: float | None = None,
    to: str | None = None,
    fit: bool = False,
    example: bool = False,
    seed: int = 0,
) -> Shown:
    """Read acceptance statistics from logs, metrics, responses and benchmark results.

    The first line says whether anything looks broken. What the source does not determine is null
    in the JSON and a dash in the table, and the notes say why. Of a running server, --every 10
    --for 60 gives the counts of a minute.

    Examples:

    howspec import vllm --example > server.log

    howspec import server.log

    howspec import server.log --to aiperf
    """
    from ..calibrate.engines.health import Case, findings
    from ..calibrate.engines.load import NAMES
    from ..sources import fit_statistics, read_statistics

    if source is None and not example and engine.casefold() not in NAMES:
        engine, source = "auto", engine
    engine = spelled(engine, NAMES)
    if example:
        from ..calibrate.engines.write import sample

        if source is not None or before is not None or model is not None:
            raise ValueError("--example prints a sample, so no source can be given with it")
        text = sample(engine, seed=seed)
        return Shown({"engine": engine, "sample": text}, [text.removesuffix("\n")])
    if source is None:
        raise ValueError("import needs a file, - or a URL, got none")
    if to is not None and to != "aiperf":
        raise ValueError(f"--to must be aiperf, got {to!r}")
    if before is not None and (every is not None or for_ is not None):
        raise ValueError("--before is an earlier scrape, --for makes its own: give one of them")
    counts = read_statistics(
        source, engine, before=before, model=model, gamma=gamma, every_s=every, for_s=for_
    )
    if to is not None:
        from ..calibrate.engines.write import aiperf_record

        record = aiperf_record(counts)
        return Shown(record, [json_text(record)])
    answer = {"health": findings(Case(counts)), **counts.to_json()}
    if fit:
        answer["fit"] = fit_statistics(counts, seed=seed)
    return Shown(answer, _blocks(counts, answer))


def _shown(value: Any) -> str:
    if value is None:
        return "-"
    return f"{value:.4f}" if isinstance(value, float) else f"{value}"


def _blocks(counts: EngineCounts, answer: Mapping[str, Any]) -> Iterator[str | Table]:
    from ..verbs.explain import check_first

    health = [check_first(f) for f in answer["health"]]
    yield from health or ["health: nothing looks broken"]
    version = f" {counts.version}" if counts.version else ""
    yield f"{counts.engine}{version} ({counts.format})"
    cells = [_shown(answer[n]) for n in _TOTALS]
    if counts.rounds is None and counts.rounds_range is not None:
        cells[0] = "{}-{}".format(*counts.rounds_range)
    yield table([n.replace("_", " ") for n in _TOTALS], [cells])
    if counts.survival:
        kept = counts.per_position_accepted or [None] * len(counts.survival)
        rows = [
            [f"{k + 1}", f"{share:.4f}", _shown(n)]
            for k, (share, n) in enumerate(zip(counts.survival, kept, strict=True))
        ]
        yield table(("position", "survival", "accepted"), rows)
    parts = (*counts.by_batch, *counts.groups)
    if parts:
        columns = [c for c in _PARTS if any(getattr(p, c) is not None for p in parts)]
        rows = [[p.label, *(_shown(getattr(p, c)) for c in columns)] for p in parts[:40]]
        yield table(("part", *columns), rows)
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
