"""A real server put to the test: from plain decoding and one gamma, all its other configurations.

The answer is that of `howspec predict` with the record as its acceptance and its costs.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

from ...calibrate.doors import Deployment
from ...calibrate.serving import Served
from ...calibrate.serving.served import Configuration, Wave
from ...sim.choice import check_objective
from ...sim.known import Sources, both_laws
from ...sim.pair import predict_pair
from .result import Point, Test

KNOWN = 3


@dataclass(frozen=True)
class ServedPoint:
    """A draft, gamma and batch of a server: speed-up over plain decoding, measured with its
    standard error, and predicted with its interval; given: whether the prediction rests on it.
    """

    draft: str
    gamma: int
    batch: int
    measured: float
    error: float
    predicted: float
    low: float
    high: float
    given: bool


def tokens_per_s(waves: list[Wave]) -> float:
    """Tokens/s of all sequences together, over waves."""
    return sum(w.window_tokens for w in waves) / sum(w.window_s for w in waves)


def served_points(served: Served, *, known: int = KNOWN, seed: int = 0) -> tuple[ServedPoint, ...]:
    """Every draft that was measured at the known gamma, from that gamma and plain decoding."""
    found = []
    plain = served.plain()
    for draft in served.drafts:
        own = served.of_draft(draft)
        if not any(w.accepted for waves in own.get(known, {}).values() for w in waves):
            continue  # look-up that found nothing says nothing of longer ones
        few = served.only(_known_of(draft, known))
        for batch in sorted({b for levels in own.values() for b in levels} & plain.keys()):
            laws = both_laws(
                Deployment(batch=batch), Sources(few, costs=few), gamma_max=max(own), seed=seed
            )
            said = predict_pair(laws, objective=check_objective(None)).prediction
            rows = (said.speedup_by_gamma, said.low_by_gamma, said.high_by_gamma)
            for gamma, levels in own.items():
                if batch in levels:
                    speedup = tokens_per_s(levels[batch]) / tokens_per_s(plain[batch])
                    error = speedup * float(np.hypot(_spread(levels[batch]), _spread(plain[batch])))
                    middle, low, high = (float(row[gamma]) for row in rows)
                    found.append(
                        ServedPoint(
                            draft, gamma, batch, speedup, error, middle, low, high, gamma == known
                        )
                    )
    return tuple(found)


def served_test(served: Served, *, known: int = KNOWN, seed: int = 0) -> Test:
    """Speed-ups of a server at every draft, gamma and batch but the known gamma; and the regret of
    the gamma that would be run, among those that were measured.
    """
    points = served_points(served, known=known, seed=seed)
    regrets = []
    for draft, batch in dict.fromkeys((p.draft, p.batch) for p in points):
        own = [p for p in points if (p.draft, p.batch) == (draft, batch)]
        chosen = max(own, key=lambda p: p.predicted)
        worth = chosen.measured if chosen.predicted > 1.0 else 1.0
        regrets.append(1.0 - worth / max(1.0, *(p.measured for p in own)))
    return Test(
        f"a server of {served.engine}: speed-up of other gammas",
        f"plain decoding and gamma {known} at each batch, draft by draft",
        "relative",
        tuple(
            Point(f"{p.draft}, gamma {p.gamma}, batch {p.batch}", p.measured, p.predicted, p.low,
                  p.high)
            for p in points if not p.given
        ),
        tuple(regrets),
    )  # fmt: skip


def _spread(waves: list[Wave]) -> float:
    """Standard error of ln(tokens/s) over the waves."""
    logs = [np.log(tokens_per_s([w])) for w in waves]
    return float(np.std(logs, ddof=1) / np.sqrt(len(logs))) if len(logs) > 1 else float("nan")


def _known_of(draft: str, gamma: int) -> Callable[[Configuration], bool]:
    def keep(what: Configuration) -> bool:
        return not what.gamma or (what.gamma == gamma and draft in (what.draft, what.method))

    return keep
