"""One look for every figure: column widths in inches, safe colours, readable at print size.

A figure has a caption: its first sentence says what is seen, the others the setting. It is written
into the files themselves and, for a paper, beside them. `venue` sets width and type size.
"""

from __future__ import annotations

import csv
import re
import textwrap
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from contextvars import ContextVar
from dataclasses import dataclass
from functools import wraps
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar, cast

import numpy as np

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

    from ..theory.interval import Interval

Row = Mapping[str, Any]
COLUMN = 3.35  # width of one column of a two-column page [inch]
PAGE = 6.9  # width of the page [inch]
# Okabe and Ito's colours, told apart with every common colour vision.
COLOURS = ("#0072B2", "#D55E00", "#009E73", "#CC79A7", "#E69F00", "#56B4E9", "#000000")
SUFFIXES = (".pdf", ".png", ".svg")
MARKERS = ("o", "s", "^", "D", "v", "P", "X")
# Sizes of type are relative to font.size, so that one number sets them all.
_SETTINGS: Any = {
    "axes.labelsize": "medium",
    "axes.titlesize": "medium",
    "figure.titlesize": "medium",
    "figure.labelsize": "medium",
    "legend.fontsize": "small",
    "xtick.labelsize": "small",
    "ytick.labelsize": "small",
    "axes.linewidth": 0.6,
    "axes.spines.top": False,
    "axes.spines.right": False,
    "lines.linewidth": 1.2,
    "lines.markersize": 3.5,
    "legend.frameon": False,
    "figure.dpi": 100,
    "savefig.dpi": 300,
    "pdf.fonttype": 42,
    "ps.fonttype": 42,
    "svg.hashsalt": "howspec",
}


@dataclass(frozen=True)
class Venue:
    """Where figures are printed: column and page [inch], size of type [pt]."""

    column: float = COLUMN
    page: float = PAGE
    font: float = 8.0

    def __post_init__(self) -> None:
        for name, value, low, high in (
            ("width", self.column, 1.5, 20.0),
            ("page width", self.page, self.column, 40.0),
            ("font size", self.font, 4.0, 24.0),
        ):
            if not low <= value <= high:
                raise ValueError(f"{name} must be in [{low:g}, {high:g}], got {value:g}")

    def scale(self, width: float) -> float:
        """What a figure of a width in the house's size is stretched by."""
        share = min(max((width - COLUMN) / (PAGE - COLUMN), 0.0), 1.0)
        return (1 - share) * self.column / COLUMN + share * self.page / PAGE


_LENGTH = re.compile(r"([\d.]+)\s*(in|mm|cm|pt)?")
_INCHES = {"in": 1.0, "mm": 1 / 25.4, "cm": 1 / 2.54, "pt": 1 / 72.27}  # points of TeX


def inches(length: str | float) -> float:
    """A length such as 3.03in, 77mm or 246pt in inches; a number is inches already."""
    match = _LENGTH.fullmatch(str(length).strip())
    if match is None or match[1].count(".") > 1 or match[1] == ".":
        raise ValueError(f"width must be a length such as 3.03in, 77mm or 246pt, got {length!r}")
    return float(match[1]) * _INCHES[match[2] or "in"]


def venue_of(width: str | float | None, font_size: float | None) -> Venue:
    """A venue by the width of its column; its page is as much wider as the house's."""
    column = COLUMN if width is None else inches(width)
    return Venue(column, PAGE * column / COLUMN, 8.0 if font_size is None else font_size)


_VENUE: ContextVar[Venue] = ContextVar("venue", default=Venue())  # noqa: B039 - frozen


@contextmanager
def venue(place: Venue) -> Iterator[None]:
    """Draw for a venue: figures made inside have its widths and its size of type."""
    token = _VENUE.set(place)
    try:
        yield
    finally:
        _VENUE.reset(token)


F = TypeVar("F", bound=Callable[..., Any])


def styled(draw: F) -> F:
    """Run a drawing function under the house settings, and leave no global state behind."""

    @wraps(draw)
    def inside(*args: Any, **kwargs: Any) -> Any:
        from matplotlib import rc_context

        with rc_context({**_SETTINGS, "font.size": _VENUE.get().font}):
            return draw(*args, **kwargs)

    return cast("F", inside)


def figure(
    width: float, height: float, rows: int = 1, columns: int = 1, **options: Any
) -> tuple[Figure, Any]:
    """A new figure with its axes, sized for the venue: (figure, axes). Needs no display."""
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure

    scale = _VENUE.get().scale(width)
    made = Figure(figsize=(scale * width, scale * height), layout="constrained")
    FigureCanvasAgg(made)
    return made, made.subplots(rows, columns, **options)


def panels(
    count: int, *, most: int, height: float, width: float = PAGE, margin: float = 0.5,
    spare: int = 0, **options: Any,
) -> tuple[Figure, Any]:  # fmt: skip
    """(figure, axes) of so many panels in rows of up to ``most``, and blank ones behind them.

    height: of a row; margin: of what is around the rows; spare: blank panels that there must be.
    The last panel of every column has the labels of its x axis, for the place below may be blank.
    """
    columns = min(most, count + spare)
    lines = -(-(count + spare) // columns)
    made, axes = figure(width, height * lines + margin, lines, columns, squeeze=False, **options)
    for ax in axes.flat[count:]:
        ax.axis("off")
    for ax in axes.flat[:count][-columns:]:
        ax.tick_params(labelbottom=True)
    return made, axes


def one_legend(made: Any, axes: Any, side: str, *, columns: int) -> None:
    """A legend of all that panels show, each once; side: upper or lower."""
    found: dict[str, Any] = {}
    for ax in axes.flat:
        for handle, label in zip(*ax.get_legend_handles_labels(), strict=True):
            found.setdefault(label, handle)
    made.legend(
        found.values(), found.keys(), loc=f"outside {side} center", ncols=min(columns, len(found))
    )


def sized(parameters: float, digits: int = 3) -> str:
    """Parameters of a model in billions or millions: 1.5 B, 0.43 M."""
    unit, one = ("B", 1e9) if parameters >= 1e9 else ("M", 1e6)
    return f"{parameters / one:.{digits}g} {unit}"


def literal(text: str, width: int = 50) -> str:
    """A title with names as they are written, in short lines: a dollar in it begins no formula."""
    return textwrap.fill(text, width).replace("$", r"\$")


def plain_line(ax: Axes, color: str = "0.6") -> None:
    """The level of plain decoding."""
    ax.axhline(1.0, color=color, lw=0.6, zorder=0)


def star(ax: Axes, x: float, y: float, color: str, ms: float = 10, **more: Any) -> None:
    """What is best, as a star with a white edge."""
    ax.plot(x, y, "*", color=color, ms=ms, mec="white", **({"mew": 0.6, "zorder": 5} | more))


def save(
    made: Figure, out: Path, name: str, caption: str, rows: Sequence[Row] | None = None
) -> list[Path]:
    """Write NAME.pdf, NAME.png, NAME_caption.tex, and NAME.csv where the numbers are given.

    caption: what is seen, in one sentence, then the setting; also kept inside both pictures; rows:
    the numbers behind the figure, by column. The same figure gives the same bytes. The axes are
    laid out once, in the first picture, which takes as long as to draw them.
    """
    pdf, png = (out / f"{name}{suffix}" for suffix in (".pdf", ".png"))
    made.savefig(png, metadata=_metadata(".png", caption))
    made.set_layout_engine(None)
    made.savefig(pdf, metadata=_metadata(".pdf", caption))
    numbers = [] if rows is None else [write_csv(out, name, rows)]
    return [pdf, png, write_caption(out, name, caption), *numbers]


def _metadata(suffix: str, caption: object) -> dict[str, Any]:
    """What a file says of itself: its caption, and nothing that changes from run to run."""
    unset, place = {".pdf": ("CreationDate", "Subject"), ".png": ("Software", "Description"),
                    ".svg": ("Date", "Description")}[suffix]  # fmt: skip
    return {unset: None} | ({} if caption is None else {place: caption})


_LATEX = {
    "\\": r"\textbackslash{}", "%": r"\%", "&": r"\&", "_": r"\_", "#": r"\#", "$": r"\$",
    "{": r"\{", "}": r"\}", "~": r"\textasciitilde{}", "^": r"\textasciicircum{}",
    "α": r"$\alpha$", "γ": r"$\gamma$", "≤": r"$\leq$", "±": r"$\pm$", "×": r"$\times$",
}  # fmt: skip


def latex_text(text: str) -> str:
    """Plain text as LaTeX prints it: special characters escaped, Greek letters as symbols."""
    return "".join(_LATEX.get(c, c) for c in text)


def write_caption(out: Path, name: str, caption: str) -> Path:
    """Write a caption as LaTeX into NAME_caption.tex."""
    path = out / f"{name}_caption.tex"
    path.write_text(latex_text(caption) + "\n", encoding="utf-8")
    return path


def check_path(path: Path) -> Path:
    """Return the path of a figure, or raise ValueError unless it ends in .pdf, .png or .svg."""
    if path.suffix.lower() not in SUFFIXES:
        raise ValueError(f"figure must end in {', '.join(SUFFIXES)}, got {path.name!r}")
    return path


@styled
def write(made: Figure, path: Path) -> Path:
    """Write a figure into a file, its label as caption; the same figure gives the same bytes."""
    suffix, caption = check_path(path).suffix.lower(), made.get_label() or None
    made.savefig(path, metadata=_metadata(suffix, caption))
    return path


def write_csv(out: Path, name: str, rows: Sequence[Row]) -> Path:
    """Write rows by column, all of the same columns; floats with six significant digits."""
    path = out / f"{name}.csv"
    with path.open("w", newline="", encoding="utf-8") as file:
        writer = csv.writer(file, lineterminator="\n")
        writer.writerow(rows[0])
        for row in rows:
            values = (row[column] for column in rows[0])
            writer.writerow([f"{v:.6g}" if isinstance(v, float) else v for v in values])
    return path


def by_rows(columns: Mapping[str, Any]) -> list[Row]:
    """Columns of equal length as rows; a single value stands in every row."""
    each = np.broadcast_arrays(*columns.values())
    return [dict(zip(columns, row, strict=True)) for row in zip(*each, strict=True)]


def ends_of(value: Interval, name: str, ends: str) -> Row:
    """An interval as columns: its middle as name, its ends as ENDS_low and ENDS_high."""
    return {name: value.estimate, f"{ends}_low": value.low, f"{ends}_high": value.high}


def bracket(value: Interval, digits: int = 2) -> str:
    """An interval as tables print it: 1.53 [1.50, 1.58]."""
    return f"{value.estimate:.{digits}f} [{value.low:.{digits}f}, {value.high:.{digits}f}]"


def write_latex(
    out: Path, name: str, columns: Sequence[str], rows: Iterable[Sequence[str]], *, align: str
) -> Path:
    """Write a table as LaTeX (booktabs); the cells are LaTeX already."""
    head, *body = (" & ".join(row) + r" \\" for row in (columns, *rows))
    lines = [rf"\begin{{tabular}}{{{align}}}", r"\toprule", head, r"\midrule", *body]
    lines += [r"\bottomrule", r"\end{tabular}", ""]
    path = out / f"{name}.tex"
    path.write_text("\n".join(lines), encoding="utf-8")
    return path
