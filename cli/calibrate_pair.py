"""What the verbs that measure pairs share: their options, and a record measured and resumed."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Annotated, Any

import typer

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
    list[str] | None, typer.Option(help="Draft, the same way; may be given several times.")
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
    measure: Callable[..., bool],
    plan: Any,
    *,
    out: str,
    seed: int,
    prompt_tokens: int,
    draft_tokens: int,
    stage_seconds: float | None,
    **inputs: Any,
) -> Measured:
    """Load target, drafts and prompts, and measure what the record in the folder ``out`` lacks.

    kind: of the record, which has its name; measure: what appends the points, told to stop where
    the time is up; plan: what to measure; draft_tokens: most of a round; inputs: as `load_inputs`
    has them. Raises ValueError for what does not fit together, or does not fit the record.
    """
    import math
    import time
    from pathlib import Path

    from ..calibrate.measure.inputs import load_inputs
    from ..calibrate.records import Journal, collect_provenance
    from .progress import progress_bar

    if stage_seconds is not None and not stage_seconds >= 0:
        raise ValueError(f"--stage-seconds must be in [0, inf), got {stage_seconds}")
    given = load_inputs(prompt_tokens=prompt_tokens, **inputs)
    given.require_positions(new_tokens=plan.new_tokens, draft_tokens=draft_tokens)
    device, dtype = str(given.target.device), given.target.identity["dtype"]
    origin = collect_provenance(device, dtype, models=given.identities, seed=seed)
    settings = {**plan.settings(), **given.settings(), "prompt_tokens": prompt_tokens}
    end_s = time.monotonic() + (math.inf if stage_seconds is None else stage_seconds)
    with (
        Journal.open(Path(out), kind, kind=kind, settings=settings, provenance=origin) as journal,
        progress_bar() as report,
    ):
        complete = measure(
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
