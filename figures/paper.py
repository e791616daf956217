"""The paper's experiment on its own measurements: fits, predictions, tests and figures."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

from ..calibrate.library.own import bundled_costs
from .draw import draw_all
from .paper_costs import PaperCostRow
from .roofline_figures import paper_rows
from .scales import ScaleStudy, scale_study
from .study import GridStudy, HeldOut, LawRow, Progress, grid_study, leviathan_rows, specbundle_test
from .style import venue, venue_of
from .transfer import TableRow, main_table


@dataclass(frozen=True)
class Paper:
    """What the paper's measurements say, and what the predictions say of them.

    study: the fitted latency grid; scale: best size of a draft; rows: of the main table; timed: the
    same rows at the costs of each bundled record, by its name; tests: predictions of what was left
    out; ideal: speed-ups from their own rates and costs; files: the figures.
    """

    study: GridStudy
    scale: ScaleStudy
    rows: tuple[TableRow, ...]
    timed: dict[str, tuple[PaperCostRow, ...]]
    tests: tuple[HeldOut, ...]
    ideal: tuple[LawRow, ...]
    files: tuple[Path, ...]

    def entry(self) -> dict[str, Any]:
        """As JSON shows it."""
        return {
            "grid": {
                "target": self.study.target,
                "rms": self.study.rms,
                "drafts": [
                    {
                        "draft": p.draft,
                        "gamma": p.prediction.gamma,
                        "gamma_window": list(p.prediction.gamma_window),
                        "speedup": p.prediction.speedup,
                        "measured_speedup": 1.0 / p.measured,
                        "measured_best_in_window": p.window_hit,
                        "confirmation": p.confirmation,
                    }
                    for p in self.study.panels
                ],
            },
            "draft_scale": {"best": self.scale.turning_point, "at_edge": self.scale.at_edge},
            "main_table": list(self.rows),
            "tests": [
                {
                    "name": t.name,
                    "points": len(t.labels),
                    "mean_abs_error": t.mean_abs,
                    "median_abs_error": t.median_abs,
                    "p95_abs_error": t.p95_abs,
                    "coverage_90": t.coverage,
                }
                for t in self.tests
            ],
            "ideal_law": [{"label": r.label, "measured": r.measured, "predicted": r.predicted,
                           "error": r.error} for r in self.ideal],
            "files": [str(f) for f in self.files],
            "main_table_at_timed_costs": self.timed,
        }  # fmt: skip


def paper_study(
    out: Path,
    *,
    width: str | float | None = None,
    font_size: float | None = None,
    seed: int = 0,
    progress: Progress | None = None,
) -> Paper:
    """Fit, predict, test and draw into the folder ``out``; width: of a column; font_size [pt]."""
    with venue(venue_of(width, font_size)):
        study = grid_study(seed, progress)
        rows = main_table(study, seed)
        scale = scale_study(study, seed)
        serving = specbundle_test(seed, progress=progress)
        files = draw_all(out, seed=seed, study=study, rows=rows, scale=scale, progress=progress)
    timed = {c.stem: paper_rows(c, study, seed=seed) for c in bundled_costs()}
    tests = (*study.held_out, *serving)
    return Paper(study, scale, rows, timed, tests, leviathan_rows(), tuple(files))
