"""Time from a wrong option to its message, for every verb, each in a process of its own.

Goal: 0.5 s without torch. Prints the least and the median of so many runs.
"""

from __future__ import annotations

import subprocess
import sys
import time
from statistics import median

from howspec.cli.calibrate import calibrate
from howspec.cli.main import VERBS

RUNS, GOAL_S = 5, 0.5


def main() -> None:
    """Print one line a verb."""
    under = [("calibrate", name) for name in calibrate.verbs]
    worst = 0.0
    for verb in (*((v,) for v in VERBS), *under):
        times = []
        for _ in range(RUNS):
            began = time.perf_counter()
            command = [sys.executable, "-m", "howspec", *verb, "--bad-option"]
            done = subprocess.run(command, capture_output=True, check=False)
            times.append(time.perf_counter() - began)
            assert done.returncode == 2, done.stderr
        worst = max(worst, min(times))
        print(f"{' '.join(verb):22} least {min(times):.3f} s, median {median(times):.3f} s")
    print(f"slowest verb: {worst:.3f} s (goal {GOAL_S} s)")


if __name__ == "__main__":
    main()
