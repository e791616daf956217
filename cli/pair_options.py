"""Options that the verbs on named models share."""

from __future__ import annotations

from typing import Annotated, Any

import typer

Target = Annotated[str, typer.Option(help="Target model: a name, a config.json or its folder.")]
Draft = Annotated[str, typer.Option(help="Draft model: a name, a config.json or its folder.")]
DeviceName = Annotated[str, typer.Option(help="Device, such as H100 or '2x A100 80GB'.")]
Context = Annotated[float, typer.Option(help="Tokens in the cache of each sequence.")]
Batch = Annotated[float, typer.Option(help="Sequences decoded together.")]
Dtype = Annotated[str, typer.Option(help="Number format of the weights; default the usual one.")]
Stack = Annotated[
    str, typer.Option(help="Software: serving, eager, graphs, llama.cpp, mlx, xla, or an engine.")
]
Task = Annotated[
    str | None, typer.Option(help="chat, code, math, prose, summarisation...; default any of them.")
]
Temperature = Annotated[float | None, typer.Option(help="Sampling temperature; default greedy.")]
GammaMax = Annotated[int, typer.Option(help="Largest gamma tried.")]
Level = Annotated[float, typer.Option(help="Probability that an interval holds.")]
Seed = Annotated[int, typer.Option(help="Seed of the draws.")]
Json = Annotated[bool, typer.Option("--json", help="Print one JSON object.")]
Online = Annotated[bool, typer.Option("--online", help="Look up unknown models on the hub.")]
DRAWS = 2000


def check_numbers(*, gamma_max: int, level: float, batches: tuple[float, ...]) -> None:
    """Raise ValueError for numbers outside their ranges."""
    if not 1 <= gamma_max <= 256:
        raise ValueError(f"--gamma-max must be in [1, 256], got {gamma_max}")
    if not 0.0 < level < 1.0:
        raise ValueError(f"--level must be in (0, 1), got {level:g}")
    for batch in batches:
        if not 1.0 <= batch < float("inf"):
            raise ValueError(f"--batch must be in [1, inf), got {batch:g}")


def percent(value: float) -> str:
    """A probability in whole percent."""
    return f"{100 * value:.0f} %"


def memory_notes(notes: tuple[str, ...] | list[str], lines: list[str]) -> list[str]:
    """Notes each once, the lines about memory first."""
    return list(dict.fromkeys((*lines, *notes)))


def setting_entry(load: Any, law: Any, use: Any) -> dict[str, Any]:
    """What ran where, as it stands in an answer."""
    return {
        "device": law.device, "stack": law.stack, "dtype": law.dtype,
        "draft_dtype": law.draft_dtype, "batch": load.batch, "context": load.context,
        "task": use.task, "temperature": use.temperature,
    }  # fmt: skip
