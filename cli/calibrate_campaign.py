"""`howspec calibrate campaign`: everything that is measured of a ladder, stage by stage."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from .answering import printing
from .commands import Argument
from .output import Shown, say

if TYPE_CHECKING:
    from ..answer import Table


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
    *,
    progress: Callable[[str, int, int], None],
) -> Shown:
    """Train a ladder (if there is none), measure costs and acceptance, and run the paper's sweep.

    Every stage can be killed at any time; the same command continues from there. Nothing is
    downloaded. The records are in the folder records/ of --out.

    Examples:

    howspec calibrate campaign gpu --out campaign --plan

    howspec calibrate campaign tiny --out campaign
    """
    from ..calibrate.campaign import RESUME, call_campaign, commands, plan_campaign

    folder, given = Path(out), None if family is None else Path(family)
    if plan:
        planned = plan_campaign(name, folder, family=given, only=stage, dry_run=dry_run)
        entry = {"campaign": name, "stages": planned, "commands": commands(name, folder)}
        return Shown(entry, _planned(planned, commands(name, folder) if name == "gpu" else ()))
    try:
        run = call_campaign(
            name, folder, text=None if text is None else Path(text), family=given,
            copies=None if records is None else Path(records), only=stage, most=stages,
            stage_s=stage_seconds, call_s=call_seconds, dry_run=dry_run, report=progress, say=say,
        )  # fmt: skip
    except KeyboardInterrupt:
        raise KeyboardInterrupt(RESUME) from None
    lines = [f"{file}: {size / 1e6:.2f} MB" for file, size in run.files.items()]
    left = f"to do: {', '.join(run.left)}; run the command again"
    return Shown(run, [*lines, "complete" if run.complete else left])


def _planned(
    planned: Sequence[Mapping[str, Any]], commands: Iterable[tuple[str, str]]
) -> Iterator[str | Table]:
    from ..answer import texts

    rows = [
        [p["stage"], p["state"], f"{p['points']:,}", _time(p["expected_time_s"]),
         f"{p['expected_memory_bytes'] / 1e9:.1f} GB", f"{p['expected_record_bytes'] / 1e6:.2f} MB",
         p["what"]]
        for p in planned
    ]  # fmt: skip
    yield texts(("stage", "state", "points", "expected", "memory", "record", "what"), rows)
    yield from (f"note: {p['note']}" for p in planned if p["note"])
    total_s = sum(p["expected_time_s"] for p in planned)
    left_s = sum(p["expected_time_s"] for p in planned if p["state"] != "done")
    record, carried = (
        sum(p[key] for p in planned) / 1e6 for key in ("expected_record_bytes", "carried_bytes")
    )
    yield (
        f"expected in all: {_time(total_s)}, of it to do {_time(left_s)}; records {record:.1f} MB, "
        f"to be carried there {carried:.1f} MB"
    )
    yield from (f"{where}:\n  {line}" for where, line in commands)


def _time(seconds: float) -> str:
    return f"{seconds:.0f} s" if seconds < 120 else f"{seconds / 60:.0f} min"
