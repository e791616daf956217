"""Fits the spreads of the hierarchy of heads to the bundled curves, and stores them.

    python -m howspec.calibrate.prior.heads_fit

It takes a minute or two.
"""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np

from .head_curves import head_curves
from .heads_model import SPREADS, sample_spreads

SEED = 20261128
KEPT = 12  # draws that are stored, of the walkers


def fit() -> dict[str, object]:
    """The content of the stored file."""
    curves = head_curves()
    found = sample_spreads(curves, np.random.default_rng(SEED))[:KEPT]
    draws = [[float(f"{x:.4g}") for x in row] for row in found]
    return {
        "about": "posterior draws of the spreads between heads; see heads_model",
        "seed": SEED, "curves": len(curves), "spreads": list(SPREADS), "draws": draws,
    }  # fmt: skip


if __name__ == "__main__":
    text = json.dumps(fit()).replace("], ", "],\n") + "\n"
    Path(__file__).with_name("heads_fit.json").write_text(text, "utf-8")
