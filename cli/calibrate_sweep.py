"""`howspec calibrate sweep`: latency of plain decoding, SpS and AsG."""

from __future__ import annotations

from collections.abc import Sequence
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
    from ..calibrate.measure.sweep_table import SweepRow


def sweep(
    out: Annotated[str, typer.Option(help="File of the record, .json, or its folder.")],
    family: Family = None,
    target: Target = None,
    draft: Draft = None,
    prompts: Prompts = None,
    field: Field = "prompt",
    requests: Requests = None,
    prompt_tokens: PromptTokens = 64,
    new_tokens: NewTokens = 96,
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
    device: Device = "auto",
    dtype: Dtype = "auto",
    graphs: Annotated[bool, typer.Option(help="CUDA graphs for plain decoding and SpS.")] = False,
    trust_remote_code: TrustRemoteCode = False,
    stage_seconds: StageSeconds = None,
    as_json: Json = False,
) -> None:
    """Measure the latency of plain decoding, SpS and AsG over drafts and numbers of draft tokens.

    For each prompt all of them take turns in an order of its own, with plain decoding in between,
    so that the machine's drift does not favour one. What was stopped goes on with the same command.

    Example:

    howspec calibrate sweep --family family --requests 1 --gamma-max 3 --out sweep.json
    """
    from ..calibrate.measure.plans import SweepPlan

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
    found = measured_pair(
        "sweep", plan, out=out, seed=seed, stage_seconds=stage_seconds,
        target=target, drafts=draft, family=family, prompts=prompts, field=field,
        count=requests, prompt_tokens=prompt_tokens, draft_tokens=gamma_max, device=device,
        dtype=dtype, trust_remote_code=trust_remote_code,
    )  # fmt: skip
    from ..calibrate.measure.sweep_table import sweep_table

    rows = sweep_table(found.record) if found.record else []
    failed = _failed(found.record.points) if found.record else []
    if as_json:
        answer = {"complete": found.complete, "record": str(found.path), "notes": found.notes}
        print_json({**answer, "failed": failed, "sweep": rows})
        return
    print_sweep(rows)
    for note in (*found.notes, *failed):
        print(f"note: {note}")
    print(found.ending)


def _failed(points: Sequence[dict[str, Any]]) -> list[str]:
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
