"""Options that the verbs on named models share."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated, Any

import typer

from .checks import check_gamma_max, check_level, check_load, check_seed

if TYPE_CHECKING:
    from ..calibrate.prior.pair import Expected, Load, NamedModel, Use

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


def check_numbers(
    *, gamma_max: int, level: float, seed: int, batches: tuple[float, ...], context: float
) -> None:
    """Raise ValueError for numbers outside their ranges."""
    check_gamma_max(gamma_max, 256)
    check_level(level)
    check_seed(seed)
    for batch in batches:
        check_load(batch, context)


def percent(value: float) -> str:
    """A probability in whole percent."""
    return f"{100 * value:.0f} %"


def expectation(
    target: NamedModel, drafts: list[NamedModel], *, load: Load, use: Use, seed: int
) -> Expected:
    """Laws of a target and its drafts, of one draft the very draws that predict answers with."""
    import numpy as np

    from ..calibrate.prior.pair import Expected, expected_acceptance, expected_costs

    for_costs, for_acceptance = np.random.default_rng(seed).spawn(2)
    laws = expected_costs(target, drafts, load=load, rng=for_costs, draws=DRAWS)
    forecast = expected_acceptance(
        target, drafts, use=use, dtype=laws[0].dtype, rng=for_acceptance, draws=DRAWS
    )
    return Expected(target, tuple(drafts), forecast, laws)


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
