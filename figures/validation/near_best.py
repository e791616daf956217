"""Counts how often gammas chosen from names alone came near the best measured ones.

    python -m howspec.figures.validation.near_best

asks every measured sweep with its study left out, and writes what answers from names say of
themselves; to be run when priors or sweeps change. It takes some seconds.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Sequence
from importlib import resources
from pathlib import Path

from ...calibrate.learned.near_best import FILE, correlation, to_text
from ...sim.choice import DEFAULT_OBJECTIVE, OBJECTIVES, TOLERANCE, Objective
from .choices import Asked, asked_sweeps


def counted(found: Sequence[Asked]) -> dict[Objective, dict[str, tuple[int, int]]]:
    """(choices near the best, sweeps) by objective and study."""
    counts: dict[Objective, dict[str, tuple[int, int]]] = {o: {} for o in OBJECTIVES}
    for objective, own in counts.items():
        near: dict[str, list[bool]] = defaultdict(list)
        for a in found:
            near[a.sweep.study].append(a.regret(objective) <= TOLERANCE)
        own.update({study: (sum(v), len(v)) for study, v in near.items()})
    return counts


if __name__ == "__main__":
    counts = counted(asked_sweeps()[0])
    folder = Path(str(resources.files("howspec.calibrate.learned")))
    text = to_text(counts, correlation(counts[DEFAULT_OBJECTIVE]))
    (folder / FILE).write_text(text, encoding="utf-8")
