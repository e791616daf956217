"""`howspec simulate`: rounds, requests or a fleet under load, by Monte-Carlo."""

from __future__ import annotations

from collections.abc import Callable
from typing import Annotated, Any

import typer

from .checks import check_seed, utf8
from .output import print_json, print_table


def simulate(
    alpha: Annotated[
        float | None,
        typer.Option(help="Acceptance probability of a draft token given those before it, [0, 1]."),
    ] = None,
    law: Annotated[
        str | None,
        typer.Option(help="Acceptance law, such as depth:alpha=0.8,decay=0.95."),
    ] = None,
    trace: Annotated[
        str | None,
        typer.Option(help="JSON lines of measured acceptance, prompt_tokens and accept_len_*."),
    ] = None,
    drafter: Annotated[
        str | None, typer.Option(help="Which accept_len_* of the trace; default eagle.")
    ] = None,
    gamma: Annotated[int | None, typer.Option(help="Draft tokens per round, >= 0.")] = None,
    policy: Annotated[
        str | None,
        typer.Option(help="Policy instead of gamma, such as heuristic:initial=5 or oracle."),
    ] = None,
    cost_ratio: Annotated[
        float | None, typer.Option(help="Time of a draft step, in plain target steps.")
    ] = None,
    costs: Annotated[
        str | None,
        typer.Option(help='JSON file of a cost law: {"law": "affine", "cost_ratio": 0.05}.'),
    ] = None,
    tokens: Annotated[
        int | None, typer.Option(help="Tokens of each request; without it, endless requests.")
    ] = None,
    requests: Annotated[
        int | None, typer.Option(help="Requests simulated; default by their length.")
    ] = None,
    batch: Annotated[
        int | None,
        typer.Option(help="Sequences decoded together; under load the most of them (256)."),
    ] = None,
    arrival_rate: Annotated[
        float | None,
        typer.Option(help="Requests per second of a fleet under load; needs costs in seconds."),
    ] = None,
    rounds: Annotated[
        int, typer.Option(help="Rounds simulated for the speed-up of endless requests.")
    ] = 1_000_000,
    grid: Annotated[
        str | None,
        typer.Option(help="Many settings: options with lists, as 'alpha=0.6,0.8 gamma=1,2,3'."),
    ] = None,
    backend: Annotated[
        str, typer.Option(help="Where a grid runs: sequential, threading, loky, dask or ray.")
    ] = "loky",
    address: Annotated[
        str | None, typer.Option(help="Scheduler of the cluster, for dask or ray.")
    ] = None,
    workers: Annotated[
        int | None, typer.Option(help="Workers of a grid; default all cores or the cluster.")
    ] = None,
    resume: Annotated[
        str | None, typer.Option(help="File of finished points; those in it are not run again.")
    ] = None,
    seed: Annotated[int, typer.Option(help="Seed of the random draws, >= 0.")] = 0,
    as_json: Annotated[bool, typer.Option("--json", help="Print one JSON object.")] = False,
) -> None:
    """Simulate speculative decoding: tokens per round, speed-up and latency, with their errors.

    Without --tokens the speed-up is that of endless requests; with it, the last round of each
    request is cut at its end. With --arrival-rate requests arrive at random and are batched
    continuously, and the speed-up is that of their mean latency at the same rate. With --grid every
    combination is simulated, on all cores or on a cluster, with the same numbers wherever it runs.

    Examples:

    howspec simulate --alpha 0.8 --gamma 5 --cost-ratio 0.05

    howspec simulate --law depth:alpha=0.8,decay=0.9 --gamma 4 --cost-ratio 0.1

    howspec simulate --cost-ratio 0.05 --grid "alpha=0.6,0.8 gamma=1,3,5"
    """
    from time import perf_counter

    import numpy as np

    from .simulation import simulate_point

    began = perf_counter()
    check_seed(seed)
    setting: dict[str, Any] = {
        "alpha": alpha, "law": law, "trace": trace, "drafter": drafter, "gamma": gamma,
        "policy": policy, "cost_ratio": cost_ratio, "costs": costs, "tokens": tokens,
        "requests": requests, "batch": batch, "arrival_rate": arrival_rate, "rounds": rounds,
    }  # fmt: skip
    setting = {name: value for name, value in setting.items() if value is not None}
    if grid is None:
        if resume is not None or address is not None or workers is not None:
            raise ValueError("--resume, --address and --workers belong to a --grid, got none")
        answer = simulate_point(np.random.default_rng(seed), **setting)
        answer |= {"seed": seed, "elapsed_s": perf_counter() - began}
        show = _print
    else:
        answer = _grid(grid, setting, seed, backend, address, workers, resume)
        answer |= {"seed": seed, "elapsed_s": perf_counter() - began}
        show = _print_grid
    if as_json:
        print_json(answer)
    else:
        show(answer)


def _grid(
    text: str,
    setting: dict[str, Any],
    seed: int,
    backend: str,
    address: str | None,
    workers: int | None,
    resume: str | None,
) -> dict[str, Any]:
    """Simulate every combination of the grid's values, the other options being those given."""
    import warnings

    from ..sim.sweep import grid, sweep
    from .simulation import simulate_point

    axes = _axes(text)
    points = grid(**axes)
    twice = sorted(set(axes) & set(setting) - {"rounds"})
    if twice:
        raise ValueError(f"--grid and --{twice[0].replace('_', '-')} both give {twice[0]}")
    with utf8(resume or "--grid"), warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        results = sweep(
            simulate_point,
            [setting | point for point in points],
            seed=seed,
            backend=backend,
            address=address,
            workers=workers,
            resume=resume,
        )
    for warning in caught:  # such as a last line that a killed run left unfinished
        typer.echo(f"note: {warning.message}", err=True)
    return {
        "axes": axes,
        "points": [{"setting": p, **r} for p, r in zip(points, results, strict=True)],
        "rounds": sum(int(r["rounds"]) for r in results),
    }


_KINDS: dict[str, Callable[[str], Any]] = {
    "alpha": float, "law": str, "gamma": int, "policy": str, "cost_ratio": float, "costs": str,
    "tokens": int, "batch": int, "arrival_rate": float, "rounds": int,
}  # fmt: skip


def _axes(text: str) -> dict[str, list[Any]]:
    axes: dict[str, list[Any]] = {}
    for part in text.split():
        name, _, values = part.partition("=")
        name = name.replace("-", "_")
        if name not in _KINDS or not values:
            raise ValueError(
                f"--grid takes NAME=V1,V2,... with NAME one of {', '.join(_KINDS)}, got {part!r}"
            )
        try:
            axes[name] = [_KINDS[name](v) for v in values.split(",")]
        except ValueError:
            kind = _KINDS[name].__name__
            raise ValueError(f"--grid: values of {name} must be {kind}, got {values!r}") from None
    if not axes:
        raise ValueError("--grid takes NAME=V1,V2,..., got nothing")
    return axes


def _print_grid(answer: dict[str, Any]) -> None:
    names = list(answer["axes"])
    rows = []
    for point in answer["points"]:
        row = [str(point["setting"][n]) for n in names]
        for what in ("tokens_per_round", "speedup"):
            row += [f"{point[what]['mean']:.4f}", f"{point[what]['se']:.4f}"]
        rows.append(row)
    print_table([*names, "tokens per round", "se", "speed-up", "se"], rows)
    print(f"{answer['rounds']} rounds, seed {answer['seed']}, {answer['elapsed_s']:.2f} s")


def _print(answer: dict[str, Any]) -> None:
    rows = []
    for name in ("speedup", "tokens_per_round", "tokens_per_s", "batch", "utilisation"):
        if name in answer:
            value = answer[name]
            rows.append([name, f"{value['mean']:.4f}", f"{value['se']:.4f}"])
    print_table(["", "mean", "se"], rows)
    waits = [k for k in ("latency_s", "latency_steps", "ttft_s", "queue_s") if k in answer]
    if waits:
        columns = list(answer[waits[0]])
        table = [[name, *(f"{answer[name][c]:.4g}" for c in columns)] for name in waits]
        print_table(["", *columns], table)
    if "load" in answer:
        print(f"load {answer['load']:.3f} of the capacity of a full batch")
    for note in answer.get("notes", ()):
        print(f"note: {note}")
    print(f"{answer['rounds']} rounds, seed {answer['seed']}, {answer['elapsed_s']:.2f} s")
