"""One model on two chips: acceptance from one, passes from the other, speed-up of the other.

The same weights on the same prompt accept alike wherever they run, so tokens per round are taken
from one chip's sweep. Of the other chip only a plain step and the time of a round at the smallest
and largest gamma are used; the rounds between follow from a straight line.
"""

from __future__ import annotations

import numpy as np

from ...calibrate.library.load import load_table
from ...calibrate.library.schema import Row, number, text
from ...theory import tokens_per_round
from ...theory.acceptance import alpha_from_length
from .result import Point, Test
from .rivals import NEAREST, PLAIN, interpolated

# Spread of ln S: 200 tokens of one prompt in some 80 rounds, and two timings.
ERROR = 0.03


def chips_test() -> Test:
    """Speed-up on each chip from the tokens per round of the other, at every gamma."""
    rows = [r for r in load_table("redrafter_chips").rows if text(r, "drafting") == "chain"]
    sweeps: dict[tuple[str, str], list[Row]] = {}
    for r in rows:
        sweeps.setdefault((text(r, "precision"), text(r, "chip")), []).append(r)
    points = []
    for (precision, chip), own in sweeps.items():
        for (other_precision, other_chip), theirs in sweeps.items():
            if other_precision == precision and other_chip != chip:
                points += _across(f"{chip} from {other_chip}, {precision}", own, theirs)
    return Test(
        "one chip from the other: speed-up",
        "tokens per round of the other chip; a plain step and two round times of this one; not the "
        "answer of a verb, none of which takes the costs and tokens of two machines",
        "relative",
        tuple(points),
    )


def _across(label: str, own: list[Row], theirs: list[Row]) -> list[Point]:
    own = sorted(own, key=lambda r: number(r, "gamma_tokens"))
    gammas = np.array([number(r, "gamma_tokens") for r in own])
    rounds = np.array([number(r, "round_s") for r in own])
    tau = {number(r, "gamma_tokens"): number(r, "tokens_per_round") for r in theirs}
    speedups = np.array([number(r, "speedup") for r in own])
    line = np.interp(gammas, gammas[[0, -1]], rounds[[0, -1]])
    half = float(np.exp(1.645 * ERROR))
    points = []
    for i, r in enumerate(own[1:-1], start=1):
        if gammas[i] not in tau:
            continue
        plain = number(r, "plain_token_s")
        predicted = tau[gammas[i]] * plain / line[i]
        per_token = line[-1] / plain - 1.0
        alpha = alpha_from_length(tau[gammas[0]], int(gammas[0]))
        ideal = tokens_per_round(alpha, gammas[i])
        rivals: dict[str, float | None] = {
            PLAIN: float(ideal / (1.0 + gammas[i] * per_token / gammas[-1])),
            NEAREST: interpolated(
                gammas[[0, -1]].astype(np.int64), speedups[[0, -1]], int(gammas[i])
            ),
        }
        at = f"{label}, gamma {gammas[i]:g}"
        points.append(
            Point(at, number(r, "speedup"), predicted, predicted / half, predicted * half, rivals)
        )
    return points
