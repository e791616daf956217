"""Monte-Carlo of rounds, token by token, to confirm what the formulas predict."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from ..theory import AcceptanceLaw, CostLaw, tokens_by_gamma


@dataclass(frozen=True)
class Confirmation:
    """A predicted speed-up beside a simulated one.

    gamma [token]; rounds simulated; tokens_per_round and its standard error [token]; speedup and
    its standard error, simulated; predicted: by the formulas; z: (simulated - predicted) / standard
    error, 0 where neither varies.
    """

    gamma: int
    rounds: int
    tokens_per_round: float
    tokens_se: float
    speedup: float
    speedup_se: float
    predicted: float
    z: float


def mean_tokens(
    rng: np.random.Generator,
    law: AcceptanceLaw,
    *,
    gamma: int,
    rounds: int,
    block: int = 200_000,
) -> tuple[float, float]:
    """Mean tokens per round and its standard error from ``rounds`` simulated rounds [token].

    rng: random generator; law: a single acceptance law; gamma: >= 0; rounds: >= 2; block: rounds
    held in memory at a time. Uses the law's draws alone, never its survival.
    Raises ValueError for fewer than 2 rounds.
    """
    if rounds < 2:
        raise ValueError(f"rounds must be an integer in [2, inf), got {rounds}")
    total, squares = 0.0, 0.0
    for start in range(0, rounds, block):
        tokens = 1.0 + law.draw(rng, gamma=gamma, rounds=min(block, rounds - start))
        total += float(tokens.sum())
        squares += float((tokens * tokens).sum())
    mean = total / rounds
    variance = max(squares / rounds - mean * mean, 0.0) * rounds / (rounds - 1)
    return mean, float(np.sqrt(variance / rounds))


def confirm(
    rng: np.random.Generator,
    law: AcceptanceLaw,
    *,
    cost: CostLaw,
    gamma: int,
    rounds: int = 400_000,
) -> Confirmation:
    """Simulate rounds under single laws and hold the predicted speed-up against the result.

    rng: random generator; gamma: >= 0; rounds: >= 2. Raises ValueError for laws with arrays.
    """
    if law.shape != () or cost.shape != ():
        raise ValueError("confirm takes single laws, got arrays of parameters")
    times = cost.round_time(gamma)
    ratio = float(times[0] / times[gamma])
    predicted = float(tokens_by_gamma(law, gamma)[gamma]) * ratio
    mean, se = mean_tokens(rng, law, gamma=gamma, rounds=rounds)
    gap = mean * ratio - predicted
    # Rounds that cannot vary leave rounding alone, which is no evidence either way.
    z = gap / (se * ratio) if se > 0 else (0.0 if abs(gap) < 1e-12 * predicted else np.inf)
    return Confirmation(gamma, rounds, mean, se, mean * ratio, se * ratio, predicted, float(z))
