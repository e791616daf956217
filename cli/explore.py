"""`howspec explore`: one page with sliders, which opens without a network."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from . import options
from .checks import check_file
from .output import print_json


def explore(
    out: Annotated[Path, typer.Option(help="The page, an .html file.")] = Path("page.html"),
    target: options.Target = None,
    draft: options.Draft = None,
    device: options.Device = None,
    acceptance: options.Acceptance = None,
    costs: options.Costs = None,
    alpha: options.Alpha = None,
    cost_ratio: options.CostRatio = None,
    acceptance_length: options.AcceptanceLength = None,
    gamma: options.Gamma = None,
    alpha_tokens: options.AlphaTokens = None,
    decay: options.Decay = 1.0,
    verify_slope: options.VerifySlope = 0.0,
    overhead: options.Overhead = 0.0,
    sweep: Annotated[
        str | None, typer.Option(help="Measured sweep of yours, a table, shown beside the curves.")
    ] = None,
    posterior: Annotated[
        str | None,
        typer.Option(help="Table of draws, columns alpha, cost_ratio and others, shown as bands."),
    ] = None,
    task: options.Task = None,
    temperature: options.Temperature = None,
    batch: options.Batch = 1.0,
    context: options.Context = None,
    dtype: options.Dtype = "",
    stack: options.Stack = None,
    gamma_max: options.GammaMax = None,
    level: options.Level = 0.9,
    seed: options.Seed = 0,
    as_json: options.Json = False,
) -> None:
    """Make a page with sliders: latency by gamma, by size of the draft, and over both.

    It begins with the answer to the question of the options, as `howspec predict` takes them, with
    the fit of --sweep, or with the paper's own pair. It is one file that opens in any browser
    without a network; a link keeps what was set, and says the command that gives the same answer.

    Examples:

    howspec explore --alpha 0.8 --cost-ratio 0.05

    howspec explore --target Llama-3.1-8B --draft Llama-3.2-1B --device H100 --out page.html
    """
    check_file(out, "--out", (".html", ".htm"))
    from ..verbs.explore import explore as ask

    made = ask(
        target=target, draft=draft, device=device,
        acceptance=options.acceptance(acceptance, alpha), costs=options.costs(costs, cost_ratio),
        acceptance_length=acceptance_length, gamma=gamma, alpha_tokens=alpha_tokens, decay=decay,
        verify_slope=verify_slope, overhead=overhead, task=task, temperature=temperature,
        batch=batch, context=context, dtype=dtype, stack=stack, gamma_max=gamma_max, sweep=sweep,
        posterior=posterior, level=level, seed=seed,
    )  # fmt: skip
    written = made.write(out)
    if as_json:
        print_json({"page": str(written), "bytes": len(made.html.encode()), "notes": made.notes})
        return
    print(f"page: {written} ({len(made.html.encode()) / 1e3:.0f} kB), open it in a browser")
    for note in made.notes:
        print(f"note: {note}")
