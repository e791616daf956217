"""`howspec figures`: every figure and table, with the numbers behind them."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Annotated

from .checks import check_seed
from .commands import Option
from .options import Json
from .output import print_json, progress_bar


def figures(
    out: Annotated[Path, Option(help="Folder for the figures; made if absent.")],
    only: Annotated[
        list[str] | None, Option(help="Name of a figure, such as cpu_grid; repeat for more.")
    ] = None,
    sweep: Annotated[
        str | None, Option(help="Table of your own measurements, instead of the paper's.")
    ] = None,
    records: Annotated[
        str | None, Option(help="Folder of `calibrate` with costs, acceptance and sweep.")
    ] = None,
    target: Annotated[str | None, Option(help="Target within the sweep.")] = None,
    width: Annotated[str | None, Option(help="Width of a column, such as 3.03in or 77mm.")] = None,
    font_size: Annotated[float | None, Option(help="Size of type [pt]; default 8.")] = None,
    seed: Annotated[int, Option(help="Seed of the posterior draws.")] = 0,
    as_json: Json = False,
) -> None:
    """Draw the paper's figures and tables and ours: PDF, PNG, LaTeX, and the CSV behind each.

    With --sweep or --records, those of your own family; `howspec paper` tests it as well. The
    figure truth, which runs every test of truth, is drawn only by name.

    Example:

    howspec figures --out out --only latency_by_gamma --only speedup_surface
    """
    from ..calibrate.files import check_folder

    check_seed(seed)
    check_folder(out, "--out")
    written: Sequence[Path]
    if sweep is not None or records is not None:
        from ..verbs.family import family

        with progress_bar() as progress:
            written = family(
                sweep=sweep, records=records, out=out, target=target, only=only or (), tests=False,
                width=width, font_size=font_size, seed=seed, progress=progress,
            ).files  # fmt: skip
    else:
        from ..figures.draw import draw_all
        from ..figures.style import venue, venue_of

        with venue(venue_of(width, font_size)), progress_bar() as progress:
            written = draw_all(out, only=only or (), seed=seed, progress=progress)
    if as_json:
        print_json({"files": [str(p) for p in written]})
    else:
        for path in written:
            print(path)
