"""Ten thousand mutations of each format: a clear error or a consistent answer, in a second of CPU.

python benchmarks/import_mutations.py [examples] [formats..] [--pasted] [--kept FILE]

Mutations are drawn from seeds 0, 1, .. of the format, so a run can be split by formats and
repeated; the first seed that breaks a rule is printed. --pasted takes what people paste alone;
--kept writes outcomes as they come and goes on where the file ends. The bytes come as standard
input, so that no disk is measured. A silent zero is an answer without drafted and accepted tokens,
without a length, and without a note that says why.
"""

from __future__ import annotations

import argparse
import io
import json
import random
import sys
import time
import warnings
from collections import Counter
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parent.parent / "tests" / "support"))

from engine_mutations import damage
from engine_pasted import PASTED
from engine_samples import SAMPLES
from engine_texts import consistent
from howspec.calibrate.engines import import_counts

LIMIT_S, BLOCK = 1.0, 500
TEXTS = {n: s[0] for n, s in SAMPLES.items()} | {n: t for n, t, r in PASTED if isinstance(r, dict)}


def outcome(data: bytes) -> tuple[str, float]:
    """What importing damaged bytes gives, "error", "answer" or the rule it breaks; CPU seconds."""
    start = time.process_time()
    try:
        result = _judged(data)
    except AssertionError as error:
        result = f"inconsistent answer {str(error)[:60]}"
    except Exception as error:
        result = f"traceback {type(error).__name__}: {str(error)[:60]}"
    used_s = time.process_time() - start
    return (result if used_s <= LIMIT_S else f"slow {result}"), used_s


def _judged(data: bytes) -> str:
    sys.stdin = io.TextIOWrapper(io.BytesIO(data))
    try:
        found = import_counts("-")
    except ValueError as error:
        return "error" if str(error).strip() and "\n" not in str(error) else "unclear error"
    consistent(found)
    return "answer"


def mutate(name: str, seeds: range) -> tuple[Counter[str], dict[str, int], float]:
    """Outcomes of one format, the first seed of each broken rule, and the slowest in seconds."""
    outcomes: Counter[str] = Counter()
    broken: dict[str, int] = {}
    text, slowest = TEXTS[name].encode(), 0.0
    for seed in seeds:
        result, used_s = outcome(damage(text, random.Random(f"{name} {seed}")))
        slowest = max(slowest, used_s)
        outcomes[result] += 1
        if result not in ("answer", "error"):
            broken.setdefault(result, seed)
    return outcomes, broken, slowest


def kept(path: Path | None) -> dict[str, tuple[Counter[str], dict[str, int], float]]:
    """What an earlier run wrote, by format."""
    found: dict[str, tuple[Counter[str], dict[str, int], float]] = {}
    lines = path.read_text().splitlines() if path is not None and path.exists() else []
    for name, outcomes, broken, slowest in map(json.loads, lines):
        before = found.get(name, (Counter(), {}, 0.0))
        found[name] = before[0] + Counter(outcomes), broken | before[1], max(before[2], slowest)
    return found


def main() -> int:
    """One line a format; the status is 1 where a rule is broken."""
    warnings.simplefilter("error")
    parser = argparse.ArgumentParser()
    parser.add_argument("examples", nargs="?", type=int, default=10_000)
    parser.add_argument("formats", nargs="*")
    parser.add_argument("--pasted", action="store_true")
    parser.add_argument("--kept", type=Path)
    given = parser.parse_args()
    names = given.formats or [n for n in TEXTS if not given.pasted or n not in SAMPLES]
    for text in TEXTS.values():
        outcome(text.encode())  # what is imported at the first use is no part of an import
    found, wrong = kept(given.kept), 0
    for name in names:
        total = found.get(name, (Counter(), {}, 0.0))
        for start in range(total[0].total(), given.examples, BLOCK):
            more = mutate(name, range(start, min(start + BLOCK, given.examples)))
            total = total[0] + more[0], more[1] | total[1], max(total[2], more[2])
            if given.kept is not None:
                with given.kept.open("a") as file:
                    file.write(json.dumps([name, *more]) + "\n")
        wrong += len(total[1])
        print(f"{name}: {dict(total[0])}, slowest {1e3 * total[2]:.0f} ms {total[1] or ''}",
              flush=True)  # fmt: skip
    return 1 if wrong else 0


if __name__ == "__main__":
    sys.exit(main())
