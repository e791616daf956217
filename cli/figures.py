"""`howspec figures`: every figure and table, with the numbers behind them."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from .checks import check_folder, check_seed
from .output import print_json
from .progress import progress_bar


def figures(
    out: Annotated[Path, typer.Option(help="Folder for the figures; made if absent.")],
    only: Annotated[
        list[str] | None, typer.Option(help="Name of a figure, such as cpu_grid; repeat for more.")
    ] = None,
    seed: Annotated[int, typer.Option(help="Seed of the posterior draws.")] = 0,
    as_json: Annotated[bool, typer.Option("--json", help="Print one JSON object.")] = False,
) -> None:
    """Draw the paper's figures and tables and ours: PDF, PNG, LaTeX, and the CSV behind each.

    Example:

    howspec figures --out out --only latency_by_gamma --only speedup_surface
    """
    from ..figures.draw import draw_all

    check_seed(seed)
    check_folder(out)
    with progress_bar() as progress:
        written = draw_all(out, only=only or (), seed=seed, progress=progress)
    if as_json:
        print_json({"files": [str(p) for p in written]})
    else:
        for path in written:
            print(path)
