r"""Shapley's shares of the logarithm of a speed-up.

share_i = mean over all orders of  ln S(T + i) - ln S(T),   T: the terms before i in the order
S(T) = (1 + p) / (p + X(T) / N(T)),    N(T) = 1 - q(T) + q(T) n(T)

Where every step drafts, q = 1, and a part of the cost is 1 / q times that of a mean step.
"""

from __future__ import annotations

import math
from itertools import combinations

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float64]


def shapley(
    tokens: Floats,
    cost: Floats,
    prefill: Floats,
    gamma: int,
    with_prefill: bool,
    coverage: Floats | None = None,
) -> Floats:
    """Shares of ln S - ln(gamma + 1) by Shapley's rule, shape (terms, draws).

    tokens, prefill: shape (draws,); cost: what each part adds to a mean step, (parts, draws) [plain
    step]; coverage: share of the steps that draft, shape (draws,), None where all do. Terms:
    acceptance, the parts, the coverage where it counts, and the prefill where it counts. The shares
    sum to ln S - ln(gamma + 1) exactly, up to rounding.
    """
    parts = cost.shape[0]
    players = 1 + parts + int(coverage is not None) + int(with_prefill)
    whole = np.ones_like(tokens)
    value: dict[frozenset[int], Floats] = {}
    for size in range(players + 1):
        for chosen in combinations(range(players), size):
            members = frozenset(chosen)
            n = tokens if 0 in members else np.full_like(tokens, gamma + 1.0)
            active = [i - 1 for i in members if 1 <= i <= parts]
            q = coverage if coverage is not None and 1 + parts in members else whole
            share = q if coverage is None else q / coverage
            with np.errstate(invalid="ignore", divide="ignore"):
                # Where every step drafts, the parts cost 1 / q times as much.
                paid = cost[active].sum(axis=0) * share
                x = np.maximum(1.0 + paid, 1e-9)
                n = 1.0 - q + q * n
                p = prefill if players - 1 in members and with_prefill else np.zeros_like(prefill)
                value[members] = np.log((1.0 + p) / (p + x / n))
    shares = np.zeros((players, tokens.size))
    for members, worth in value.items():
        for i in range(players):
            if i not in members:
                size = len(members)
                weight = math.factorial(size) * math.factorial(players - size - 1)
                shares[i] += weight / math.factorial(players) * (value[members | {i}] - worth)
    return shares
