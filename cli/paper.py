"""`howspec paper`: the paper's experiment, from fit to figures, and its table at timed costs."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

from .answering import printing
from .checks import check_seed
from .output import print_json, print_table, progress_bar, show

if TYPE_CHECKING:
    from ..figures.paper_costs import PaperCostRow
    from ..figures.scales import ScaleStudy
    from ..figures.study import GridStudy, HeldOut, LawRow
    from ..figures.transfer import TableRow


def print_timed_rows(rows: tuple[PaperCostRow, ...], *, record: str) -> None:
    """Print the rows of one cost record; nothing where there are none."""
    if not rows:
        return
    print_table(
        ["row", "mode", "c", "V(K+1)/V(1)", "published", "speed-up, 90 %", "needed alpha"],
        [
            [
                f"{r.target} {r.method}: {r.draft} K={r.gamma}",
                r.mode,
                f"{r.cost_ratio:.3f}",
                f"{r.verify_ratio:.2f}",
                f"{r.published:.2f}",
                f"{r.speedup.estimate:.2f} [{r.speedup.low:.2f}, {r.speedup.high:.2f}]",
                "-" if r.needed_alpha is None else f"{r.needed_alpha:.2f}",
            ]
            for r in rows
        ],
        f"The paper's table at the costs of {record}: the paper's architectures, timed with random "
        "weights.\nneeded alpha: acceptance of every token with which the published speed-up would "
        "follow",
    )
    inside = sum(r.inside for r in rows)
    print(f"{inside} of {len(rows)} published speed-ups inside their 90 % interval\n")


@printing(
    out="Folder for the figures; made if absent.",
    sweep="Table of your own measurements, instead of the paper's.",
    records="Folder of `calibrate` with costs, acceptance and sweep.",
    target="Target within the sweep.",
    width="Width of a column, such as 3.03in or 77mm.",
    font_size="Size of type [pt]; default 8.",
    seed="Seed of draws and simulations.",
)
def paper(
    out: Path,
    sweep: str | None = None,
    records: str | None = None,
    target: str | None = None,
    width: str | None = None,
    font_size: float | None = None,
    seed: int = 0,
    as_json: bool = False,
) -> None:
    """Fit the paper's measurements, predict best gamma and draft, confirm, draw the figures.

    With --sweep or --records the same of your own family: fits, tests on what is left out, figures
    and the main table in LaTeX, in the width and size of type of a venue.

    Example:

    howspec paper --out out
    """
    from ..calibrate.files import check_folder

    check_seed(seed)
    check_folder(out, "--out")
    if sweep is not None or records is not None:
        from ..verbs.family import family

        with progress_bar() as progress:
            answer = family(
                sweep=sweep, records=records, out=out, target=target, width=width,
                font_size=font_size, seed=seed, progress=progress,
            )  # fmt: skip
        show(answer, as_json)
        return
    from ..figures.paper import paper_study

    with progress_bar() as progress:
        found = paper_study(out, width=width, font_size=font_size, seed=seed, progress=progress)
    if as_json:
        print_json(found.entry())
        return
    _print_grid(found.study)
    _print_scale(found.study, found.scale)
    _print_table(found.rows)
    for record, at_costs in found.timed.items():
        print_timed_rows(at_costs, record=record)
    _print_tests(found.study, found.tests)
    _print_ideal(found.ideal)
    print(f"{len(found.files)} files in {out}")


def _print_grid(study: GridStudy) -> None:
    best = max(study.panels, key=lambda p: p.prediction.speedup.estimate)
    s = best.prediction.speedup
    print(
        f"{study.target}: draft with {best.draft}, gamma {best.prediction.gamma}, "
        f"speed-up {s.estimate:.3f} (90 % interval {s.low:.3f}-{s.high:.3f})"
    )
    rows = []
    for p in study.panels:
        s, window = p.prediction.speedup, p.prediction.gamma_window
        rows.append(
            [
                p.draft,
                f"{p.prediction.gamma}",
                f"{window[0]}-{window[-1]}" if len(window) > 1 else f"{window[0]}",
                f"{s.estimate:.3f} [{s.low:.3f}, {s.high:.3f}]",
                f"{1 / p.measured.min():.3f} at {p.gammas[p.measured.argmin()]}",
                "yes" if p.window_hit else "no",
                f"{p.confirmation.z:+.2f}",
            ]
        )
    print_table(
        ["draft", "gamma", "within 1 %", "speed-up, 90 %", "measured best", "in window", "z"],
        rows,
        "Fitted to the paper's latency grid; z: simulated against predicted speed-up",
    )


def _print_scale(study: GridStudy, scale: ScaleStudy) -> None:
    turn = scale.turning_point
    fitted = int(scale.fitted.sum())
    print(
        f"best draft scale for {study.target}: {turn.estimate:.2f} of its parameters "
        f"(90 % interval {turn.low:.2f}-{turn.high:.2f}), from the law of the {fitted} released "
        "drafts\n"
    )


def _print_table(rows: tuple[TableRow, ...]) -> None:
    def cell(interval: Any) -> str:
        return f"{interval.estimate:.2f} [{interval.low:.2f}, {interval.high:.2f}]"

    print_table(
        ["row", "paper", "fitted", "predicted", "speed-up, 90 %", "at paper's choice", "inside"],
        [
            [
                f"{r.target} {r.method}",
                f"{r.paper_draft} K={r.paper_gamma} {r.paper_speedup:.2f}",
                "-" if r.fitted is None else f"{r.fitted.estimate:.2f}",
                f"{r.draft} K={r.gamma}",
                cell(r.speedup),
                cell(r.at_paper_choice),
                "yes" if r.inside else "no",
            ]
            for r in rows
        ],
        "The paper's main table. Predictions use no row of it: acceptance is that of other "
        "published pairs,\ncost follows depth and size as on the grid.",
    )
    hits = sum(r.inside for r in rows)
    drafts = sum(r.draft == r.paper_draft for r in rows)
    print(
        f"{hits} of {len(rows)} speed-ups inside their 90 % interval; "
        f"{drafts} of {len(rows)} best drafts predicted\n"
    )


def _print_tests(study: GridStudy, tests: tuple[HeldOut, ...]) -> None:
    print_table(
        ["held out", "points", "mean |error|", "median", "95th percentile", "90 % covers"],
        [
            [
                t.name,
                f"{len(t.labels)}",
                f"{t.mean_abs:.2%}",
                f"{t.median_abs:.2%}",
                f"{t.p95_abs:.2%}",
                f"{t.coverage:.0%}",
            ]
            for t in tests
        ],
        f"Predictions of points left out (joint fit of the grid: rms {study.rms:.2%} of plain "
        "latency)",
    )


def _print_ideal(rows: tuple[LawRow, ...]) -> None:
    mean = sum(abs(r.error) for r in rows) / len(rows)
    print_table(
        ["pair", "alpha", "gamma", "c", "measured", "ideal law", "error"],
        [
            [r.label, f"{r.alpha:g}", f"{r.gamma}", f"{r.cost_ratio:g}", f"{r.measured:g}",
             f"{r.predicted:.2f}", f"{r.error:+.0%}"]
            for r in rows
        ],
        f"arXiv:2211.17192, predicted from its own alpha, gamma and c: mean |error| {mean:.1%}, "
        "no parameter fitted",
    )  # fmt: skip
