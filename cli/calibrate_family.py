"""`howspec calibrate family`: a ladder of small models, trained on any text or distilled."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

from .answering import printing
from .commands import Option
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
