"""A real server put to the test: from plain decoding and one gamma, all its other configurations.

The answer is that of `howspec predict` with the record as its acceptance and its costs.
"""

from __future__ import annotations

from collections.abc import Callable

from ...calibrate.doors import Deployment
from ...calibrate.serving import Served
from ...calibrate.serving.served import Configuration, Wave
from ...sim.choice import check_objective
from ...sim.known import Sources, both_laws
from ...sim.pair import predict_pair
from .result import Point, Test

KNOWN = 3


def tokens_per_s(waves: list[Wave]) -> float:
    """Tokens/s of all sequences together, over waves."""
    return sum(w.window_tokens for w in waves) / sum(w.window_s for w in waves)


def served_test(served: Served, *, known: int = KNOWN, seed: int = 0) -> Test:
    """Speed-ups of a server at every draft, gamma and batch but the known gamma; and the regret of
    the gamma that would be run, among those that were measured.
    """
    points, regrets = [], []
    plain = served.plain()
    for draft in served.drafts:
        own = served.of_draft(draft)
        if known not in own:
            continue
        few = served.only(_known_of(draft, known))
        for batch in sorted({b for levels in own.values() for b in levels} & plain.keys()):
            laws = both_laws(
                Deployment(batch=batch), Sources(few, costs=few), gamma_max=max(own), seed=seed
            )
            said = predict_pair(laws, objective=check_objective(None)).prediction
            at = tokens_per_s(plain[batch])
            measured = {g: tokens_per_s(levels[batch]) / at
                        for g, levels in own.items() if batch in levels}  # fmt: skip
            for gamma, speedup in measured.items():
                if gamma != known:
                    middle, low, high = (
                        float(row[gamma])
                        for row in (said.speedup_by_gamma, said.low_by_gamma, said.high_by_gamma)
                    )
                    points.append(
                        Point(f"{draft}, gamma {gamma}, batch {batch}", speedup, middle, low, high)
                    )
            there = {0: 1.0, **measured}
            chosen = max(there, key=lambda g: float(said.speedup_by_gamma[g]))
            regrets.append(1.0 - there[chosen] / max(there.values()))
    return Test(
        f"a server of {served.engine}: speed-up of other gammas",
        f"plain decoding and gamma {known} at each batch, draft by draft",
        "relative",
        tuple(points),
        tuple(regrets),
    )


def _known_of(draft: str, gamma: int) -> Callable[[Configuration], bool]:
    def keep(what: Configuration) -> bool:
        return not what.gamma or (what.gamma == gamma and draft in (what.draft, what.method))

    return keep
