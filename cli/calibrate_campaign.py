"""`howspec calibrate campaign`: everything that is measured of a ladder, stage by stage."""

from __future__ import annotations

from typing import Any

import click

from .answering import printing
from .commands import Argument
from .output import print_json, print_table


@printing(
    name=Argument("Which campaign: cpu, gpu or tiny."),
    out="Folder of the campaign: models, and records/.",
    text="Folder of texts to train on, beside Python's standard library.",
    family="Folder of a trained family to use; default: train one in --out.",
    records="Second folder that the records are copied to.",
    plan="Print stages, expected time and bytes; run nothing.",
    dry_run="Run every stage on tiny models on the CPU.",
    stage="The one stage to run.",
    stages="How many stages to run in this call; default all.",
    stage_seconds="A stage stops cleanly after so long, to be resumed; default its own.",
    call_seconds="The call stops cleanly after so long; gpu: 540.",
)
def campaign(
    name: str,
    out: str,
    text: str | None = None,
    family: str | None = None,
    records: str | None = None,
    plan: bool = False,
    dry_run: bool = False,
    stage: str | None = None,
    stages: int | None = None,
    stage_seconds: float | None = None,
    call_seconds: float | None = None,
    as_json: bool = False,
) -> None:
    """Train a ladder (if there is none), measure costs and acceptance, and run the paper's sweep.

    Every stage can be killed at any time; the same command continues from there. Nothing is
    downloaded. The records are in the folder records/ of --out.

    Examples:

    howspec calibrate campaign gpu --out campaign --plan

    howspec calibrate campaign tiny --out campaign
    """
    import sys
    from pathlib import Path

    from ..calibrate.campaign import RESUME, call_campaign, commands, plan_campaign
    from .output import progress_bar

    given = Path(family) if family is not None else None
    if plan:
        planned = plan_campaign(name, Path(out), family=given, only=stage, dry_run=dry_run)
        if as_json:
            print_json({"campaign": name, "stages": planned, "commands": commands(name, Path(out))})
        else:
            _print_plan(planned)
            if name == "gpu":
                for where, line in commands(name, Path(out)):
                    print(f"{where}:\n  {line}")
        return
    try:
        with progress_bar() as report:
            run = call_campaign(
                name,
                Path(out),
                text=Path(text) if text is not None else None,
                family=given,
                copies=Path(records) if records is not None else None,
                only=stage,
                most=stages,
                stage_s=stage_seconds,
                call_s=call_seconds,
                dry_run=dry_run,
                report=report,
                say=lambda line: print(line, file=sys.stderr, flush=True),
            )
    except KeyboardInterrupt:
        print(f"howspec: {RESUME}", file=sys.stderr)
        raise click.exceptions.Exit(130) from None
    if as_json:
        print_json(run)
        return
    for file, size in run.files.items():
        print(f"{file}: {size / 1e6:.2f} MB")
    print("complete" if run.complete else f"to do: {', '.join(run.left)}; run the command again")


def _print_plan(planned: list[dict[str, Any]]) -> None:
    rows = [
        [
            p["stage"],
            p["state"],
            f"{p['points']:,}",
            _time(p["expected_time_s"]),
            f"{p['expected_memory_bytes'] / 1e9:.1f} GB",
            f"{p['expected_record_bytes'] / 1e6:.2f} MB",
            p["what"],
        ]
        for p in planned
    ]
    total_s = sum(p["expected_time_s"] for p in planned)
    left_s = sum(p["expected_time_s"] for p in planned if p["state"] != "done")
    print_table(("stage", "state", "points", "expected", "memory", "record", "what"), rows)
    for p in planned:
        if p["note"]:
            print(f"note: {p['note']}")
    record, carried = (
        sum(p[key] for p in planned) / 1e6 for key in ("expected_record_bytes", "carried_bytes")
    )
    print(
        f"expected in all: {_time(total_s)}, of it to do {_time(left_s)}; records {record:.1f} MB, "
        f"to be carried there {carried:.1f} MB"
    )


def _time(seconds: float) -> str:
    return f"{seconds:.0f} s" if seconds < 120 else f"{seconds / 60:.0f} min"
