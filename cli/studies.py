"""The paper's experiment, its figures, the tests of truth, and the page with sliders."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from . import options
from .answering import Given, answering, said
from .commands import Option
from .output import check_file, print_json

if TYPE_CHECKING:
    from ..verbs.explore import Explorer


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


@answering(
    "out only sweep records target width font_size seed as_json",
    asks="paper:figures",
    shared=DRAWN,
    only="Name of a figure, such as cpu_grid; repeat for more.",
    seed="Seed of the posterior draws.",
)
def figures(given: Given) -> None:
    """Draw the paper's figures and tables and ours: PDF, PNG, LaTeX, and the CSV behind each.

    With --sweep or --records, those of your own family; `howspec paper` tests it as well. The
    figure truth, which runs every test of truth, is drawn only by name.

    Example:

    howspec figures --out out --only latency_by_gamma --only speedup_surface
    """


@answering(
    "rows points seed figure html as_json",
    rows="File of held-out rows; default: everything that is bundled.",
    points="List every point.",
)
def validate(given: Given) -> None:
    """Test the predictions: what was given, what was predicted, how far off, how sure.

    A file (separated text with a header, or JSON) has the columns target, draft, engine, hardware,
    task, batch, gamma, alpha, tau_mean_tokens_per_round, cost_ratio_c, speedup, under these or
    usual other names: sweeps over gamma are predicted with one gamma left out, rows that state
    acceptance, gamma and cost ratio from these, and speed-ups of models and machines that are
    known from the names. Or it has one number a row, in metric and value: speed-ups, speeds and
    plain ones, tokens per round, acceptance. Errors of speed-ups are relative, those of acceptance
    absolute.

    Example:

    howspec validate
    """


def _write(made: Explorer, given: Given) -> None:
    written = made.write(given["out"])
    if given["as_json"]:
        print_json({"page": str(written), "bytes": len(made.html.encode()), "notes": made.notes})
        return
    print(f"page: {written} ({len(made.html.encode()) / 1e3:.0f} kB), open it in a browser")
    for note in made.notes:
        print(f"note: {note}")


@answering(
    "out target draft device acceptance costs alpha cost_ratio acceptance_length gamma "
    "alpha_tokens decay verify_slope overhead sweep posterior task temperature batch context "
    "dtype stack gamma_max level seed as_json",
    show_as=_write,
    out=Option("The page, an .html file.", kind=Path, default=Path("page.html")),
    sweep="Measured sweep of yours, a table, shown beside the curves.",
    posterior="Table of draws, columns alpha, cost_ratio and others, shown as bands.",
)
def explore(given: Given) -> None:
    """Make a page with sliders: latency by gamma, by size of the draft, and over both.

    It begins with the answer to the question of the options, as `howspec predict` takes them, with
    the fit of --sweep, or with the paper's own pair. It is one file that opens in any browser
    without a network; a link keeps what was set, and says the command that gives the same answer.

    Examples:

    howspec explore --alpha 0.8 --cost-ratio 0.05

    howspec explore --target Llama-3.1-8B --draft Llama-3.2-1B --device H100 --out page.html
    """
    check_file(given.pop("out"), "--out", (".html", ".htm"))
