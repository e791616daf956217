"""Ten thousand mutations of each format: a clear error or a consistent answer, in a second of CPU.

python benchmarks/import_mutations.py [examples] [formats..]

Mutations are drawn from seeds 0, 1, .. of the format, so a run can be split by formats and
repeated; the first seed that breaks a rule is printed. The bytes come as standard input, so that no
disk is measured. A silent zero is an answer without drafted and accepted tokens, without a length,
and without a note that says why.
"""

from __future__ import annotations

import io
import random
import sys
import time
import warnings
from collections import Counter
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parent.parent / "tests" / "support"))
sys.path.insert(0, str(Path(__file__).resolve().parent.parent / "tests" / "calibrate"))

from engine_mutations import damage
from engine_pasted import PASTED
from engine_samples import SAMPLES
from howspec.calibrate.engines import import_counts
from test_engines_mutations import consistent

LIMIT_S = 1.0
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


def mutate(name: str, examples: int) -> tuple[Counter[str], dict[str, int], float]:
    """Outcomes of one format, the first seed of each broken rule, and the slowest in seconds."""
    outcomes: Counter[str] = Counter()
    broken: dict[str, int] = {}
    text, slowest = TEXTS[name].encode(), 0.0
    for seed in range(examples):
        result, used_s = outcome(damage(text, random.Random(f"{name} {seed}")))
        slowest = max(slowest, used_s)
        outcomes[result] += 1
        if result not in ("answer", "error"):
            broken.setdefault(result, seed)
    return outcomes, broken, slowest


def main() -> int:
    """One line a format; the status is 1 where a rule is broken."""
    warnings.simplefilter("error")
    examples = int(sys.argv[1]) if len(sys.argv) > 1 else 10_000
    names, wrong = sys.argv[2:] or list(TEXTS), 0
    for text in TEXTS.values():
        outcome(text.encode())  # what is imported at the first use is no part of an import
    for name in names:
        outcomes, broken, slowest = mutate(name, examples)
        wrong += len(broken)
        print(f"{name}: {dict(outcomes)}, slowest {1e3 * slowest:.0f} ms {broken or ''}",
              flush=True)  # fmt: skip
    return 1 if wrong else 0


if __name__ == "__main__":
    sys.exit(main())
