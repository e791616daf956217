"""`howspec calibrate acceptance`: rounds and overlap of drafts with a target."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated, Any

import typer

from .output import print_json, print_table

if TYPE_CHECKING:
    from ..calibrate.records import Record

FEWEST_SHOWN = 30  # trials below which the rate of a position is not shown


def acceptance(
    out: Annotated[str, typer.Option(help="Folder of the record acceptance.json.")],
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
    gamma: Annotated[int, typer.Option(help="Draft tokens of a round.")] = 8,
    temperature: Annotated[
        list[float] | None, typer.Option(help="May be given several times; default 0, 0.7 and 1.")
    ] = None,
    batch: Annotated[int, typer.Option(help="Requests decoded together.")] = 16,
    seed: Annotated[int, typer.Option(help="Seed of all draws.")] = 0,
    device: Annotated[str, typer.Option(help="auto, cpu or cuda.")] = "auto",
    dtype: Annotated[str, typer.Option(help="auto, float32, bfloat16 or float16.")] = "auto",
    graphs: Annotated[bool, typer.Option(help="CUDA graphs for the passes.")] = False,
    trust_remote_code: Annotated[
        bool, typer.Option(help="Run code that comes with a model.")
    ] = False,
    stage_seconds: Annotated[
        float | None,
        typer.Option(help="Stop after about so many seconds; the same command goes on."),
    ] = None,
    as_json: Annotated[bool, typer.Option("--json", help="Print one JSON object.")] = False,
) -> None:
    """Measure acceptance: real speculative rounds, and overlap along the target's own text.

    The two are drawn apart and must agree: the table shows both, and by how many standard errors
    they differ. What was stopped or killed goes on with the same command.

    Example:

    howspec calibrate acceptance --family family --requests 2 --new-tokens 24 --out measured
    """
    import math
    import time
    from pathlib import Path

    from ..calibrate.measure.acceptance import AcceptancePlan, measure_acceptance
    from ..calibrate.measure.inputs import load_inputs
    from ..calibrate.records import Journal, collect_provenance
    from .progress import progress_bar

    plan = AcceptancePlan(
        temperatures=tuple(temperature or (0.0, 0.7, 1.0)),
        gamma=gamma,
        new_tokens=new_tokens,
        batch=batch,
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
            Path(out), "acceptance", kind="acceptance", settings=settings, provenance=provenance
        ) as journal,
        progress_bar() as report,
    ):
        complete = measure_acceptance(
            given.target.model, given.models, journal, prompts=given.prompts, plan=plan,
            vocabulary=given.vocabulary, seconds_left=lambda: end - time.monotonic(),
            progress=report,
        )  # fmt: skip
        if complete:
            journal.finish()
        path = journal.path if complete else journal.part
        rows = acceptance_rows(journal.record()) if journal.points else []
    answer = {"complete": complete, "record": str(path), "notes": given.notes, "acceptance": rows}
    if as_json:
        print_json(answer)
        return
    _print(rows)
    for note in given.notes:
        print(f"note: {note}")
    print(f"{path}" if complete else f"{path}: not complete; run the same command again to go on")


def acceptance_rows(record: Record) -> list[dict[str, Any]]:
    """One row for each draft and temperature: rounds, rates by position, overlap, agreement."""
    import numpy as np

    from ..calibrate.measure.acceptance import compare_record
    from ..theory.acceptance.counts import round_counts

    compared = compare_record(record)
    pairs = dict.fromkeys((p["draft"], p["temperature"]) for p in record.points if p.get("draft"))
    rows: list[dict[str, Any]] = []
    for draft, temperature in pairs:
        own = [
            p for p in record.points if (p.get("draft"), p["temperature"]) == (draft, temperature)
        ]
        errors = sorted({p["error"] for p in own if "error" in p})
        real = [p for p in own if p["type"] == "rounds" and "error" not in p]
        along = [x for p in own if p["type"] == "overlap" for x in p.get("overlap", [])]
        row: dict[str, Any] = {"draft": draft, "temperature": temperature, "errors": errors}
        if any(p["accepted"] for p in real):
            counts = round_counts(
                [a for p in real for a in p["accepted"]],
                real[0]["drafted"],
                request=[f"{p['domain']} {p['request']}" for p in real for _ in p["accepted"]],
            )
            tried, kept = counts.by_position()
            row |= {
                "requests": counts.requests,
                "rounds": counts.rounds,
                "tokens_per_round": 1.0 + float(counts.accepted.mean()),
                "alpha_by_position": [
                    float(k / t) if t >= FEWEST_SHOWN else None
                    for t, k in zip(tried, kept, strict=True)
                ],
            }
        row["mean_overlap"] = float(np.mean(along)) if along else None
        row["rounds_against_overlap"] = compared.get((draft, temperature, None))
        rows.append(row)
    return rows


def _print(rows: list[dict[str, Any]]) -> None:
    if not rows:
        print("nothing measured yet")
        return
    positions = max((len(r.get("alpha_by_position", ())) for r in rows), default=0)
    shown = range(min(positions, 8))
    columns = ["draft", "T", "rounds", "tokens/round", "walked", "z", "overlap"]
    columns += [f"a{k + 1}" for k in shown]
    body = []
    for row in rows:
        found = row["rounds_against_overlap"]
        rates = row.get("alpha_by_position", ())
        body.append(
            [
                row["draft"],
                f"{row['temperature']:g}",
                f"{row.get('rounds', '-')}",
                _number(row.get("tokens_per_round")),
                "-" if found is None else f"{found.walked:.3f}",
                f"{found.z:+.1f}" if found is not None and found.requests >= 8 else "-",
                _number(row["mean_overlap"]),
                *(_number(rates[k] if k < len(rates) else None) for k in shown),
            ]
        )
    print_table(columns, body)
    print(
        "T: temperature; walked: tokens per round told from overlap along the target's text; z:\n"
        "real rounds less that, in standard errors; a1, a2..: rate of the k-th token, if reached"
    )
    for row in rows:
        for error in row["errors"]:
            print(f"note: {row['draft']} at temperature {row['temperature']:g}: {error}")


def _number(value: float | None) -> str:
    return "-" if value is None else f"{value:.3f}"
