"""Coverage of the interval of alpha by format: rounds are drawn, written, imported and fitted.

python benchmarks/import_round_trip.py [runs] [formats..]

Of each run alpha is uniform in [0.3, 0.95], gamma in 2..7, 400 rounds. The ideal interval is
Jeffreys' from the rounds themselves, before an engine's words and digits.
"""

from __future__ import annotations

import sys
import tempfile
from functools import partial
from pathlib import Path

import numpy as np
from howspec.calibrate.engines import import_counts
from howspec.calibrate.engines.alpha import alpha_interval
from howspec.calibrate.engines.write import FORMATS, log
from howspec.theory import DepthAcceptance
from scipy.stats import beta

# One line of SGLang's log has no interval, and vLLM's log is usually many lines.
WRITERS = {
    **FORMATS,
    "sglang-log": partial(log, "sglang-log", lines=20),
    "vllm-log, 20 lines": partial(log, "vllm-log", lines=20),
}


def ideal(kept: np.ndarray, gamma: int) -> tuple[float, float]:
    """Jeffreys' 95 % interval from the rounds themselves."""
    accepted, rejected = int(kept.sum()), int((kept < gamma).sum())
    low, high = beta.ppf([0.025, 0.975], accepted + 0.5, rejected + 0.5)
    return float(low), float(high)


def coverage(name: str, runs: int, path: Path) -> tuple[int, int, float, float]:
    """(inside, ideal inside, mean width, mean ideal width) of 95 % intervals."""
    rng = np.random.default_rng(list(WRITERS).index(name))
    inside, inside_ideal, widths = 0, 0, np.zeros(2)
    for _ in range(runs):
        alpha, gamma = rng.uniform(0.3, 0.95), int(rng.integers(2, 8))
        kept = DepthAcceptance(alpha).draw(rng, gamma=gamma, rounds=400)
        path.write_text(WRITERS[name](kept, gamma))
        found, best = alpha_interval(import_counts(str(path))), ideal(kept, gamma)
        inside += found.low <= alpha <= found.high
        inside_ideal += best[0] <= alpha <= best[1]
        widths += [found.high - found.low, best[1] - best[0]]
    width, ideal_width = widths / runs
    return inside, inside_ideal, float(width), float(ideal_width)


def main() -> None:
    """One line a format."""
    runs = int(sys.argv[1]) if len(sys.argv) > 1 else 1000
    total = 0
    names = sys.argv[2:] or list(WRITERS)
    with tempfile.TemporaryDirectory() as folder:
        for name in names:
            inside, best, width, least = coverage(name, runs, Path(folder) / "written")
            total += inside
            print(
                f"{name}: {inside} of {runs} inside (ideal {best}), mean width {width:.4f}, "
                f"ideal {least:.4f}, ratio {width / least:.3f}",
                flush=True,
            )
    print(f"all: {total} of {runs * len(names)}")


if __name__ == "__main__":
    main()
