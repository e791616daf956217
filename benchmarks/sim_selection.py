"""Rounds needed to decide the best gamma and the best draft at 99 %.

    python benchmarks/sim_selection.py [--searches 100]

Equal allocation gives every candidate its own rounds, as many as every other, until the same test
decides. Elimination stops losers. Common rounds let all gammas of a draft read one set of rounds,
and all drafts the same random words.
"""

from __future__ import annotations

import argparse
from typing import Any

import numpy as np
from howspec.sim.rounds.selection import Draft, select
from howspec.theory import AffineCost, DepthAcceptance, speedup

PAIRS = ((0.7, 0.02), (0.8, 0.05), (0.85, 0.1), (0.75, 0.03), (0.6, 0.01))
DRAFTS = [Draft(DepthAcceptance(a), AffineCost(c)) for a, c in PAIRS]
WAYS: dict[str, dict[str, Any]] = {
    "equal allocation": {"common": False, "eliminate": False},
    "elimination": {"common": False},
    "elimination, common rounds": {},
}


def search(drafts: list[Draft], pairs: Any, searches: int, options: dict[str, Any]) -> str:
    """Mean rounds used, and how often the choice was within the indifference of the best."""
    exact = np.array([speedup(a, np.arange(17), c) for a, c in pairs])
    rounds, good = [], 0
    for seed in range(searches):
        found = select(np.random.default_rng(seed), drafts, indifference=0.005, **options)
        rounds.append(found.rounds)
        good += exact[found.draft, found.gamma] >= exact.max() * 0.995
    return (
        f"{np.mean(rounds):14,.0f} rounds (median {np.median(rounds):,.0f}), "
        f"right {good} of {searches}"
    )


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--searches", type=int, default=100)
    searches = parser.parse_args().searches
    print("best gamma of one draft, 0..16")
    for name, options in WAYS.items():
        print(f"  {name:28}{search(DRAFTS[1:2], PAIRS[1:2], searches, options)}")
    print("best of five drafts and their gammas")
    for name, options in WAYS.items():
        print(f"  {name:28}{search(DRAFTS, PAIRS, searches, options)}")


if __name__ == "__main__":
    main()
