"""The figures and tables of an own cost record, those that its models allow."""

from __future__ import annotations

from collections.abc import Callable
from functools import lru_cache
from pathlib import Path
from typing import Protocol

import numpy as np

from ..calibrate.library.own import OwnCosts
from .paper_costs import PaperCostRow, has_paper_pairs, paper_cost_rows, paper_cost_table
from .roofline_figures import passes_and_floor, ratio_by_depth, ratio_by_size
from .roofline_table import LimitsTable, limits_table
from .roofline_verify import verify_figure
from .study import GridStudy
from .transfer import transfer_laws


class HasStudy(Protocol):
    """What the paper's table needs: the study of the paper's grid, for its acceptance."""

    seed: int

    @property
    def study(self) -> GridStudy: ...


Part = Callable[[Path, HasStudy], list[Path]]


def cost_parts(costs: OwnCosts) -> dict[str, Part]:
    """The figures of a record by name: passes beside their floor, c against size and depth,
    V(n) / V(1), and the paper's table where the record has its models.
    """
    stem, family = costs.stem, costs.family

    @lru_cache(maxsize=1)
    def table() -> LimitsTable:
        return limits_table(costs.record, family)

    found: dict[str, Part] = {
        f"{stem}_floor": lambda out, _: passes_and_floor(table(), out, name=stem),
        f"{stem}_size": lambda out, _: ratio_by_size(table(), out, name=stem, family=family),
        f"{stem}_depth": lambda out, _: ratio_by_depth(table(), out, name=stem, family=family),
        f"{stem}_verify": lambda out, _: verify_figure(table(), out, name=stem),
    }
    if has_paper_pairs(costs.record):
        found[f"{stem}_paper"] = lambda out, studies: paper_cost_table(
            paper_rows(costs, studies.study, seed=studies.seed), out, name=stem
        )
    return found


def paper_rows(costs: OwnCosts, study: GridStudy, *, seed: int = 0) -> tuple[PaperCostRow, ...]:
    """The paper's main table at the costs of a record; () where it has none of its pairs."""
    if not has_paper_pairs(costs.record):
        return ()
    laws = transfer_laws(study, np.random.default_rng([seed, 101]))
    return paper_cost_rows(costs.record, laws, seed=seed)
