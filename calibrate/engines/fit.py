"""From imported counts to an acceptance law with its uncertainty."""

from __future__ import annotations

import numpy as np

from ..tokens import AcceptanceFit, fit_counts, fit_tokens
from .counts import EngineCounts


def fit_engine_counts(
    counts: EngineCounts, rng: np.random.Generator, *, draws: int = 2000
) -> AcceptanceFit:
    """Fit (alpha, decay) to counts by position where they are known, else to the mean length.

    Raises ValueError where the source determines neither.
    """
    positions = counts.position_counts()
    if positions is not None:
        tried, kept = positions
        reached = max(1, int((tried > 0).sum()))
        # Whole where the counts are known; a share times the rounds keeps the printed rounding.
        kept = np.minimum(kept, tried)
        return fit_counts(tried[:reached].tolist(), kept[:reached].tolist(), rng, draws=draws)
    if counts.gamma and counts.acceptance_length is not None:
        if counts.acceptance_length > counts.gamma + 1.0:
            raise ValueError(
                f"acceptance length must be in [1, gamma + 1 = {counts.gamma + 1}], got "
                f"{counts.acceptance_length:g}"
            )
        return fit_tokens([counts.gamma], [counts.acceptance_length], rng, draws=draws)
    raise ValueError(
        f"{counts.format}: alpha needs counts by position, or an acceptance length and gamma; "
        f"the source determines neither"
    )
