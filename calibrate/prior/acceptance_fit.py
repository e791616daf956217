"""Fits the law of acceptance to the bundled tables and stores the result beside this file.

    python -m howspec.calibrate.prior.acceptance_fit

The fit is stored for all measurements, and for those without each family in turn. It takes a few
minutes; a test repeats parts of it. The sampler is the stretch move of Goodman & Weare 2010
(Commun. Appl. Math. Comput. Sci. 5, 65).
"""

from __future__ import annotations

import json
from collections.abc import Callable, Sequence
from dataclasses import fields
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from .acceptance_library import built_cells
from .acceptance_model import PARAMETERS, Cell, Design, Kernel, log_density, observed

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


def store_rows(path: Path, name: str, rows: Sequence[Any]) -> None:
    """Write dataclasses of one kind, a line each, under a name beside the names of their fields."""
    names = [field.name for field in fields(rows[0])]
    lines = (json.dumps([getattr(row, n) for n in names]) for row in rows)
    head = json.dumps({"fields": names})[:-1]
    path.write_text(f'{head}, "{name}": [\n' + ",\n".join(lines) + "\n]}\n", "utf-8")


def sample_parameters(
    cells: Sequence[Cell], rng: np.random.Generator, *, draws: int = 64, steps: int = 300
) -> Floats:
    """Draws of the parameters given measured cells, shape (draws, 11): an ensemble of walkers.

    draws: even, > 20; steps: of the whole ensemble, whose last state is returned.
    """
    design = Design(cells)
    problem = (design, Kernel(design, design), *observed(cells))
    center = np.log([m for m, _ in PARAMETERS.values()])
    return np.exp(
        walk(lambda log_theta: _log_posterior(log_theta, *problem), center, rng,
             draws=draws, steps=steps)
    )  # fmt: skip


def walk(
    log_posterior: Callable[[Floats], Floats],
    center: Floats,
    rng: np.random.Generator,
    *,
    draws: int,
    steps: int,
) -> Floats:
    """Draws of a density whose logarithm is given, shape (draws, numbers), begun around center.

    draws: even, more than twice the numbers; steps: of the whole ensemble, whose last state is
    returned.
    """
    if draws % 2 or draws <= 2 * center.size:
        raise ValueError(f"draws must be even and in ({2 * center.size}, inf), got {draws}")
    walkers = center + 0.3 * rng.standard_normal((draws, center.size))
    values = log_posterior(walkers)
    half = draws // 2
    for step in range(2 * steps):
        own, rest = (np.arange(half) + half * ((step + i) % 2) for i in (0, 1))
        partner = walkers[rng.choice(rest, half)]
        stretch = np.square(rng.random(half) + 1.0) / 2.0  # density 1 / sqrt(z) on [1/2, 2]
        moved = partner + stretch[:, None] * (walkers[own] - partner)
        value = log_posterior(moved)
        gain = (center.size - 1) * np.log(stretch) + value - values[own]
        take = np.log(rng.random(half)) < gain
        walkers[own[take]], values[own[take]] = moved[take], value[take]
    return np.asarray(walkers)


def _log_posterior(
    log_theta: Floats, design: Design, kernel: Kernel, y: Floats, noise: Floats
) -> Floats:
    """Of the logarithms of the parameters, up to a constant, shape (draws,)."""
    prior = np.array(list(PARAMETERS.values()))
    z = (log_theta - np.log(prior[:, 0])) / prior[:, 1]
    theta = np.exp(log_theta)
    root: Floats = np.asarray(np.linalg.cholesky(kernel(theta) + np.diag(noise)))
    return np.asarray(log_density(root, y - design.mean(theta)) - 0.5 * (z**2).sum(axis=1))


if __name__ == "__main__":
    store_rows(Path(__file__).with_name("acceptance_cells.json"), "cells", built_cells())
    store(fit_all(built_cells(), print), Path(__file__).with_name("acceptance_fit.json"))
