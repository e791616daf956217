"""`howspec import`: the statistics that an engine reports, in one schema."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from .answering import printing
from .commands import Argument
from .options import spelled
from .output import health_lines, print_json, print_table

if TYPE_CHECKING:
    from ..calibrate.engines import EngineCounts


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
    as_json: bool = False,
) -> None:
    """Read acceptance statistics from logs, metrics, responses and benchmark results.

    The first line says whether anything looks broken. What the source does not determine is null
    in the JSON and a dash in the table, and the notes say why. Of a running server, --every 10
    --for 60 gives the counts of a minute.

    Examples:

    howspec import vllm --example > server.log

    howspec import server.log

    howspec import server.log --to aiperf
    """
    from ..calibrate.engines import import_counts
    from ..calibrate.engines.health import Case, findings
    from ..calibrate.engines.live import watch_asked
    from ..calibrate.engines.load import NAMES
    from ..calibrate.engines.write import sample

    if source is None and not example and engine.casefold() not in NAMES:
        engine, source = "auto", engine
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
    if gamma is not None and not 1 <= gamma <= 4096:
        raise ValueError(f"--gamma must be an integer in [1, 4096], got {gamma}")
    if to is not None and to != "aiperf":
        raise ValueError(f"--to must be aiperf, got {to!r}")
    if every is not None or for_ is not None:
        if before is not None:
            raise ValueError("--before is an earlier scrape, --for makes its own: give one of them")
        counts = watch_asked(source, every, for_, engine, model=model, gamma=gamma)
    else:
        counts = import_counts(source, engine, before=before, model=model, gamma=gamma)
    if to is not None:
        from ..calibrate.engines.write import aiperf_record

        print_json(aiperf_record(counts))
        return
    found = findings(Case(counts))
    answer = {"health": list(found), **counts.to_json()}
    if fit:
        answer["fit"] = _fitted(counts, seed)
    if as_json:
        print_json(answer)
    else:
        _print(counts, answer)


def _fitted(counts: EngineCounts, seed: int) -> dict[str, Any]:
    import numpy as np

    from ..calibrate.engines.alpha import fit_engine_counts

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
    for line in health_lines(answer["health"]):
        print(line)
    version = f" {counts.version}" if counts.version else ""
    print(f"{counts.engine}{version} ({counts.format})")
    names = ("rounds", "drafted", "accepted", "gamma", "tokens_per_round", "tokens",
             "tokens_per_target_step", "requests")  # fmt: skip
    cells = [_shown(answer[n]) for n in names]
    if counts.rounds is None and counts.rounds_range is not None:
        cells[0] = "{}-{}".format(*counts.rounds_range)
    print_table([n.replace("_", " ") for n in names], [cells])
    if counts.survival:
        kept = counts.per_position_accepted or [None] * len(counts.survival)
        rows = [
            [f"{k + 1}", f"{share:.4f}", _shown(n)]
            for k, (share, n) in enumerate(zip(counts.survival, kept, strict=True))
        ]
        print_table(["position", "survival", "accepted"], rows)
    parts = (*counts.by_batch, *counts.groups)
    if parts:
        every = ("gamma", "rounds", "drafted", "accepted", "tokens", "acceptance_length",
                 "drafted_rate", "step_s", "tokens_per_s", "speedup")  # fmt: skip
        columns = [c for c in every if any(getattr(p, c) is not None for p in parts)]
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
