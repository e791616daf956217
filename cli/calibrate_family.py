"""`howspec calibrate family`: a ladder of small models, trained on any text or distilled."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated, Any

from .commands import Option
from .options import Json, numbers
from .output import print_json, print_table

if TYPE_CHECKING:
    from ..calibrate.family import FamilyRun


def family(
    out: Annotated[str, Option(help="Folder of the family: new, or begun before.")],
    preset: Annotated[
        str | None,
        Option(
            help="cpu: 8 M parameters and 11 drafts, about an hour on two cores."
            " gpu: 120 M and 6 drafts. tiny: seconds, for a try. Default cpu."
        ),
    ] = None,
    teacher: Annotated[
        str | None,
        Option(
            help="Distil drafts from this model instead, in its own vocabulary: a folder, a .gguf"
            " file or a hub name."
        ),
    ] = None,
    sizes: Annotated[
        str, Option(help="With --teacher: how many times less the drafts compute.")
    ] = "3,10,30,100",
    tokens: Annotated[
        int, Option(help="With --teacher: tokens that every draft is trained on.")
    ] = 1_500_000,
    text: Annotated[
        str | None,
        Option(help="Folder of text: .txt, .md, .jsonl, plain or .xz or .gz. A file is a domain."),
    ] = None,
    code: Annotated[
        bool, Option(help="Train on the source of Python's standard library as well.")
    ] = True,
    order: Annotated[
        str | None,
        Option(help="Names of models to train first, with commas; else largest first."),
    ] = None,
    stage_seconds: Annotated[
        float | None,
        Option(help="Stop cleanly after about so many seconds; the same command goes on."),
    ] = None,
    device: Annotated[
        str | None, Option(help="cpu or cuda; default cuda where there is one.")
    ] = None,
    gguf: Annotated[
        str | None,
        Option(help="Write NAME.gguf for llama.cpp as well, in f32, f16 or q8_0."),
    ] = None,
    as_json: Json = False,
) -> None:
    """Train a target and drafts of several sizes, or distil drafts from a pretrained target.

    One size of draft comes in several depths.
    Every model is a folder that transformers and the other verbs load. A run that was stopped or
    killed goes on with the same command, and ends with the models that it would have had.

    Examples:

    howspec calibrate family --preset tiny --out family

    howspec calibrate family --teacher SmolLM2-135M-Instruct.Q4_1.gguf --text texts --out family
    """
    import math
    import sys
    from pathlib import Path

    from ..calibrate import family as families
    from .output import progress_bar

    def say(line: str) -> None:
        print(line, file=sys.stderr, flush=True)

    if teacher is not None and preset is not None:
        raise ValueError("--teacher brings the sizes of its drafts: give it or --preset, not both")
    with progress_bar() as report:
        options: dict[str, Any] = {
            "text": None if text is None else Path(text),
            "code": code,
            "order": None if order is None else [name.strip() for name in order.split(",")],
            "stage_s": math.inf if stage_seconds is None else stage_seconds,
            "device": device,
            "gguf": gguf,
            "progress": lambda done, total, what: report(what.split()[0], done, total),
            "say": say,
        }
        if teacher is None:
            run = families.train_family(Path(out), preset or "cpu", **options)
        else:
            run = families.distill_family(
                Path(out),
                teacher,
                sizes=numbers(sizes, "--sizes"),
                tokens=tokens,
                **options,
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
