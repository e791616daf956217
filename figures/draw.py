"""All figures and tables of the paper, and ours, by name, into one folder."""

from __future__ import annotations

import difflib
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from functools import cache, cached_property, partial
from pathlib import Path

from ..calibrate.library.own import (
    OwnCampaign,
    OwnCosts,
    bundled_costs,
    campaign_names,
    load_campaign,
    served_campaigns,
)
from ..calibrate.measured.ladder import Predicted, predict_ladder
from .grids import ScaleStudy, bloom_grid, bloom_scale, scale_study
from .own_ladder import latency_by_depth, latency_by_size, size_study
from .own_ladder import latency_by_gamma as ladder_by_gamma
from .paper_costs import has_paper_pairs, paper_cost_table, paper_rows
from .roofline_limits import CostLimits, cost_limits
from .roofline_passes import passes_and_floor, verify_figure
from .roofline_ratios import ratio_by_depth, ratio_by_size
from .study import GridStudy, grid_study
from .transfer import TableRow, draw_table, main_table
from .turning_points import (
    batch_gain,
    decision,
    draft_ladder,
    latency_by_gamma,
    latency_by_scale,
    speedup_surface,
)
from .validation.result import Progress, Test, truth
from .validation.served import served_ladder

Draw = Callable[[Path], list[Path]]
BY_NAME = ("truth",)  # what takes minutes is drawn where it is asked for


@dataclass
class Studies:
    """What figures are drawn from, computed when the first of them asks.

    held_out: whether points of the paper's grid are left out and predicted, which takes longer.
    """

    seed: int = 0
    progress: Progress | None = None
    held_out: bool = False
    _ladders: dict[str, OwnLadder] = field(default_factory=dict)

    @cached_property
    def study(self) -> GridStudy:
        """The paper's grid."""
        return grid_study(self.seed, self.progress, held_out=self.held_out)

    @cached_property
    def rows(self) -> tuple[TableRow, ...]:
        """The paper's main table."""
        return main_table(self.study, self.seed)

    @cached_property
    def scale(self) -> ScaleStudy:
        """Draft scale on the paper's grid."""
        return scale_study(self.study, self.seed)

    @cached_property
    def tests(self) -> tuple[Test, ...]:
        """Every test of truth over what is bundled."""
        from .validation.suite import library_report

        return library_report(seed=self.seed, progress=self.progress).tests

    def ladder(self, name: str) -> OwnLadder:
        """A bundled campaign with its predictions."""
        if name not in self._ladders:
            self._ladders[name] = OwnLadder(load_campaign(name), self.seed)
        return self._ladders[name]


class OwnLadder:
    """The ladder of a campaign and what is predicted of its sweep, computed when asked for."""

    def __init__(self, ladder: OwnCampaign, seed: int = 0) -> None:
        self.ladder, self.seed = ladder, seed

    @cached_property
    def predicted(self) -> tuple[Predicted, ...]:
        """Every draft of the sweep, predicted from costs and acceptance."""
        return predict_ladder(self.ladder, seed=self.seed)

    @cached_property
    def size_study(self) -> ScaleStudy:
        """The law of the ladder in size."""
        return size_study(self.ladder, self.predicted, seed=self.seed)


def figures(studies: Studies) -> dict[str, Draw]:
    """Every figure of what is bundled, by name, in the order in which they are drawn."""
    found: dict[str, Draw] = {
        "latency_by_gamma": latency_by_gamma,
        "latency_by_scale": latency_by_scale,
        "speedup_surface": speedup_surface,
        "bloom_grid": lambda out: bloom_grid(studies.study, out),
        "bloom_scale": lambda out: bloom_scale(studies.scale, out),
        "main_table": lambda out: draw_table(studies.rows, out),
        "draft_ladder": draft_ladder,
        "batch_gain": lambda out: batch_gain(out, seed=studies.seed),
        "decision": lambda out: decision(out, seed=studies.seed),
    }
    found["truth"] = lambda out: truth(studies.tests, out)
    for name in campaign_names():
        found |= ladder_figures(studies.ladder(name), name)
    for costs in bundled_costs():
        found |= cost_figures(costs, studies)
    for served in served_campaigns():
        found[f"{served.name}_served"] = partial(served_ladder, served, seed=studies.seed)
    return found


def ladder_figures(own: OwnLadder, name: str) -> dict[str, Draw]:
    """The figures of a ladder: the grid, draft scale, and depth at equal size."""

    return {
        f"{name}_grid": lambda out: ladder_by_gamma(own.ladder, own.predicted, out, name=name),
        f"{name}_scale": lambda out: latency_by_size(own.ladder, own.size_study, out, name=name),
        f"{name}_depth": lambda out: latency_by_depth(own.ladder, own.predicted, out, name=name),
    }


def cost_figures(costs: OwnCosts, studies: Studies) -> dict[str, Draw]:
    """The figures of a cost record, those that its models allow: passes beside their floor, c
    against size and depth, V(n) / V(1), and the paper's table where it has its models.
    """
    stem, family = costs.stem, costs.family

    @cache
    def limits() -> CostLimits:
        return cost_limits(costs.record, family)

    found: dict[str, Draw] = {
        f"{stem}_floor": lambda out: passes_and_floor(limits(), out, name=stem),
        f"{stem}_size": lambda out: ratio_by_size(limits(), out, name=stem, family=family),
        f"{stem}_depth": lambda out: ratio_by_depth(limits(), out, name=stem, family=family),
        f"{stem}_verify": lambda out: verify_figure(limits(), out, name=stem),
    }
    if has_paper_pairs(costs.record):
        found[f"{stem}_paper"] = lambda out: paper_cost_table(
            paper_rows(costs.record, studies.study, seed=studies.seed), out, name=stem
        )
    return found


def draw_all(out: Path, *, only: Sequence[str] = (), studies: Studies | None = None) -> list[Path]:
    """Write figures (PDF, PNG), tables (LaTeX), captions and the CSV behind each; return paths.

    out: folder, made if absent; only: names of figures, default all of `figures` without `BY_NAME`;
    studies: what they are drawn from. Raises ValueError when ``out`` is a file and for a name that
    is none.
    """
    studies = studies or Studies()
    return draw(figures(studies), out, only=only, progress=studies.progress)


def draw(
    known: dict[str, Draw],
    out: Path,
    *,
    only: Sequence[str] = (),
    progress: Progress | None = None,
) -> list[Path]:
    """Draw some figures, or all, into a folder; return the paths that were written."""
    for name in only:
        if name not in known:
            near = difflib.get_close_matches(name, known, n=len(known), cutoff=0.0)
            raise ValueError(f"figure must be one of {', '.join(near)}, got {name!r}")
    if out.exists() and not out.is_dir():
        raise ValueError(f"out must be a folder, got the file {out}")
    out.mkdir(parents=True, exist_ok=True)
    written: list[Path] = []
    chosen = [name for name in known if (name in only if only else name not in BY_NAME)]
    for i, name in enumerate(chosen):
        if progress:
            progress("figures", i, len(chosen))
        written += known[name](out)
    if progress:
        progress("figures", len(chosen), len(chosen))
    return written
