"""How long a prediction takes from a cold process, and what it spends the time on.

    python cold_start.py [--repeats 15] [--verbs]

Runs the questions of question_files.py as whole processes, interleaved with an empty interpreter,
imports alone and `--version`; the last column is in imports of NumPy. With --verbs: from a wrong
option to the message, for every verb, which should be within half a second.
"""

from __future__ import annotations

import argparse
import statistics
import subprocess
import sys
from functools import partial

from question_files import QUESTIONS
from timing import interleaved

_RUN = "from howspec.cli.main import run; run({!r})"
CASES = {
    "empty interpreter": "",
    "import numpy": "import numpy",
    "import howspec": "import howspec",
    "import click": "import click",
    "import sympy": "import sympy",
    "import howspec.theory": "import howspec.theory",
    "howspec --version": _RUN.format(["--version"]),
    **{f"howspec, {name}": _RUN.format([*q.split(), "--json"]) for name, q in QUESTIONS.items()},
}


def _wrong_options() -> dict[str, str]:
    from howspec.cli.calibrate import calibrate
    from howspec.cli.main import VERBS

    verbs = [[verb] for verb in VERBS] + [["calibrate", name] for name in calibrate.verbs]
    return {" ".join(verb): _RUN.format([*verb, "--bad-option"]) for verb in verbs}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--repeats", type=int, default=15)
    parser.add_argument("--verbs", action="store_true")
    asked = parser.parse_args()
    cases = _wrong_options() if asked.verbs else CASES

    def run(code: str) -> None:
        done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True)
        if (done.returncode, "No such option" in done.stderr) != (2 * asked.verbs, asked.verbs):
            raise SystemExit(f"{code}: {done.stderr}")

    processes = {name: partial(run, code) for name, code in cases.items()}
    seconds = interleaved(processes, asked.repeats)
    base = statistics.median(seconds.get("import numpy", [1.0]))
    unit = "" if asked.verbs else "    NumPys"
    print(f"{'':24}{'median s':>10}{'fastest':>10}{'slowest':>10}{unit}")
    for name, values in seconds.items():
        middle = statistics.median(values)
        last = "" if asked.verbs else f"{middle / base:10.2f}"
        print(f"{name:24}{middle:10.3f}{min(values):10.3f}{max(values):10.3f}{last}")


if __name__ == "__main__":
    main()
