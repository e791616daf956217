"""A ladder of small models, trained; and everything that is measured of it, stage by stage."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from ..listing import Listing
from ..measured import Progress, quiet
from ..table import Table, texts

if TYPE_CHECKING:
    from ..calibrate.family import FamilyRun

Say = Callable[[str], None]


def train_family(
    *,
    out: str | Path,
    preset: str | None = None,
    teacher: str | None = None,
    sizes: Sequence[float] = (3.0, 10.0, 30.0, 100.0),
    tokens: int = 1500000,
    text: str | Path | None = None,
    code: bool = True,
    order: str | Sequence[str] | None = None,
    stage_seconds: float | None = None,
    device: str | None = None,
    gguf: str | None = None,
    progress: Progress = quiet,
    say: Say = print,
) -> Listing:
    """Train a target and drafts of several sizes, or distil drafts from a pretrained target.

    out: folder of the family, new or begun before; preset: cpu, gpu or tiny; or teacher: whose
    drafts compute ``sizes`` times less, each trained on so many tokens. text: a folder; code: the
    source of Python's standard library as well; order: names to train first. stage_seconds: after
    which it stops cleanly. device: cpu or cuda; gguf: format in which models are written for
    llama.cpp as well. say: what is told beside the progress. Raises ValueError for what cannot be.
    """
    from ..calibrate import family as families

    if teacher is not None and preset is not None:
        raise ValueError("--teacher brings the sizes of its drafts: give it or --preset, not both")
    given: dict[str, Any] = {
        "text": None if text is None else Path(text), "code": code, "order": order,
        "stage_s": math.inf if stage_seconds is None else stage_seconds, "device": device,
        "gguf": gguf, "say": say,
        "progress": lambda done, total, what: progress(what.split()[0], done, total),
    }  # fmt: skip
    if teacher is None:
        run = families.train_family(Path(out), preset or "cpu", **given)
    else:
        run = families.distill_family(Path(out), teacher, sizes=sizes, tokens=tokens, **given)
    entry = {"complete": run.complete, "trained": run.trained, "missing": run.missing,
             "disorder": run.disorder, "family": run.record}  # fmt: skip
    return Listing(entry, tuple(_models(run, out)))


def _models(run: FamilyRun, out: str | Path) -> Iterator[str | Table]:
    if run.record is None:
        yield (
            f"{len(run.trained)} models are trained, {len(run.missing)} to go"
            f" ({', '.join(run.missing)}): run the same command again to go on"
        )
        return
    domains = list(run.record["corpus"])
    rows = [
        [m["name"], f"{m['parameters']:,}", f"{m['layers']}", f"{m['hidden']}",
         f"{m['trained_tokens']:,}",
         *(f"{m['held_out_by_domain'][d]['loss_nats']:.3f}" for d in domains),
         f"{m['held_out']['loss_nats']:.3f} ± {m['held_out']['standard_error_nats']:.3f}",
         f"{m['train_s']:.0f}"]
        for m in run.record["models"]
    ]  # fmt: skip
    columns = ("model", "parameters", "layers", "hidden", "tokens", *domains, "mean", "seconds")
    yield texts(columns, rows, title=f"held-out loss in nats per token, models in {out}")
    yield from (f"warning: {line}" for line in run.disorder)
    if not run.disorder:
        yield "held-out loss falls with size along the whole ladder"


def campaign(
    name: str,
    *,
    out: str | Path,
    text: str | Path | None = None,
    family: str | Path | None = None,
    records: str | Path | None = None,
    plan: bool = False,
    dry_run: bool = False,
    stage: str | None = None,
    stages: int | None = None,
    stage_seconds: float | None = None,
    call_seconds: float | None = None,
    progress: Progress = quiet,
    say: Say = print,
) -> Listing:
    """Train a ladder where there is none, measure its costs and acceptance, and run the sweep.

    name: cpu, gpu or tiny; out: folder of models and of records/; text: folder to train on; family:
    a trained one to use; records: second folder for the records. plan: stages and what they take,
    nothing is run; dry_run: every stage on tiny models. stage: the one to run; stages: how many in
    this call; stage_seconds, call_seconds: after which a stage or the call stops cleanly. Raises
    ValueError for what cannot be.
    """
    from ..calibrate.campaign import RESUME, call_campaign, commands, plan_campaign

    folder, given = Path(out), None if family is None else Path(family)
    if plan:
        planned = plan_campaign(name, folder, family=given, only=stage, dry_run=dry_run)
        entry = {"campaign": name, "stages": planned, "commands": commands(name, folder)}
        shown = commands(name, folder) if name == "gpu" else ()
        return Listing(entry, tuple(_planned(planned, shown)))
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
    return Listing(vars(run), (*lines, "complete" if run.complete else left))


def _planned(
    planned: Sequence[Mapping[str, Any]], commands: Iterable[tuple[str, str]]
) -> Iterator[str | Table]:
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
