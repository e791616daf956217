"""Time of ranking 50 drafts x 17 gammas x 8 batches with 2,000 draws, and of a cold prediction.

python benchmarks/rank_speed.py
"""

from __future__ import annotations

import os
import subprocess
import sys
import time

os.environ.setdefault("OPENBLAS_NUM_THREADS", "1")  # as the command line does

from howspec.calibrate.models import models
from howspec.calibrate.pair import Deployment
from howspec.sim.ranking import rank_drafts

BATCHES = (1, 2, 4, 8, 16, 32, 64, 128)
COLD = (
    "import sys; from howspec.cli.main import run; run(['predict', '--target', 'Llama-3.1-70B', "
    "'--draft', 'Llama-3.2-1B', '--device', '4x H100', '--task', 'chat', '--json'])"
)


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


def cold() -> float:
    """Seconds of `howspec predict` for a named pair as a whole process."""
    start = time.perf_counter()
    subprocess.run([sys.executable, "-c", COLD], check=True, stdout=subprocess.DEVNULL)
    return time.perf_counter() - start


if __name__ == "__main__":
    first, *again = [ranking() for _ in range(4)]
    print(f"ranking 50 drafts x 17 gammas x 8 batches, 2,000 draws: first {first:.2f} s, "
          f"then {min(again):.2f} s (prior read once)")  # fmt: skip
    runs = [cold() for _ in range(5)]
    print(f"howspec predict, named pair, cold: {min(runs):.2f}-{max(runs):.2f} s of 5 runs")
