"""Time of ranking 50 drafts x 17 gammas x 8 batches with 2,000 draws.

python benchmarks/rank_speed.py
"""

from __future__ import annotations

import os
import time

os.environ.setdefault("OPENBLAS_NUM_THREADS", "1")  # as the command line does

from howspec.calibrate.models import models
from howspec.calibrate.pair import Deployment
from howspec.sim.ranking import rank_drafts

BATCHES = (1, 2, 4, 8, 16, 32, 64, 128)


def ranking() -> float:
    """Seconds of predicting and ranking, the prior already read."""
    smaller = sorted(models().values(), key=lambda m: m.shape.parameters())
    drafts = [m.name for m in smaller if not m.shape.is_moe][:50]
    at = Deployment("Llama-3.1-405B", None, "16x H100", task="chat")
    start = time.perf_counter()
    found = rank_drafts(at, drafts, batches=BATCHES, gamma_max=16).rankings
    elapsed = time.perf_counter() - start
    assert len(found) == len(BATCHES)
    assert len(found[0].drafts) == 50
    return elapsed


if __name__ == "__main__":
    first, *again = [ranking() for _ in range(4)]
    print(f"ranking 50 drafts x 17 gammas x 8 batches, 2,000 draws: first {first:.2f} s, "
          f"then {min(again):.2f} s (prior read once)")  # fmt: skip
