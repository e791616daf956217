"""Replay of the published simulator's numbers, and rounds a second under policies.

    python benchmarks/sim_replay.py [--traces FOLDER] [--repeats 20]

FOLDER holds the published traces `llama31-8b-gsm8k.jsonl.gz` and `llama31-8b-cnn.jsonl.gz`
(arXiv:2601.11580). Without them, traces of the same size are drawn and nothing is compared. The
rival is the same event loop in plain Python, for one of the sixteen numbers.
"""

from __future__ import annotations

import argparse
import statistics
from functools import partial
from pathlib import Path

import numpy as np
from howspec.sim.rounds.policies import Policy, constant, heuristic, moving_average, oracle
from howspec.sim.rounds.replay import StepTimes, replay_speedup
from howspec.sim.rounds.requests import serve_batches
from howspec.sim.rounds.traces import Trace, load_trace, trace_from_flags, trace_from_law
from howspec.theory import AffineCost, DepthAcceptance
from timing import interleaved, rate

TIMES = StepTimes(
    target_fixed=5.88590713e-3,
    target_token=2.10103129e-5,
    target_kv=3.92645679e-8,
    draft_fixed=2.13526175e-3,
    draft_token=8.41429603e-7,
    draft_kv=2.37768493e-9,
    overhead=1.20683946e-3,
)
LOOKAHEADS, BATCHES = (1, 3, 5, None), (1, 16)
PRINTED = {
    "gsm8k": (1.29, 1.81, 2.01, 2.13, 1.26, 1.65, 1.73, 1.98),
    "cnn": (1.28, 1.76, 1.94, 2.10, 1.24, 1.56, 1.62, 1.86),
}


def traces(folder: Path | None) -> dict[str, Trace]:
    if folder is not None:
        return {n: load_trace(folder / f"llama31-8b-{n}.jsonl.gz") for n in PRINTED}
    rng = np.random.default_rng(1)
    lengths = {"gsm8k": np.full(300, 165), "cnn": np.full(300, 322)}
    return {
        name: trace_from_flags(rng.random(int(size.sum())) < 0.75, lengths=size, prompts=500)
        for name, size in lengths.items()
    }


def speedups(trace: Trace) -> list[float]:
    return [replay_speedup(trace, TIMES, lookahead=g, batch=b) for b in BATCHES for g in LOOKAHEADS]


def plain_python(trace: Trace, lookahead: int) -> float:
    """Total latency at batch 1, one step at a time."""
    total, offsets = 0.0, trace.offsets.tolist()
    accepted, t = trace.accepted.tolist(), TIMES
    for r, prompt in enumerate(trace.prompts.tolist()):
        size, cache, done = offsets[r + 1] - offsets[r], prompt + 1, 1
        total += t.target_fixed + t.target_token * prompt + t.overhead
        while done < size:
            width = lookahead + 1
            total += t.target_fixed + t.target_token * width + t.target_kv * cache + t.overhead
            total += t.draft_fixed + t.draft_token * width + t.draft_kv * cache
            gain = min(accepted[offsets[r] + done - 1] + 1, width)
            done, cache = done + gain, cache + gain
    return total


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--traces", type=Path, default=None)
    parser.add_argument("--repeats", type=int, default=20)
    options = parser.parse_args()
    data = traces(options.traces)
    seconds = interleaved(
        {
            "sixteen": lambda: [speedups(t) for t in data.values()],
            "one": lambda: plain_python(data["cnn"], 3),
        },
        options.repeats,
    )
    for name, values in seconds.items():
        label = "all sixteen numbers" if name == "sixteen" else "one number in plain Python"
        low, high = min(values), max(values)
        print(
            f"{label:28}{1e3 * statistics.median(values):8.2f} ms"
            f"  ({1e3 * low:.2f} .. {1e3 * high:.2f})"
        )
    if options.traces is not None:
        gaps = [
            abs(a - b)
            for n, t in data.items()
            for a, b in zip(speedups(t), PRINTED[n], strict=True)
        ]
        print(f"largest difference from the printed numbers: {max(gaps):.4f}")
    trace = trace_from_law(
        np.random.default_rng(2), DepthAcceptance(0.8), gamma_max=16, lengths=np.full(4000, 250)
    )
    rules: list[Policy] = [
        constant(5), heuristic(5, gamma_max=16), moving_average(), oracle(16)
    ]  # fmt: skip
    for batch in (1, 16):
        cases = {
            p.name: partial(serve_batches, trace, AffineCost(0.05), p, batch=batch) for p in rules
        }
        times = interleaved(cases, max(options.repeats // 4, 3))
        for rule in rules:
            rounds = float(cases[rule.name]().rounds.sum())
            print(f"batch {batch:2}, {rule.name:32}{rate(times[rule.name], rounds)} rounds")


if __name__ == "__main__":
    main()
