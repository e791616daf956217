"""The figures and tables of an own cost record, those that its models allow."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from ..calibrate.library.own import OwnCosts
from .paper_costs import PaperCostRow, has_paper_pairs, paper_cost_rows, paper_cost_table
from .roofline_figures import passes_and_floor, ratio_by_depth, ratio_by_size
from .roofline_table import limits_table
from .roofline_verify import verify_figure
from .study import GridStudy
from .transfer import transfer_laws


def own_costs(
    costs: OwnCosts, out: Path, *, study: GridStudy | None = None, seed: int = 0
) -> list[Path]:
    """Passes beside their floor, c against size and depth, V(n) / V(1), and the paper's table.

    The last needs a study of the paper's grid, for its acceptance, and the paper's own models.
    """
    table = limits_table(costs.record, costs.family)
    written = [
        *passes_and_floor(table, out, name=costs.stem),
        *ratio_by_size(table, out, name=costs.stem, family=costs.family),
        *ratio_by_depth(table, out, name=costs.stem, family=costs.family),
        *verify_figure(table, out, name=costs.stem),
    ]
    rows = paper_rows(costs, study, seed=seed) if study is not None else ()
    return [*written, *paper_cost_table(rows, out, name=costs.stem)]


def paper_rows(costs: OwnCosts, study: GridStudy, *, seed: int = 0) -> tuple[PaperCostRow, ...]:
    """The paper's main table at the costs of a record; () where it has none of its pairs."""
    if not has_paper_pairs(costs.record):
        return ()
    laws = transfer_laws(study, np.random.default_rng([seed, 101]))
    return paper_cost_rows(costs.record, laws, seed=seed)
