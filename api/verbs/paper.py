"""The paper's experiment on its own measurements, from fits to figures."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from ..answer import Answer
from ..listing import Listing
from ..measured import Progress
from ..table import Column, Table, sure, window

if TYPE_CHECKING:
    from ..figures.draw import Studies
    from ..figures.paper_costs import PaperCostRow
    from ..figures.study import LawRow
    from ..figures.validation.result import Test
    from .family import FamilyStudy


@dataclass(frozen=True, repr=False)
class PaperStudy(Answer):
    """What the paper's measurements say, and what the predictions say of them; see `howspec.paper`.

    found: the fitted latency grid, the best size of a draft and the main table; timed: the rows of
    the table at the costs of each bundled record, by its name; tests: predictions of what was left
    out; ideal: speed-ups from their own rates and costs; files: the figures, captions and tables
    that were written into ``out``.
    """

    SCHEMA = "paper"

    found: Studies
    timed: Mapping[str, Sequence[PaperCostRow]]
    tests: tuple[Test, ...]
    ideal: tuple[LawRow, ...]
    files: tuple[Path, ...]
    out: Path

    def data(self) -> Mapping[str, object]:
        study, scale = self.found.study, self.found.scale
        drafts = [
            {
                "draft": p.draft, "gamma": p.prediction.gamma,
                "gamma_window": p.prediction.gamma_window, "speedup": p.prediction.speedup,
                "measured_speedup": 1.0 / p.measured, "measured_best_in_window": p.window_hit,
                "confirmation": p.confirmation,
            }
            for p in study.panels
        ]  # fmt: skip
        tested = ("name", "points", "mean_abs_error", "median_abs_error", "p95_abs_error",
                  "coverage_90")  # fmt: skip
        return {
            "grid": {"target": study.target, "rms": study.rms, "drafts": drafts},
            "draft_scale": {"best": scale.turning_point, "at_edge": scale.at_edge},
            "main_table": self.found.rows,
            "tests": [{name: t.summary()[name] for name in tested} for t in self.tests],
            "ideal_law": [{"label": r.label, "measured": r.measured, "predicted": r.predicted,
                           "error": r.error} for r in self.ideal],
            "files": self.files, "main_table_at_timed_costs": self.timed,
        }  # fmt: skip

    def headline(self) -> str:
        study = self.found.study
        best = max(study.panels, key=lambda p: p.prediction.speedup.estimate)
        s = best.prediction.speedup
        return (
            f"{study.target}: draft with {best.draft}, gamma {best.prediction.gamma}, speed-up "
            f"{s.estimate:.3f} ({sure(s)})"
        )

    def blocks(self) -> Iterator[str | Table]:
        yield self._grid()
        study, turn = self.found.study, self.found.scale.turning_point
        yield (
            f"best draft scale for {study.target}: {turn.estimate:.2f} of its parameters "
            f"(90 % interval {turn.low:.2f}-{turn.high:.2f}), from the law of the "
            f"{int(self.found.scale.fitted.sum())} released drafts\n"
        )
        yield from self._main_table()
        for record, rows in self.timed.items():
            yield from timed_rows(rows, record=record)
        yield self._tests()
        yield self._ideal()
        yield f"{len(self.files)} files in {self.out}"

    def _grid(self) -> Table:
        panels = self.found.study.panels
        best = [f"{1 / p.measured.min():.3f} at {p.gammas[p.measured.argmin()]}" for p in panels]
        return Table(
            (
                Column("draft", [p.draft for p in panels]),
                Column("gamma", [p.prediction.gamma for p in panels]),
                Column("within 1 %", [p.prediction.gamma_window for p in panels], window),
                Column("speed-up, 90 %", [p.prediction.speedup for p in panels], _bracket(3)),
                Column("measured best", best),
                Column("in window", [p.window_hit for p in panels], _yes),
                Column("z", [p.confirmation.z for p in panels], "+.2f"),
            ),
            "Fitted to the paper's latency grid; z: simulated against predicted speed-up",
        )

    def _main_table(self) -> Iterator[str | Table]:
        rows = self.found.rows
        paper = [f"{r.paper_draft} K={r.paper_gamma} {r.paper_speedup:.2f}" for r in rows]
        yield Table(
            (
                Column("row", [f"{r.target} {r.method}" for r in rows]),
                Column("paper", paper),
                Column("fitted", [r.fitted and r.fitted.estimate for r in rows], ".2f"),
                Column("predicted", [f"{r.draft} K={r.gamma}" for r in rows]),
                Column("speed-up, 90 %", [r.speedup for r in rows], _bracket(2)),
                Column("at paper's choice", [r.at_paper_choice for r in rows], _bracket(2)),
                Column("inside", [r.inside for r in rows], _yes),
            ),
            "The paper's main table. Predictions use no row of it: acceptance is that of other "
            "published pairs,\ncost follows depth and size as on the grid.",
        )
        drafts = sum(r.draft == r.paper_draft for r in rows)
        yield (
            f"{sum(r.inside for r in rows)} of {len(rows)} speed-ups inside their 90 % interval; "
            f"{drafts} of {len(rows)} best drafts predicted\n"
        )

    def _tests(self) -> Table:
        tests, rms = [t.summary() for t in self.tests], self.found.study.rms
        return Table(
            (
                Column("held out", [t["name"] for t in tests]),
                Column("points", [t["points"] for t in tests]),
                Column("mean |error|", [t["mean_abs_error"] for t in tests], ".2%"),
                Column("median", [t["median_abs_error"] for t in tests], ".2%"),
                Column("95th percentile", [t["p95_abs_error"] for t in tests], ".2%"),
                Column("90 % covers", [t["coverage_90"] for t in tests], ".0%"),
            ),
            f"Predictions of points left out (joint fit of the grid: rms {rms:.2%} of plain "
            "latency)",
        )

    def _ideal(self) -> Table:
        rows = self.ideal
        mean = sum(abs(r.error) for r in rows) / len(rows)
        return Table(
            (
                Column("pair", [r.label for r in rows]),
                Column("alpha", [r.alpha for r in rows], "g"),
                Column("gamma", [r.gamma for r in rows]),
                Column("c", [r.cost_ratio for r in rows], "g"),
                Column("measured", [r.measured for r in rows], "g"),
                Column("ideal law", [r.predicted for r in rows], ".2f"),
                Column("error", [r.error for r in rows], "+.0%"),
            ),
            f"arXiv:2211.17192, predicted from its own alpha, gamma and c: mean |error| {mean:.1%}"
            ", no parameter fitted",
        )


def timed_rows(rows: Sequence[PaperCostRow], *, record: str) -> Iterator[str | Table]:
    """The rows of the paper's table at the costs of one record; nothing where there are none."""
    if not rows:
        return
    yield Table(
        (
            Column("row", [f"{r.target} {r.method}: {r.draft} K={r.gamma}" for r in rows]),
            Column("mode", [r.mode for r in rows]),
            Column("c", [r.cost_ratio for r in rows], ".3f"),
            Column("V(K+1)/V(1)", [r.verify_ratio for r in rows], ".2f"),
            Column("published", [r.published for r in rows], ".2f"),
            Column("speed-up, 90 %", [r.speedup for r in rows], _bracket(2)),
            Column("needed alpha", [r.needed_alpha for r in rows], ".2f"),
        ),
        f"The paper's table at the costs of {record}: the paper's architectures, timed with random "
        "weights.\nneeded alpha: acceptance of every token with which the published speed-up would "
        "follow",
    )
    inside = sum(r.inside for r in rows)
    yield f"{inside} of {len(rows)} published speed-ups inside their 90 % interval\n"


def _bracket(digits: int) -> Callable[[object], str]:
    def show(value: object) -> str:
        middle, low, high = (f"{getattr(value, n):.{digits}f}" for n in ("estimate", "low", "high"))
        return f"{middle} [{low}, {high}]"

    return show


def _yes(value: object) -> str:
    return "yes" if value else "no"


def paper(
    *,
    out: str | Path,
    sweep: str | None = None,
    records: str | None = None,
    target: str | None = None,
    width: str | float | None = None,
    font_size: float | None = None,
    seed: int = 0,
    progress: Progress | None = None,
) -> PaperStudy | FamilyStudy:
    """Fit the paper's measurements, predict best gamma and draft, confirm, draw the figures.

    out: folder for PDF, PNG, CSV, captions and LaTeX, made if absent. With a sweep or records, the
    same of your own family: `howspec.family`, which says what they are. target: within the sweep.
    width: of a column, such as "3.03in" or a number of inches; font_size [pt]; seed: of draws and
    simulations. progress: called with (what, done, of). Raises ValueError for what cannot be.
    """
    from ..calibrate.files import check_folder
    from ..sim.known import check_seed

    check_seed(seed)
    check_folder(out)
    if sweep is not None or records is not None:
        from .family import family

        return family(
            sweep=sweep, records=records, out=out, target=target, width=width,
            font_size=font_size, seed=seed, progress=progress,
        )  # fmt: skip
    from ..calibrate.library.own import bundled_costs
    from ..figures.draw import Studies, draw_all
    from ..figures.paper_costs import paper_rows
    from ..figures.study import leviathan_rows, specbundle_test
    from ..figures.style import venue, venue_of

    found = Studies(seed, progress, held_out=True)
    with venue(venue_of(width, font_size)):
        tests = (*found.study.held_out, *specbundle_test(seed, progress=progress))
        files = draw_all(Path(out), studies=found)
    timed = {c.stem: paper_rows(c.record, found.study, seed=seed) for c in bundled_costs()}
    return PaperStudy(found, timed, tests, leviathan_rows(), tuple(files), Path(out))


def figures(
    *,
    out: str | Path,
    only: Sequence[str] = (),
    sweep: str | None = None,
    records: str | None = None,
    target: str | None = None,
    width: str | float | None = None,
    font_size: float | None = None,
    seed: int = 0,
    progress: Progress | None = None,
) -> Listing:
    """Draw the paper's figures and tables and ours, or those of your own family.

    only: names of figures, default all but those that take minutes. Other arguments and errors as
    of `howspec.paper`.
    """
    from ..calibrate.files import check_folder
    from ..figures.draw import Studies, draw_all
    from ..figures.style import venue, venue_of
    from ..sim.known import check_seed
    from .family import family

    check_seed(seed)
    check_folder(out)
    if sweep is not None or records is not None:
        written: Sequence[Path] = family(
            sweep=sweep, records=records, out=out, target=target, only=only, tests=False,
            width=width, font_size=font_size, seed=seed, progress=progress,
        ).files  # fmt: skip
    else:
        with venue(venue_of(width, font_size)):
            written = draw_all(Path(out), only=only, studies=Studies(seed, progress))
    names = [str(path) for path in written]
    return Listing({"files": names}, tuple(names))
