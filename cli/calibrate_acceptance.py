"""`howspec calibrate acceptance`: rounds and overlap of drafts with a target."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated, Any

import typer

from .calibrate_pair import (
    Device,
    Draft,
    Dtype,
    Family,
    Field,
    Json,
    NewTokens,
    Prompts,
    PromptTokens,
    Requests,
    StageSeconds,
    Target,
    TrustRemoteCode,
    measured_pair,
)
from .output import print_json, print_table

if TYPE_CHECKING:
    from ..calibrate.records import Record

FEWEST_SHOWN = 30  # trials below which the rate of a position is not shown


def acceptance(
    out: Annotated[str, typer.Option(help="File of the record, .json, or its folder.")],
    family: Family = None,
    target: Target = None,
    draft: Draft = None,
    prompts: Prompts = None,
    field: Field = "prompt",
    requests: Requests = None,
    prompt_tokens: PromptTokens = 64,
    new_tokens: NewTokens = 96,
    gamma: Annotated[int, typer.Option(help="Draft tokens of a round.")] = 8,
    temperature: Annotated[
        list[float] | None, typer.Option(help="May be given several times; default 0, 0.7 and 1.")
    ] = None,
    batch: Annotated[int, typer.Option(help="Requests decoded together.")] = 16,
    seed: Annotated[int, typer.Option(help="Seed of all draws.")] = 0,
    device: Device = "auto",
    dtype: Dtype = "auto",
    graphs: Annotated[bool, typer.Option(help="CUDA graphs for the passes.")] = False,
    trust_remote_code: TrustRemoteCode = False,
    stage_seconds: StageSeconds = None,
    as_json: Json = False,
) -> None:
    """Measure acceptance: real speculative rounds, and overlap along the target's own text.

    The two are drawn apart and must agree: the table shows both, and by how many standard errors
    they differ. What was stopped or killed goes on with the same command.

    Example:

    howspec calibrate acceptance --family family --requests 2 --new-tokens 24 --out acceptance.json
    """
    from ..calibrate.measure.plans import AcceptancePlan

    plan = AcceptancePlan(
        temperatures=tuple(temperature or (0.0, 0.7, 1.0)),
        gamma=gamma,
        new_tokens=new_tokens,
        batch=batch,
        seed=seed,
        graphs=graphs,
    )
    found = measured_pair(
        "acceptance", plan, out=out, seed=seed, stage_seconds=stage_seconds,
        target=target, drafts=draft, family=family, prompts=prompts, field=field,
        count=requests, prompt_tokens=prompt_tokens, draft_tokens=gamma, device=device, dtype=dtype,
        trust_remote_code=trust_remote_code,
    )  # fmt: skip
    rows = acceptance_rows(found.record) if found.record else []
    if as_json:
        answer = {"complete": found.complete, "record": str(found.path), "notes": found.notes}
        print_json({**answer, "acceptance": rows})
        return
    _print(rows)
    for note in found.notes:
        print(f"note: {note}")
    print(found.ending)


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
