"""`howspec explore`: one page with sliders, which opens without a network."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from .answering import Given, answering
from .commands import Option
from .output import check_file, print_json

if TYPE_CHECKING:
    from ..verbs.explore import Explorer


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
