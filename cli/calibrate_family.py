"""`howspec calibrate family`: train a tokenizer and a ladder of small models on any text."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated

import typer

from .output import print_json, print_table

if TYPE_CHECKING:
    from ..calibrate.family import FamilyRun


def family(
    out: Annotated[str, typer.Option(help="Folder of the family: new, or begun before.")],
    preset: Annotated[
        str,
        typer.Option(
            help="cpu: 8 M parameters and 11 drafts, about an hour on two cores."
            " gpu: 300 M and 12 drafts. tiny: seconds, for a try."
        ),
    ] = "cpu",
    text: Annotated[
        str | None,
        typer.Option(
            help="Folder of text: .txt, .md, .jsonl, plain or .xz or .gz. A file is a domain."
        ),
    ] = None,
    code: Annotated[
        bool, typer.Option(help="Train on the source of Python's standard library as well.")
    ] = True,
    order: Annotated[
        str | None,
        typer.Option(help="Names of models to train first, with commas; else largest first."),
    ] = None,
    stage_seconds: Annotated[
        float | None,
        typer.Option(help="Stop cleanly after about so many seconds; the same command goes on."),
    ] = None,
    device: Annotated[
        str | None, typer.Option(help="cpu or cuda; default cuda where there is one.")
    ] = None,
    as_json: Annotated[bool, typer.Option("--json", help="Print one JSON object.")] = False,
) -> None:
    """Train a target and drafts of several sizes, and of several depths at equal size.

    Every model is a folder that transformers and the other verbs load. A run that was stopped or
    killed goes on with the same command, and ends with the models that it would have had.

    Example:

    howspec calibrate family --preset tiny --out family
    """
    import math
    import sys
    from pathlib import Path

    from ..calibrate.family import train_family
    from .progress import progress_bar

    def say(line: str) -> None:
        print(line, file=sys.stderr, flush=True)

    names = None if order is None else [name.strip() for name in order.split(",")]
    with progress_bar() as report:
        run = train_family(
            Path(out),
            preset,
            text=None if text is None else Path(text),
            code=code,
            order=names,
            stage_s=math.inf if stage_seconds is None else stage_seconds,
            device=device,
            progress=lambda done, total, what: report(what.split()[0], done, total),
            say=say,
        )
    if as_json:
        print_json(
            {
                "complete": run.complete,
                "trained": run.trained,
                "missing": run.missing,
                "disorder": run.disorder,
                "family": run.record,
            }
        )
    else:
        _print(run, out)


def _print(run: FamilyRun, out: str) -> None:
    if run.record is None:
        print(
            f"{len(run.trained)} models are trained, {len(run.missing)} to go"
            f" ({', '.join(run.missing)}): run the same command again to go on"
        )
        return
    models = run.record["models"]
    domains = list(run.record["corpus"])
    rows = [
        [
            m["name"],
            f"{m['parameters']:,}",
            f"{m['layers']}",
            f"{m['hidden']}",
            f"{m['trained_tokens']:,}",
            *(f"{m['held_out_by_domain'][d]['loss_nats']:.3f}" for d in domains),
            f"{m['held_out']['loss_nats']:.3f} ± {m['held_out']['standard_error_nats']:.3f}",
            f"{m['train_s']:.0f}",
        ]
        for m in models
    ]
    columns = ["model", "parameters", "layers", "hidden", "tokens", *domains, "mean", "seconds"]
    print_table(columns, rows, title=f"held-out loss in nats per token, models in {out}")
    for line in run.disorder:
        print(f"warning: {line}")
    if not run.disorder:
        print("held-out loss falls with size along the whole ladder")
