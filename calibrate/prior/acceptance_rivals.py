"""Simpler laws of acceptance, fitted to the same measurements, that the prior must beat."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import numpy as np
from numpy.typing import NDArray

from .acceptance_cells import Cell
from .acceptance_scale import loss

Floats = NDArray[np.float64]
Rival = Callable[[Cell], float]

# alpha = a + b ppl_draft + c ppl_target of SDSL, arXiv:2603.11053, as a secondary digest prints it.
SDSL = (0.642, -0.0067, 0.01297)


def perplexities(cell: Cell) -> tuple[float, float]:
    """Of draft and target by the loss law at its usual training: no row states its own."""
    return (
        float(np.exp(loss(cell.draft_parameters))),
        float(np.exp(loss(cell.target_parameters))),
    )


def _affine(cell: Cell, coefficients: Sequence[float] | Floats) -> float:
    draft, target = perplexities(cell)
    value = coefficients[0] + coefficients[1] * draft + coefficients[2] * target
    return float(min(max(value, 0.0), 1.0))


def rivals(cells: Sequence[Cell]) -> dict[str, Rival]:
    """The rivals fitted to measured cells, each a function of a question.

    constant: the mean alpha; task constant: the mean of the task, the constant for a task without
    measurements; SDSL: as printed; SDSL refitted: its three numbers by least squares.
    """
    alpha = np.array([c.alpha for c in cells])
    mean = float(alpha.mean())
    tasks = {
        task: float(alpha[[c.task == task for c in cells]].mean())
        for task in {c.task for c in cells if c.task is not None}
    }
    design = np.array([(1.0, *perplexities(c)) for c in cells])
    refitted = np.linalg.lstsq(design, alpha, rcond=None)[0]
    return {
        "constant": lambda cell: mean,
        "task constant": lambda cell: tasks.get(cell.task or "", mean),
        "SDSL": lambda cell: _affine(cell, SDSL),
        "SDSL refitted": lambda cell: _affine(cell, refitted),
    }
