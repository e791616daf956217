"""All figures and tables of the paper, and ours, into one folder."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from pathlib import Path

from ..calibrate.library.own import bundled_costs, campaign_names, load_campaign
from ..calibrate.measured.ladder import ladder_of, predict_ladder
from .measured import bloom_grid, main_table
from .own_costs import own_costs
from .own_ladder import latency_by_depth, latency_by_size, size_study
from .own_ladder import latency_by_gamma as ladder_by_gamma
from .scales import ScaleStudy, bloom_scale, scale_study
from .shapes import latency_by_gamma, latency_by_scale, speedup_surface
from .study import GridStudy, Progress, grid_study
from .transfer import TableRow
from .transfer import main_table as table_rows


def draw_all(
    out: Path,
    *,
    seed: int = 0,
    study: GridStudy | None = None,
    rows: tuple[TableRow, ...] | None = None,
    scale: ScaleStudy | None = None,
    progress: Progress | None = None,
) -> list[Path]:
    """Write every figure (PDF, PNG), table (LaTeX) and the CSV behind each; return the paths.

    out: folder, made if absent; seed: of the posterior draws; study, rows and scale: results
    already at hand. Raises ValueError when ``out`` is a file.
    """
    if out.exists() and not out.is_dir():
        raise ValueError(f"out must be a folder, got the file {out}")
    # The measured side is computed before anything is written.
    study = study or grid_study(seed, progress, held_out=False)
    rows = rows or table_rows(study, seed)
    result = scale or scale_study(study, seed)
    out.mkdir(parents=True, exist_ok=True)
    steps: tuple[Callable[[], list[Path]], ...] = (
        lambda: latency_by_gamma(out),
        lambda: latency_by_scale(out),
        lambda: speedup_surface(out),
        lambda: bloom_grid(study, out),
        lambda: bloom_scale(result, out),
        lambda: main_table(rows, out),
        *(partial(own_ladder, name, out, seed=seed) for name in campaign_names()),
        *(partial(own_costs, costs, out, study=study, seed=seed) for costs in bundled_costs()),
    )
    written: list[Path] = []
    for i, step in enumerate(steps):
        written += step()
        if progress:
            progress("figures", i + 1, len(steps))
    return written


def own_ladder(name: str, out: Path, *, seed: int = 0) -> list[Path]:
    """The figures of a bundled campaign: the grid, draft scale, and depth at equal size."""
    ladder = ladder_of(load_campaign(name))
    predicted = predict_ladder(ladder, seed=seed)
    return [
        *ladder_by_gamma(predicted, out, name=name),
        *latency_by_size(size_study(ladder, predicted, seed=seed), out, name=name),
        *latency_by_depth(ladder, predicted, out, name=name),
    ]
