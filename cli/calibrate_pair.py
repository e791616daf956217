"""What the verbs that measure pairs share: their options, and a record measured and resumed."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Annotated, Any

import typer

from .checks import check_seconds, names_of, record_place
from .progress import progress_bar, quiet_libraries

if TYPE_CHECKING:
    from pathlib import Path

    from ..calibrate.records import Record

Family = Annotated[
    str | None, typer.Option(help="Folder of a trained family: its target, drafts and text.")
]
Target = Annotated[
    str | None, typer.Option(help="Target: a folder, a hub name, or a name such as Pythia-2.8B.")
]
Draft = Annotated[
    list[str] | None, typer.Option(help="Draft, the same way; several times, or with commas.")
]
Prompts = Annotated[
    str | None, typer.Option(help="Prompts: .jsonl or .txt, .gz or .xz; default built in.")
]
Field = Annotated[str, typer.Option(help="Field of the prompt in JSONL.")]
Requests = Annotated[
    int | None, typer.Option(help="Prompts of each domain; default all, of a family 4.")
]
PromptTokens = Annotated[int, typer.Option(help="Tokens that prompts are cut to.")]
NewTokens = Annotated[int, typer.Option(help="Tokens of every request.")]
Device = Annotated[str, typer.Option(help="auto, cpu or cuda.")]
Dtype = Annotated[str, typer.Option(help="auto, float32, bfloat16 or float16.")]
TrustRemoteCode = Annotated[bool, typer.Option(help="Run code that comes with a model.")]
StageSeconds = Annotated[
    float | None, typer.Option(help="Stop after about so many seconds; the same command goes on.")
]
Json = Annotated[bool, typer.Option("--json", help="Print one JSON object.")]


@dataclass(frozen=True)
class Measured:
    """What a call measured: the record so far (None while it is empty) and where it is."""

    complete: bool
    path: Path
    record: Record | None
    notes: tuple[str, ...]

    @property
    def ending(self) -> str:
        """The last line to print."""
        return (
            str(self.path)
            if self.complete
            else (f"{self.path}: not complete; run the same command again to go on")
        )


def measured_pair(
    kind: str,
    plan: Any,
    *,
    out: str,
    seed: int,
    draft_tokens: int,
    stage_seconds: float | None,
    prompts: str | None,
    field: str,
    **inputs: Any,
) -> Measured:
    """Load target, drafts and prompts, and measure what the record ``out`` lacks.

    kind: of the record, acceptance or sweep; plan: what to measure; draft_tokens: most of a round;
    inputs: as `load_inputs` has them. What is wrong with them is said before torch is imported.
    Raises ValueError for what does not fit together, or does not fit the record.
    """
    import math
    import time

    from ..calibrate.measure.prompts import file_texts
    from ..calibrate.measure.sources import check_models, named_models

    check_seconds("--stage-seconds", stage_seconds)
    folder, name = record_place(out, kind)
    check_place(inputs["device"], inputs["dtype"])
    if inputs["prompt_tokens"] < 1:
        raise ValueError(f"--prompt-tokens must be >= 1, got {inputs['prompt_tokens']}")
    if inputs["count"] is not None and inputs["count"] < 1:
        raise ValueError(f"--requests must be >= 1, got {inputs['count']}")
    target, drafts = named_models(inputs["target"], names_of(inputs["drafts"]), inputs["family"])
    if prompts is not None:
        file_texts(prompts, field=field)
    require_extra()
    check_models((target, *drafts))
    with quiet_libraries(), progress_bar() as report:
        from ..calibrate.measure.inputs import load_inputs
        from ..calibrate.records import Journal, collect_provenance

        inputs["drafts"] = names_of(inputs["drafts"])
        given = load_inputs(prompts=prompts, field=field, **inputs)
        given.require_positions(new_tokens=plan.new_tokens, draft_tokens=draft_tokens)
        device, dtype = str(given.target.device), given.target.identity["dtype"]
        origin = collect_provenance(device, dtype, models=given.identities, seed=seed)
        about = {**given.settings(), "prompt_tokens": inputs["prompt_tokens"]}
        settings = {**plan.settings(), **about}
        end_s = time.monotonic() + (math.inf if stage_seconds is None else stage_seconds)
        with Journal.open(folder, name, kind=kind, settings=settings, provenance=origin) as journal:
            complete = _measure(kind)(
                given.target.model,
                given.models,
                journal,
                prompts=given.prompts,
                plan=plan,
                vocabulary=given.vocabulary,
                seconds_left=lambda: end_s - time.monotonic(),
                progress=report,
            )
            if complete:
                journal.finish()
            path = journal.path if complete else journal.part
            record = journal.record() if journal.points else None
    return Measured(complete, path, record, given.notes)


def _measure(kind: str) -> Callable[..., bool]:
    """What appends the points of a record, told to stop where the time is up."""
    if kind == "sweep":
        from ..calibrate.measure.sweep import measure_sweep

        return measure_sweep
    from ..calibrate.measure.acceptance import measure_acceptance

    return measure_acceptance


def check_place(device: str, dtype: str) -> None:
    """A device and a number format that models can be measured in."""
    from ..calibrate.measure.sources import check_device, check_dtype

    check_device(device)
    check_dtype(dtype)


def require_extra() -> None:
    """Raise ModuleNotFoundError where what measures is not installed, without importing it."""
    from importlib.util import find_spec

    for name in ("torch", "transformers"):
        if find_spec(name) is None:
            raise ModuleNotFoundError(f"No module named {name!r}", name=name)
