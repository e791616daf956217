r"""The terms of an account: Shapley's shares of the logarithm of a speed-up.

share_i = mean over all orders of  ln S(T + i) - ln S(T),   T: the terms before i in the order
S(T) = (1 + p) / (p + X(T) / N(T)),    N(T) = 1 - q(T) + q(T) n(T)

Where every step drafts, q = 1, and a part of the cost is 1 / q times that of a mean step.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import combinations

import numpy as np
from numpy.typing import NDArray

from ...theory.domain import Floats
from ...theory.interval import Interval, interval
from .measured import Solved


@dataclass(frozen=True)
class Term:
    """One departure from the ideal.

    factor: what it multiplies the speed-up by; 1 where it costs nothing. plain_steps: what it adds
    to a round, None for acceptance and prefill. parts: the elementary parts it holds, more than one
    where the inputs do not separate them.
    """

    name: str
    factor: Interval
    plain_steps: Interval | None
    parts: tuple[str, ...]


def terms_of(
    middle: Solved, sample: Solved, keep: NDArray[np.intp], gamma: int, level: float
) -> tuple[tuple[Term, ...], Floats]:
    """The terms, and the parts of the draws, shape (parts, draws), in plain steps.

    The parts come in the order of the cost terms, those between acceptance and prefill.
    """
    names, here, there = [], [], []
    for parts, value in middle.parts.items():
        name, drawn = " and ".join(_listed(parts)), sample.parts[parts][keep]
        batch = middle.batch if parts == ("verification growth",) else None
        if batch is not None and sample.batch is not None:
            names += [("verification growth at batch 1", parts), ("batch", ("batch",))]
            here += [batch, value - batch]
            there += [sample.batch[keep], drawn - sample.batch[keep]]
        else:
            names.append((name, parts))
            here.append(value)
            there.append(drawn)
    cost, drawn_cost = np.array(here), np.array(there)
    with_prefill = bool(middle.prefill[0] > 0.0)
    idle = bool(middle.coverage[0] < 1.0)
    logs = shapley(
        middle.tokens, cost, middle.prefill, gamma, with_prefill, middle.coverage if idle else None
    )
    drawn_logs = shapley(
        sample.tokens[keep], drawn_cost, sample.prefill[keep], gamma, with_prefill,
        sample.coverage[keep] if idle else None,
    )  # fmt: skip
    labels: list[tuple[str, tuple[str, ...]]] = [("acceptance", ("acceptance",)), *names]
    labels += [("steps without drafts", ("coverage",))] if idle else []
    labels += [("prefill", ("prefill",))] if with_prefill else []
    terms = []
    for i, (name, parts) in enumerate(labels):
        inside = 1 <= i <= len(names)
        added = None
        if inside:
            added = interval(drawn_cost[i - 1], level, estimate=float(cost[i - 1, 0]))
        factor = interval(np.exp(drawn_logs[i]), level, estimate=math.exp(float(logs[i, 0])))
        terms.append(Term(name, factor, added, parts))
    return tuple(terms), drawn_cost


def _listed(parts: Sequence[str]) -> list[str]:
    return [", ".join(parts[:-1]), parts[-1]] if len(parts) > 1 else list(parts)


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
