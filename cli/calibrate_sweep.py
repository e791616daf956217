"""`howspec calibrate sweep`: latency of plain decoding, SpS and AsG."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated, Any

import typer

from .output import print_json, print_table

if TYPE_CHECKING:
    from ..calibrate.measure.sweep_table import SweepRow


def sweep(
    out: Annotated[str, typer.Option(help="Folder of the record sweep.json.")],
    family: Annotated[
        str | None, typer.Option(help="Folder of a trained family: its target, drafts and text.")
    ] = None,
    target: Annotated[
        str | None,
        typer.Option(help="Target: a folder, a hub name, or a name such as Pythia-2.8B."),
    ] = None,
    draft: Annotated[
        list[str] | None, typer.Option(help="Draft, the same way; may be given several times.")
    ] = None,
    prompts: Annotated[
        str | None, typer.Option(help="Prompts: .jsonl or .txt, .gz or .xz; default built in.")
    ] = None,
    field: Annotated[str, typer.Option(help="Field of the prompt in JSONL.")] = "prompt",
    requests: Annotated[
        int | None, typer.Option(help="Prompts of each domain; default all, of a family 4.")
    ] = None,
    prompt_tokens: Annotated[int, typer.Option(help="Tokens that prompts are cut to.")] = 64,
    new_tokens: Annotated[int, typer.Option(help="Tokens of every request.")] = 96,
    gamma_max: Annotated[int, typer.Option(help="SpS and AsG run with 1 to so many.")] = 7,
    temperature: Annotated[float, typer.Option(help="0 for the likeliest token.")] = 1.0,
    batch: Annotated[
        list[int] | None, typer.Option(help="May be given several times; default 1.")
    ] = None,
    assisted: Annotated[
        int, typer.Option(help="Prompts that AsG runs on, 0 to leave it out; batch 1 only.")
    ] = 4,
    plain_repeats: Annotated[
        int, typer.Option(help="Turns of plain decoding for each prompt.")
    ] = 4,
    seed: Annotated[int, typer.Option(help="Seed of all draws and of the order.")] = 0,
    device: Annotated[str, typer.Option(help="auto, cpu or cuda.")] = "auto",
    dtype: Annotated[str, typer.Option(help="auto, float32, bfloat16 or float16.")] = "auto",
    graphs: Annotated[bool, typer.Option(help="CUDA graphs for plain decoding and SpS.")] = False,
    trust_remote_code: Annotated[
        bool, typer.Option(help="Run code that comes with a model.")
    ] = False,
    stage_seconds: Annotated[
        float | None,
        typer.Option(help="Stop after about so many seconds; the same command goes on."),
    ] = None,
    as_json: Annotated[bool, typer.Option("--json", help="Print one JSON object.")] = False,
) -> None:
    """Measure the latency of plain decoding, SpS and AsG over drafts and numbers of draft tokens.

    For each prompt all of them take turns in an order of its own, with plain decoding in between,
    so that the machine's drift does not favour one. What was stopped goes on with the same command.

    Example:

    howspec calibrate sweep --family family --requests 1 --gamma-max 3 --out measured
    """
    import math
    import time
    from pathlib import Path

    from ..calibrate.measure.inputs import load_inputs
    from ..calibrate.measure.sweep import SweepPlan, measure_sweep
    from ..calibrate.measure.sweep_table import sweep_table
    from ..calibrate.records import Journal, collect_provenance
    from .progress import progress_bar

    if gamma_max < 1:
        raise ValueError(f"--gamma-max must be a whole number >= 1, got {gamma_max}")
    gammas = tuple(range(1, gamma_max + 1))
    plan = SweepPlan(
        gammas=gammas,
        assisted_gammas=gammas,
        new_tokens=new_tokens,
        temperature=temperature,
        batches=tuple(batch or (1,)),
        assisted_blocks=assisted,
        plain_repeats=plain_repeats,
        seed=seed,
        graphs=graphs,
    )
    given = load_inputs(
        target=target, drafts=draft or (), family=family, prompts=prompts, field=field,
        count=requests, prompt_tokens=prompt_tokens, device=device, dtype=dtype,
        trust_remote_code=trust_remote_code,
    )  # fmt: skip
    provenance = collect_provenance(
        str(given.target.device), given.target.identity["dtype"], models=given.identities, seed=seed
    )
    end = math.inf if stage_seconds is None else time.monotonic() + stage_seconds
    settings = {**plan.settings(), **given.settings(), "prompt_tokens": prompt_tokens}
    with (
        Journal.open(
            Path(out), "sweep", kind="sweep", settings=settings, provenance=provenance
        ) as journal,
        progress_bar() as report,
    ):
        complete = measure_sweep(
            given.target.model, given.models, journal, prompts=given.prompts, plan=plan,
            vocabulary=given.vocabulary, seconds_left=lambda: end - time.monotonic(),
            progress=report,
        )  # fmt: skip
        if complete:
            journal.finish()
        path = journal.path if complete else journal.part
        points = list(journal.points)
        rows = sweep_table(journal.record()) if points else []
    failed = _failed(points)
    answer = {
        "complete": complete, "record": str(path), "notes": given.notes, "failed": failed,
        "sweep": rows,
    }  # fmt: skip
    if as_json:
        print_json(answer)
        return
    print_sweep(rows)
    for note in (*given.notes, *failed):
        print(f"note: {note}")
    print(f"{path}" if complete else f"{path}: not complete; run the same command again to go on")


def _failed(points: list[dict[str, Any]]) -> list[str]:
    """One line for each setting that could not be measured."""
    lines = (
        f"{p.get('draft') or 'the target'}, {p['method']}, gamma {p['gamma']}, batch {p['batch']}: "
        f"{p['error']}"
        for p in points
        if "error" in p
    )
    return list(dict.fromkeys(lines))


def print_sweep(rows: list[SweepRow]) -> None:
    """Speed-up by gamma with its spread, a line for each draft, method and batch."""
    if not rows:
        print("nothing measured yet")
        return
    gammas = sorted({r.gamma for r in rows if r.gamma})
    lines: dict[tuple[int, str, str], dict[int, SweepRow]] = {}
    for r in rows:
        lines.setdefault((r.batch, r.draft or "-", r.method), {})[r.gamma] = r
    body = []
    for (batch, draft, method), by_gamma in lines.items():
        some = next(iter(by_gamma.values()))
        cells = [_cell(by_gamma.get(g)) for g in gammas]
        latency = f"{some.latency_s:.4f}" if 0 in by_gamma else "-"
        body.append([draft, method, f"{batch}", f"{some.blocks}", latency, *cells])
    columns = ["draft", "method", "batch", "prompts", "latency_s"]
    print_table(
        [*columns, *(f"K = {g}" for g in gammas)],
        body,
        title="speed-up over plain decoding of the same prompts, with its standard error",
    )


def _cell(row: SweepRow | None) -> str:
    if row is None:
        return "-"
    spread = "" if row.spread != row.spread else f" ± {row.spread:.2f}"
    return f"{row.speedup:.2f}{spread}"
