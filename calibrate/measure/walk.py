r"""From agreement along a text to the rounds that would have written it.

A speculative decoder emits text with the law of the target, so its rounds can be read off the
target's own text. Given that the token emitted at position i is x, it was the draft's own with
probability

    r_i = min(p_x, q_x) / p_x = min(1, q_x / p_x)                                  (the ratio)

for every position that a round drafts: x comes out either as an accepted draft token, of mass
min(p_x, q_x), or from the residual. Given the text these events are independent of each other, so
rounds are a walk along it: a round that starts at s accepts k tokens with probability
r_s r_{s+1} .. r_{s+k-1} (1 - r_{s+k}), and the next one starts at s + k + 1; after gamma accepted
tokens it starts behind the bonus token, at s + gamma + 1. Nothing is assumed about acceptance.

Averages that look alike are biased, for two reasons:
1. Rounds start where the draft has just failed (or behind a bonus token). Where text is hard for
   the draft it stays so for a while, hence starts are crowded there, and the mean overlap over all
   positions is above that at the starts.
2. What follows an accepted token is another question than what follows any token: accepted tokens
   are those to which the draft gives weight, and it tends to do well behind them. So the chance of
   k tokens in a row is not the product of the mean overlaps.

The last factor of each product may be the overlap instead of the ratio, its mean given all before:
the expectation is the same, and the scatter less. Derived here.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ..records import Record

Floats = NDArray[np.float64]


@dataclass(frozen=True)
class Walk:
    """Expectations over the rounds that fit into a text, those with gamma tokens ahead of them.

    starts: expected number of rounds starting at each position, the position in the text from 0 (at
    0 none: the first token comes with the prefill). accepted: expected accepted tokens of a round
    that starts there. rounds: their number; tokens_accepted: their accepted tokens.
    """

    starts: Floats
    accepted: Floats

    @property
    def rounds(self) -> float:
        return float(self.starts.sum())

    @property
    def tokens_accepted(self) -> float:
        return float(self.starts @ self.accepted)


def walk(ratio: Sequence[float] | Floats, overlap: Sequence[float] | Floats, gamma: int) -> Walk:
    """The expected rounds of one text, from its ratios and overlaps by position.

    ratio, overlap: shape (tokens,), in [0, 1]. Positions from which gamma tokens do not fit are
    left out, in the walk as in `full_rounds`.
    """
    r, b = np.asarray(ratio, np.float64), np.asarray(overlap, np.float64)
    if r.shape != b.shape or r.ndim != 1 or r.size < 1:
        raise ValueError(
            f"ratio and overlap must be one number a token each, got {r.shape} and {b.shape}"
        )
    if gamma < 1:
        raise ValueError(f"gamma must be a whole number >= 1, got {gamma}")
    for name, values in (("ratio", r), ("overlap", b)):
        if not ((values >= 0.0) & (values <= 1.0)).all():
            raise ValueError(f"{name} must be in [0, 1], got {values.min()} to {values.max()}")
    count = max(r.size - gamma + 1, 1)  # positions 0..size - gamma
    starts, accepted = np.zeros(count), np.zeros(count)
    if count < 2:
        return Walk(starts, accepted)
    starts[1] = 1.0
    for s in range(1, count):
        run = np.concatenate([[1.0], np.cumprod(r[s : s + gamma])])
        accepted[s] = run[:-1] @ b[s : s + gamma]
        # Where the next round starts: behind the rejected position, or behind the bonus token.
        leave = np.append(run[:-1] - run[1:], run[-1]) * starts[s]
        end = min(s + gamma + 2, count)
        starts[s + 1 : end] += leave[: end - s - 1]
    return Walk(starts, accepted)


def full_rounds(accepted: Sequence[int], *, tokens: int, gamma: int) -> tuple[int, int]:
    """(rounds, accepted tokens) of the rounds of a request that start gamma tokens before its end.

    The same rounds as those of `walk`: later ones may reach beyond the text.
    """
    start, rounds, total = 1, 0, 0
    for a in accepted:
        if start + gamma > tokens:
            break
        rounds, total = rounds + 1, total + a
        start += a + 1
    return rounds, total


@dataclass(frozen=True)
class Comparison:
    """Tokens a round, measured and told from overlaps, with requests as the unit of chance.

    measured: of real rounds. walked: by the walk along other texts of the same requests. spread:
    standard error of their difference; z: the difference in these. uniform: told from windows that
    start anywhere (bias 1 of the module is left in); independent: from the mean overlap alone
    (both are).
    """

    requests: int
    rounds: int
    measured: float
    walked: float
    spread: float
    z: float
    uniform: float
    independent: float


def compare_rounds(
    rounds: Sequence[Sequence[int]],
    ratios: Sequence[Sequence[float]],
    overlaps: Sequence[Sequence[float]],
    *,
    gamma: int,
) -> Comparison:
    """Compare real rounds with the walk; one entry a request in each, in the same order.

    rounds: accepted tokens of every round; ratios, overlaps: along a text of the same prompt. Texts
    have one length, that of the requests. Raises ValueError for fewer than two requests.
    """
    if len(rounds) < 2 or not len(rounds) == len(ratios) == len(overlaps):
        raise ValueError(
            "rounds, ratios and overlaps must name the same 2 requests or more, "
            f"got {len(rounds)}, {len(ratios)} and {len(overlaps)}"
        )
    sides = np.zeros((2, len(rounds), 2))  # measured or walked, request, rounds and accepted
    windows = np.zeros((len(rounds), 2))
    for i, (real, ratio, overlap) in enumerate(zip(rounds, ratios, overlaps, strict=True)):
        sides[0, i] = full_rounds(real, tokens=len(ratio), gamma=gamma)
        found = walk(ratio, overlap, gamma)
        sides[1, i] = found.rounds, found.tokens_accepted
        windows[i] = found.accepted.size - 1, found.accepted[1:].sum()
    measured, walked = sides[:, :, 1].sum(1) / sides[:, :, 0].sum(1)
    # Each ratio of sums as a sum over requests (first order), then their difference by request.
    shares = [
        (side[:, 1] - mean * side[:, 0]) / side[:, 0].mean()
        for side, mean in zip(sides, (measured, walked), strict=True)
    ]
    spread = float(np.std(shares[0] - shares[1], ddof=1) / np.sqrt(len(rounds)))
    gap = float(measured - walked)
    alpha = float(np.mean(np.concatenate([np.asarray(o, np.float64)[1:] for o in overlaps])))
    return Comparison(
        requests=len(rounds),
        rounds=int(sides[0, :, 0].sum()),
        measured=1.0 + float(measured),
        walked=1.0 + float(walked),
        spread=spread,
        z=gap / spread
        if spread > 0.0
        else (0.0 if gap == 0.0 else float(np.copysign(np.inf, gap))),
        uniform=1.0 + float(windows[:, 1].sum() / windows[:, 0].sum()),
        independent=1.0 + float(sum(alpha**k for k in range(1, gamma + 1))),
    )


def compare_record(record: Record) -> dict[tuple[str, float, str | None], Comparison]:
    """Rounds against overlap by (draft, temperature, domain), and with domain None for all of them.

    Requests with an error are left out; what has fewer than two left is not compared.
    """
    rounds: dict[tuple[str, float], dict[tuple[str, int], dict[str, Any]]] = {}
    overlaps: dict[tuple[str, float], dict[tuple[str, int], dict[str, Any]]] = {}
    for point in record.points:
        if point["type"] in ("rounds", "overlap") and "error" not in point:
            side = rounds if point["type"] == "rounds" else overlaps
            at = side.setdefault((point["draft"], point["temperature"]), {})
            at[point["domain"], point["request"]] = point
    found: dict[tuple[str, float, str | None], Comparison] = {}
    for (draft, temperature), real in rounds.items():
        along = overlaps.get((draft, temperature), {})
        both = [key for key in real if key in along]
        for domain in (*dict.fromkeys(d for d, _ in both), None):
            keys = [key for key in both if domain in (None, key[0])]
            if len(keys) >= 2:
                found[draft, temperature, domain] = compare_rounds(
                    [real[k]["accepted"] for k in keys],
                    [along[k]["ratio"] for k in keys],
                    [along[k]["overlap"] for k in keys],
                    gamma=int(real[keys[0]]["drafted"]),
                )
    return found
