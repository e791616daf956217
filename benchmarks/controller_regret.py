"""Regret of the online controller against constants in hindsight and against engines' heuristics.

    python benchmarks/controller_regret.py [--traces FOLDER] [--requests 300] [--seed 0]

Each rule decodes the same requests in the same order under one state. Printed: time beyond the best
constant gamma in hindsight, in percent, with its standard error (the request, or the batch of
requests, as the unit), and the speed-up over plain decoding. FOLDER holds the published traces
`llama31-8b-gsm8k.jsonl.gz` and `llama31-8b-cnn.jsonl.gz` (arXiv:2601.11580); without it only drawn
acceptance is used. Foresight knows what each round will accept.
"""

from __future__ import annotations

import argparse
import timeit
from collections.abc import Callable
from pathlib import Path

import numpy as np
from howspec.sim.rounds.compared import Chooser, PolicyChooser, compare
from howspec.sim.rounds.controller import GammaController
from howspec.sim.rounds.policies import constant, heuristic, moving_average
from howspec.sim.rounds.traces import Trace, load_trace, trace_from_law
from howspec.theory import AffineCost, CostLaw, DepthAcceptance
from howspec.theory.costs import LinearPass, ParallelDraftCost

# Step times published with the traces: Llama-3.1-8B on one H100, EAGLE, one draft call a round.
H100 = ParallelDraftCost(
    LinearPass(5.88590713e-3 + 1.20683946e-3, 2.10103129e-5, 3.92645679e-8),
    LinearPass(2.13526175e-3, 8.41429603e-7, 2.37768493e-9),
)
LENGTH = 200


def drawn(seed: int, requests: int) -> dict[str, Trace]:
    """Acceptance drawn from laws, some of which change between requests."""

    def made(alphas: list[float], decay: float = 1.0) -> Trace:
        each = [DepthAcceptance(a, decay) for a in alphas]
        lengths = np.full(len(each), LENGTH)
        rng = np.random.default_rng(seed)
        return trace_from_law(rng, each[0], gamma_max=16, lengths=lengths, laws=list(each))

    half, part = requests // 2, requests // 6
    return {
        "alpha 0.8": made([0.8] * requests),
        "alpha 0.85, decay 0.9": made([0.85] * requests, 0.9),
        "alpha 0.15": made([0.15] * requests),
        "alpha 0.9, then 0.4": made([0.9] * half + [0.4] * half),
        "alpha 0.8 and 0.1 in turn": made(([0.8] * part + [0.1] * part) * 3),
    }


def choosers(cost: CostLaw, seed: int) -> dict[str, Callable[[], Chooser | None]]:
    """Makers of the rules under test."""
    return {
        "controller": lambda: GammaController(cost, seed=seed),
        "controller, Thompson": lambda: GammaController(cost, exploration="thompson", seed=seed),
        "controller, no exploring": lambda: GammaController(cost, exploration="none"),
        "constant 3": lambda: PolicyChooser(constant(3)),
        "constant 5": lambda: PolicyChooser(constant(5)),
        "transformers +2/-1": lambda: PolicyChooser(heuristic(5, gamma_max=16)),
        "SGLang moving average": lambda: PolicyChooser(moving_average()),
        "foresight": lambda: None,
    }


def table(name: str, trace: Trace, cost: CostLaw, *, batch: int, seed: int) -> None:
    best, found = compare(trace, cost, choosers(cost, seed), batch=batch)
    print(f"{name}, batch {batch}: {trace.requests} requests, best constant gamma {best}")
    for r in found:
        print(
            f"  {r.name:26}{100 * r.excess.mean:+8.2f} +- {100 * r.excess.se:.2f} %"
            f"   speed-up {r.speedup.mean:.3f} +- {r.speedup.se:.3f}"
            f"   mean gamma {r.run.drafted / r.run.rounds:.2f}"
        )


def microseconds() -> float:
    """Time of one choice and one update at gamma_max 16, median of 7 [us]."""
    control = GammaController(AffineCost(0.05))

    def one() -> None:
        gamma = control.choose(batch=1, context=500.0)
        control.update(gamma, min(gamma, 3))

    times = timeit.repeat(one, number=5000, repeat=7)
    return 1e6 * float(np.median(times)) / 5000


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--traces", type=Path, default=None)
    parser.add_argument("--requests", type=int, default=300)
    parser.add_argument("--seed", type=int, default=0)
    options = parser.parse_args()
    print(f"one choice and one update: {microseconds():.1f} us")
    for name, trace in drawn(options.seed, options.requests).items():
        for ratio in (0.05, 0.2):
            cost = AffineCost(ratio, overhead=0.1)
            table(f"{name}, c {ratio}", trace, cost, batch=1, seed=options.seed)
    if options.traces is None:
        return
    for data in ("gsm8k", "cnn"):
        trace = load_trace(options.traces / f"llama31-8b-{data}.jsonl.gz")
        for batch in (1, 16):
            table(f"{data}, H100", trace, H100, batch=batch, seed=options.seed)
        for ratio in (0.05, 0.2):
            table(f"{data}, c {ratio}", trace, AffineCost(ratio), batch=1, seed=options.seed)


if __name__ == "__main__":
    main()
