"""How long a prediction takes from a cold process, and what it spends the time on.

    python cold_start.py [--repeats 15]

Runs `howspec predict --alpha 0.8 --cost-ratio 0.05 --json` as a whole process, interleaved with an
empty interpreter, one that imports NumPy, one that imports the command line's library, and one that
imports howspec.theory.
"""

from __future__ import annotations

import argparse
import statistics
import subprocess
import sys
import time

PREDICT = (
    "from howspec.cli.main import run; "
    "run(['predict', '--alpha', '0.8', '--cost-ratio', '0.05', '--json'])"
)
CASES = {
    "empty interpreter": "",
    "import numpy": "import numpy",
    "import typer": "import typer",
    "import sympy": "import sympy",
    "import howspec.theory": "import howspec.theory",
    "howspec predict": PREDICT,
}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--repeats", type=int, default=15)
    repeats = parser.parse_args().repeats
    seconds: dict[str, list[float]] = {name: [] for name in CASES}
    for _ in range(repeats):
        for name, code in CASES.items():
            start = time.perf_counter()
            subprocess.run([sys.executable, "-c", code], stdout=subprocess.DEVNULL, check=True)
            seconds[name].append(time.perf_counter() - start)
    print(f"{'':24}{'median s':>10}{'fastest':>10}{'slowest':>10}")
    for name, values in seconds.items():
        print(f"{name:24}{statistics.median(values):10.3f}{min(values):10.3f}{max(values):10.3f}")


if __name__ == "__main__":
    main()
