"""Ten thousand mutations of each format: a clear error or a consistent answer, within a second.

python benchmarks/import_mutations.py [examples]
"""

from __future__ import annotations

import random
import sys
import tempfile
import time
import warnings
from collections import Counter
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parent.parent / "tests"))

from engine_mutations import damage
from engine_samples import SAMPLES
from howspec.calibrate.engines import import_counts
from hypothesis import HealthCheck, Phase, given, settings
from hypothesis import strategies as st
from test_engines_mutations import consistent


def mutate(name: str, examples: int, path: Path) -> tuple[Counter[str], float]:
    """Outcomes of one format and its slowest import in seconds."""
    outcomes: Counter[str] = Counter()
    slowest = 0.0

    @settings(
        max_examples=examples, deadline=None, database=None, phases=[Phase.generate],
        suppress_health_check=list(HealthCheck),
    )  # fmt: skip
    @given(st.integers(0, 2**64))
    def run(seed: int) -> None:
        nonlocal slowest
        data = damage(SAMPLES[name][0].encode(), random.Random(seed))
        path.write_bytes(data)
        start = time.perf_counter()
        try:
            found = import_counts(str(path))
        except ValueError as error:
            outcomes["error" if "\n" not in str(error) else "error of several lines"] += 1
        except Exception as error:
            outcomes[f"traceback {type(error).__name__}: {error}"[:150]] += 1
            Path(tempfile.gettempdir(), "howspec_bad").write_bytes(data)
        else:
            try:
                consistent(found)
                outcomes["answer"] += 1
            except AssertionError:
                outcomes["inconsistent answer"] += 1
        slowest = max(slowest, time.perf_counter() - start)

    run()
    return outcomes, slowest


def main() -> None:
    """Print one line a format."""
    warnings.simplefilter("error")
    examples = int(sys.argv[1]) if len(sys.argv) > 1 else 10_000
    with tempfile.TemporaryDirectory() as folder:
        for name in SAMPLES:
            outcomes, slowest = mutate(name, examples, Path(folder) / "source")
            print(f"{name}: {dict(outcomes)}, slowest {1e3 * slowest:.0f} ms", flush=True)


if __name__ == "__main__":
    main()
