"""Fits the spreads of the hierarchy of heads to the bundled curves, and stores them.

    python -m howspec.calibrate.prior.heads_fit

It takes a minute or two.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path

import numpy as np

from .head_curves import HeadCurve, head_curves, looked_up
from .heads_model import SPREADS, sample_spreads

SEED = 20261128
KEPT = 12  # draws that are stored, of the walkers


def fit() -> dict[str, object]:
    """The content of the stored file."""
    curves, texts = head_curves(), looked_up()
    return {
        "about": "posterior draws of the spreads between heads, and of look-up; see heads_model",
        "seed": SEED, "curves": len(curves), "spreads": list(SPREADS), "draws": _draws(curves),
        "look_up_curves": len(texts), "look_up_draws": _draws(texts),
    }  # fmt: skip


def _draws(curves: Sequence[HeadCurve]) -> list[list[float]]:
    found = sample_spreads(curves, np.random.default_rng(SEED))[:KEPT]
    return [[float(f"{x:.4g}") for x in row] for row in found]


if __name__ == "__main__":
    text = json.dumps(fit()).replace("], ", "],\n") + "\n"
    Path(__file__).with_name("heads_fit.json").write_text(text, "utf-8")
