"""`howspec calibrate`: a ladder of small models is trained, and all of it measured by stages."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from .answering import printing
from .commands import Argument, Option
from .options import numbers
from .output import Shown, say

if TYPE_CHECKING:
    from ..answer import Table
    from ..calibrate.family import FamilyRun


@printing(
    out="Folder of the family: new, or begun before.",
    preset="cpu: 8 M parameters and 11 drafts, about an hour on two cores."
    " gpu: 120 M and 6 drafts. tiny: seconds, for a try. Default cpu.",
    teacher="Distil drafts from this model instead, in its own vocabulary: a folder, a .gguf"
    " file or a hub name.",
    sizes="With --teacher: how many times less the drafts compute.",
    tokens="With --teacher: tokens that every draft is trained on.",
    text="Folder of text: .txt, .md, .jsonl, plain or .xz or .gz. A file is a domain.",
    code=Option(
        "Train on the source of Python's standard library as well.", names=("--code/--no-code",)
    ),
    order="Names of models to train first, with commas; else largest first.",
    stage_seconds="Stop cleanly after about so many seconds; the same command goes on.",
    device="cpu or cuda; default cuda where there is one.",
    gguf="Write NAME.gguf for llama.cpp as well, in f32, f16 or q8_0.",
)
def family(
    out: str,
    preset: str | None = None,
    teacher: str | None = None,
    sizes: str = "3,10,30,100",
    tokens: int = 1500000,
    text: str | None = None,
    code: bool = True,
    order: str | None = None,
    stage_seconds: float | None = None,
    device: str | None = None,
    gguf: str | None = None,
    *,
    progress: Callable[[str, int, int], None],
) -> Shown:
    """Train a target and drafts of several sizes, or distil drafts from a pretrained target.

    One size of draft comes in several depths.
    Every model is a folder that transformers and the other verbs load. A run that was stopped or
    killed goes on with the same command, and ends with the models that it would have had.

    Examples:

    howspec calibrate family --preset tiny --out family

    howspec calibrate family --teacher SmolLM2-135M-Instruct.Q4_1.gguf --text texts --out family
    """
    from ..calibrate import family as families

    if teacher is not None and preset is not None:
        raise ValueError("--teacher brings the sizes of its drafts: give it or --preset, not both")
    given: dict[str, Any] = {
        "text": None if text is None else Path(text), "code": code,
        "order": None if order is None else [name.strip() for name in order.split(",")],
        "stage_s": math.inf if stage_seconds is None else stage_seconds, "device": device,
        "gguf": gguf, "say": say,
        "progress": lambda done, total, what: progress(what.split()[0], done, total),
    }  # fmt: skip
    if teacher is None:
        run = families.train_family(Path(out), preset or "cpu", **given)
    else:
        several = numbers(sizes, "--sizes")
        run = families.distill_family(Path(out), teacher, sizes=several, tokens=tokens, **given)
    entry = {"complete": run.complete, "trained": run.trained, "missing": run.missing,
             "disorder": run.disorder, "family": run.record}  # fmt: skip
    return Shown(entry, _blocks(run, out))


def _blocks(run: FamilyRun, out: str) -> Iterator[str | Table]:
    from ..answer import texts

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
