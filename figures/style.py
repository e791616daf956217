"""One look for every figure: column widths in inches, safe colours, readable at print size."""

from __future__ import annotations

import csv
from collections.abc import Callable, Iterable, Sequence
from functools import wraps
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar, cast

if TYPE_CHECKING:
    from matplotlib.figure import Figure

COLUMN = 3.35  # width of one column of a two-column page [inch]
PAGE = 6.9  # width of the page [inch]
# Okabe and Ito's colours, told apart with every common colour vision.
COLOURS = ("#0072B2", "#D55E00", "#009E73", "#CC79A7", "#E69F00", "#56B4E9", "#000000")
SUFFIXES = (".pdf", ".png", ".svg")
MARKERS = ("o", "s", "^", "D", "v", "P", "X")
_SETTINGS: Any = {
    "font.size": 8,
    "axes.labelsize": 8,
    "axes.titlesize": 8,
    "legend.fontsize": 7,
    "xtick.labelsize": 7,
    "ytick.labelsize": 7,
    "axes.linewidth": 0.6,
    "axes.spines.top": False,
    "axes.spines.right": False,
    "lines.linewidth": 1.2,
    "lines.markersize": 3.5,
    "legend.frameon": False,
    "figure.dpi": 100,
    "savefig.dpi": 300,
    "pdf.fonttype": 42,
    "svg.hashsalt": "howspec",
}


F = TypeVar("F", bound=Callable[..., Any])


def styled(draw: F) -> F:
    """Run a drawing function under the house settings, and leave no global state behind."""

    @wraps(draw)
    def inside(*args: Any, **kwargs: Any) -> Any:
        from matplotlib import rc_context

        with rc_context(_SETTINGS):
            return draw(*args, **kwargs)

    return cast("F", inside)


def figure(width: float, height: float, rows: int = 1, columns: int = 1, **options: Any) -> Any:
    """A new figure with its axes: (figure, axes). Needs no display."""
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure

    made = Figure(figsize=(width, height), layout="constrained")
    FigureCanvasAgg(made)
    return made, made.subplots(rows, columns, **options)


def save(made: Figure, out: Path, name: str) -> list[Path]:
    """Write NAME.pdf and NAME.png into ``out``; the same figure gives the same bytes."""
    paths = []
    for suffix in ("pdf", "png"):
        path = out / f"{name}.{suffix}"
        fixed = {"CreationDate": None} if suffix == "pdf" else {"Software": None}
        made.savefig(path, metadata=fixed)
        paths.append(path)
    return paths


def check_path(path: Path) -> Path:
    """Return the path of a figure, or raise ValueError unless it ends in .pdf, .png or .svg."""
    if path.suffix.lower() not in SUFFIXES:
        raise ValueError(f"figure must end in {', '.join(SUFFIXES)}, got {path.name!r}")
    return path


@styled
def write(made: Figure, path: Path) -> Path:
    """Write a figure into a file; the same figure gives the same bytes."""
    fixed = {".pdf": {"CreationDate": None}, ".png": {"Software": None}, ".svg": {"Date": None}}
    made.savefig(check_path(path), metadata=fixed[path.suffix.lower()])
    return path


def write_csv(out: Path, name: str, columns: Sequence[str], rows: Iterable[Sequence[Any]]) -> Path:
    """Write the numbers behind a figure; floats with six significant digits."""
    path = out / f"{name}.csv"
    with path.open("w", newline="", encoding="utf-8") as file:
        writer = csv.writer(file, lineterminator="\n")
        writer.writerow(columns)
        for row in rows:
            writer.writerow([f"{v:.6g}" if isinstance(v, float) else v for v in row])
    return path


def write_latex(
    out: Path, name: str, columns: Sequence[str], rows: Iterable[Sequence[str]], *, align: str
) -> Path:
    """Write a table as LaTeX (booktabs); the cells are LaTeX already."""
    lines = [
        rf"\begin{{tabular}}{{{align}}}",
        r"\toprule",
        " & ".join(columns) + r" \\",
        r"\midrule",
    ]
    lines += [" & ".join(row) + r" \\" for row in rows]
    lines += [r"\bottomrule", r"\end{tabular}", ""]
    path = out / f"{name}.tex"
    path.write_text("\n".join(lines), encoding="utf-8")
    return path
