"""Fits the law of acceptance to the bundled tables and stores the result beside this file.

    python -m howspec.calibrate.prior.acceptance_fit

The fit is stored for all measurements, and for those without each family in turn. It takes a few
minutes; a test repeats parts of it.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Sequence
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from .acceptance_cells import Cell
from .acceptance_library import built_cells, store_cells
from .acceptance_model import PARAMETERS, sample_parameters

Floats = NDArray[np.float64]

SEED = 20260122
DRAWS, STEPS = 64, 300
LEFT_OUT_DRAWS, LEFT_OUT_STEPS = 32, 300


def fit(
    cells: Sequence[Cell], *, draws: int = DRAWS, steps: int = STEPS, seed: int = SEED
) -> Floats:
    """Draws of the law's parameters, shape (draws, 11), rounded as they are stored."""
    found = sample_parameters(cells, np.random.default_rng(seed), draws=draws, steps=steps)
    return np.array([[float(f"{x:.4g}") for x in row] for row in found])


def fit_all(
    cells: Sequence[Cell], progress: Callable[[str], None] = lambda _: None
) -> dict[str, object]:
    """The content of the stored file."""
    families = sorted({c.family for c in cells})
    left_out = {}
    for family in families:
        progress(family)
        rest = [c for c in cells if c.family != family]
        found = fit(rest, draws=LEFT_OUT_DRAWS, steps=LEFT_OUT_STEPS)
        left_out[family] = found.tolist()
    progress("all")
    return {
        "about": "posterior draws of the law of acceptance across pairs; see acceptance_model",
        "seed": SEED,
        "cells": len(cells),
        "parameters": list(PARAMETERS),
        "draws": fit(cells).tolist(),
        "left_out": left_out,
    }


def store(content: dict[str, object], path: Path) -> None:
    """Write one line a list of draws, so that a change can be read."""
    path.write_text(json.dumps(content, indent=None).replace("]], ", "]],\n") + "\n", "utf-8")


if __name__ == "__main__":
    store_cells(Path(__file__).with_name("acceptance_cells.json"))
    store(fit_all(built_cells(), print), Path(__file__).with_name("acceptance_fit.json"))
