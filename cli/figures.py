"""`howspec figures`: every figure and table, with the numbers behind them."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path

from .answering import printing
from .output import Shown
from .paper import DRAWN


@printing(
    shared=DRAWN,
    only="Name of a figure, such as cpu_grid; repeat for more.",
    seed="Seed of the posterior draws.",
)
def figures(
    out: Path,
    only: list[str] | None = None,
    sweep: str | None = None,
    records: str | None = None,
    target: str | None = None,
    width: str | None = None,
    font_size: float | None = None,
    seed: int = 0,
    *,
    progress: Callable[[str, int, int], None],
) -> Shown:
    """Draw the paper's figures and tables and ours: PDF, PNG, LaTeX, and the CSV behind each.

    With --sweep or --records, those of your own family; `howspec paper` tests it as well. The
    figure truth, which runs every test of truth, is drawn only by name.

    Example:

    howspec figures --out out --only latency_by_gamma --only speedup_surface
    """
    from ..calibrate.files import check_folder
    from ..sim.known import check_seed

    check_seed(seed)
    check_folder(out, "--out")
    written: Sequence[Path]
    if sweep is not None or records is not None:
        from ..verbs.family import family

        written = family(
            sweep=sweep, records=records, out=out, target=target, only=only or (), tests=False,
            width=width, font_size=font_size, seed=seed, progress=progress,
        ).files  # fmt: skip
    else:
        from ..figures.draw import draw_all
        from ..figures.style import venue, venue_of

        with venue(venue_of(width, font_size)):
            written = draw_all(out, only=only or (), seed=seed, progress=progress)
    return Shown({"files": written}, map(str, written))
