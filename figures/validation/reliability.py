"""Whether "within 5 % of the best with probability p" comes true with probability p."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from itertools import pairwise

import numpy as np

EDGES = (0.0, 0.4, 0.6, 0.8, 1.0)  # of the probabilities that are compared together


def reliability(said: Sequence[float], true: Sequence[bool], study: Sequence[str]) -> Iterator[str]:
    """Lines of a reliability table: what was said and how often it came true.

    said: probabilities in [0, 1]; true: whether it did; study: of each, since those of one study
    are alike. All of one length. The error is that of a mean over the studies of a line.
    """
    p, hit, of = np.asarray(said), np.asarray(true, dtype=float), np.asarray(study)
    groups = [(EDGES[0], EDGES[-1]), *pairwise(EDGES)]
    for low, high in groups:
        mine = (p >= low) & ((p < high) | (high == EDGES[-1]))
        if not mine.any():
            continue
        names = sorted(set(of[mine]))
        gaps = np.array([(hit - p)[mine & (of == name)].mean() for name in names])
        error = f" +- {gaps.std(ddof=1) / np.sqrt(gaps.size):.2f}" if gaps.size > 1 else ""
        yield (
            f"said {low:g} to {high:g}: {p[mine].mean():.2f} said, {hit[mine].mean():.2f} came "
            f"true, {int(mine.sum())} sweeps; over {gaps.size} studies {gaps.mean():+.2f}{error}"
        )
