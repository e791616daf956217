"""`howspec paper`: the paper's experiment, from fit to figures, and its table at timed costs."""

from __future__ import annotations

from pathlib import Path

from . import options
from .answering import Given, answering, said
from .commands import Option

# What the verbs that draw have in common.
DRAWN = {**options.SHARED, **said({
    "out": Option("Folder for the figures; made if absent.", kind=Path),
    "sweep": "Table of your own measurements, instead of the paper's.",
    "records": "Folder of `calibrate` with costs, acceptance and sweep.",
    "target": "Target within the sweep.",
    "width": "Width of a column, such as 3.03in or 77mm.",
    "font_size": "Size of type [pt]; default 8.",
})}  # fmt: skip


@answering(
    "out sweep records target width font_size seed as_json",
    shared=DRAWN,
    seed="Seed of draws and simulations.",
)
def paper(given: Given) -> None:
    """Fit the paper's measurements, predict best gamma and draft, confirm, draw the figures.

    With --sweep or --records the same of your own family: fits, tests on what is left out, figures
    and the main table in LaTeX, in the width and size of type of a venue.

    Example:

    howspec paper --out out
    """
