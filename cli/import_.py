"""`howspec import`: the statistics that an engine reports, in one schema."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated, Any

import typer

from .checks import spelled
from .output import print_json, print_table

if TYPE_CHECKING:
    from ..calibrate.engines import EngineCounts


def import_statistics(
    engine: Annotated[
        str,
        typer.Argument(
            help="vllm, sglang, llama.cpp, tensorrt-llm, transformers, aiperf, or auto."
        ),
    ],
    source: Annotated[
        str | None, typer.Argument(help="A file (also .gz), - for standard input, or a URL.")
    ] = None,
    before: Annotated[
        str | None,
        typer.Option(help="An earlier scrape of the same Prometheus text; it is subtracted."),
    ] = None,
    model: Annotated[
        str | None, typer.Option(help="Only the Prometheus series of this model.")
    ] = None,
    fit: Annotated[
        bool, typer.Option("--fit", help="Fit alpha and its decay to the counts.")
    ] = False,
    example: Annotated[
        bool, typer.Option("--example", help="Print a sample of the engine's format instead.")
    ] = False,
    seed: Annotated[int, typer.Option(help="Seed of the posterior draws, and of a sample.")] = 0,
    as_json: Annotated[bool, typer.Option("--json", help="Print one JSON object.")] = False,
) -> None:
    """Read acceptance statistics from logs, metrics, responses and benchmark results.

    What the source does not determine is null in the JSON and a dash in the table, and the notes
    say why.

    Examples:

    howspec import vllm --example > server.log

    howspec import auto server.log --json
    """
    from ..calibrate.engines import import_counts
    from ..calibrate.engines.load import NAMES
    from ..calibrate.engines.write import sample

    engine = spelled(engine, NAMES)
    if example:
        if source is not None or before is not None or model is not None:
            raise ValueError("--example prints a sample, so no source can be given with it")
        text = sample(engine, seed=seed)
        if as_json:
            print_json({"engine": engine, "sample": text})
        else:
            print(text, end="")
        return
    if source is None:
        raise ValueError("import needs a file, - or a URL, got none")
    counts = import_counts(source, engine, before=before, model=model)
    answer = counts.to_json()
    if fit:
        answer["fit"] = _fitted(counts, seed)
    if as_json:
        print_json(answer)
    else:
        _print(counts, answer)


def _fitted(counts: EngineCounts, seed: int) -> dict[str, Any]:
    import numpy as np

    from ..calibrate.engines.fit import fit_engine_counts

    fit = fit_engine_counts(counts, np.random.default_rng(seed))
    found = {}
    for name, draws in (("alpha", fit.alpha), ("decay", fit.decay)):
        low, middle, high = (float(x) for x in np.quantile(draws, [0.05, 0.5, 0.95]))
        found[name] = {"estimate": middle, "low": low, "high": high, "level": 0.9}
    return found


def _shown(value: Any) -> str:
    if value is None:
        return "-"
    return f"{value:.4f}" if isinstance(value, float) else f"{value}"


def _print(counts: EngineCounts, answer: dict[str, Any]) -> None:
    version = f" {counts.version}" if counts.version else ""
    print(f"{counts.engine}{version} ({counts.format})")
    names = ("rounds", "drafted", "accepted", "gamma", "acceptance_length", "requests")
    print_table(list(names), [[_shown(answer[n]) for n in names]])
    if counts.survival:
        kept = counts.per_position_accepted or [None] * len(counts.survival)
        rows = [
            [f"{k + 1}", f"{share:.4f}", _shown(n)]
            for k, (share, n) in enumerate(zip(counts.survival, kept, strict=True))
        ]
        print_table(["position", "survival", "accepted"], rows)
    parts = (*counts.by_batch, *counts.groups)
    if parts:
        columns = ("gamma", "rounds", "drafted", "accepted", "acceptance_length", "step_s")
        print_table(
            ["part", *columns],
            [[p.label, *(_shown(getattr(p, c)) for c in columns)] for p in parts[:40]],
        )
    for check in counts.consistency:
        if not check.agrees:
            print(
                f"disagrees: {check.quantity} is printed as {check.printed}, the counts give "
                f"{check.recomputed:.6g}"
            )
    if "fit" in answer:
        for name, value in answer["fit"].items():
            print(
                f"{name} {value['estimate']:.4f} (90 % interval {value['low']:.4f}-"
                f"{value['high']:.4f})"
            )
    print(f"definition: {counts.definition}")
    for note in counts.notes:
        print(f"note: {note}")
