"""`howspec import`: the statistics that an engine reports, in one schema."""

from __future__ import annotations

from .answering import printing
from .commands import Argument
from .options import spelled
from .output import Shown, json_text


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
    from ..calibrate.engines.load import NAMES
    from ..sources import read_statistics

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
    from ..verbs.statistics import statistics

    found = statistics(counts, fit=fit, seed=seed)
    return Shown(found.to_json(), found.printed())
