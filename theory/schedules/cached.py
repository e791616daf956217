r"""Drafting in advance for every likely outcome of the verification, and looking the draft up.

    S = (h E_h + (1 - h) E_m) / (h max(1, T_p) + (1 - h)(1 + T_b))

h: share of rounds whose outcome was foreseen; E_h, E_m: tokens of a round after a hit and after a
miss; T_p: time of drafting in advance, hidden behind the verification; T_b: time of the back-up
draft, which is not. If missing with f guesses has probability f^-r, the best guesses fall
geometrically along the draft.
"""

from __future__ import annotations

import numpy as np

from ..domain import Floats, check
from ..either import larger
from ..formula import Number, equation


@equation(r"S_\mathrm{cached}", group="schedules and cascades", hit_rate=0.8, hit_tokens=4.0,
          miss_tokens=2.5, advance_time=0.7, backup_time=0.2)  # fmt: skip
def cached_speedup(hit_rate: Number, *, hit_tokens: Number, miss_tokens: Number,
                   advance_time: Number, backup_time: Number) -> Number:  # fmt: skip
    """Speed-up when the next draft is looked up among those made for the foreseen outcomes.

    Assumes: hits independent of how many tokens were accepted; a second device drafts.
    Wrong when: long acceptances are easier to foresee than rejections, or guessing slows the draft.
    Source: arXiv:2603.03251, the expected speed-up of the schedule; rederived here by renewal
    reward.
    """
    tokens = hit_rate * hit_tokens + (1 - hit_rate) * miss_tokens
    missed = (1 - hit_rate) * (1 + backup_time)
    return tokens / (hit_rate * larger(1, advance_time) + missed)


@equation(r"S_\mathrm{cached}(B)", group="schedules and cascades", hit_rate=0.8, hit_tokens=4.0,
          miss_tokens=2.5, advance_time=0.7, backup_time=0.2, batch=8)  # fmt: skip
def cached_batch_speedup(hit_rate: Number, *, batch: Number, hit_tokens: Number,
                         miss_tokens: Number, advance_time: Number,
                         backup_time: Number) -> Number:  # fmt: skip
    """The same for a batch that waits for all of its sequences: hidden only if every one hits.

    The share of rounds without a wait falls to h^B, while each sequence keeps its own tokens.

    Assumes: sequences hit independently, and the batch moves in step.
    Wrong when: sequences that missed are left out of the next round instead of waited for.
    Source: arXiv:2603.03251 notes the fall to h^B; the formula is derived here by renewal reward.
    """
    every = hit_rate**batch
    tokens = hit_rate * hit_tokens + (1 - hit_rate) * miss_tokens
    return tokens / (every * larger(1, advance_time) + (1 - every) * (1 + backup_time))


def fan_out(alpha: float, gamma: int, *, budget: float, miss_exponent: float) -> Floats:
    """How many bonus tokens to guess after k = 0..gamma accepted tokens, shape (gamma + 1,).

    Minimises the probability of a miss, sum of P(K = k) f_k^-r, at a total of ``budget`` guesses;
    f_k is proportional to P(K = k)^(1 / (1 + r)), hence falls geometrically in k up to the last.
    Real numbers, to be rounded; alpha: in (0, 1); gamma: whole number >= 0 [token]; budget,
    miss_exponent: > 0. Raises ValueError outside these ranges.
    Source: arXiv:2603.03251, geometric fan-out; rederived here by a Lagrange multiplier.
    """
    a, g = float(check("alpha", alpha)), int(check("gamma", gamma, whole=True))
    r = float(check("miss_exponent", miss_exponent))
    if not 0.0 < a < 1.0:
        raise ValueError(f"alpha must be in (0, 1), got {a:g}")
    if not (np.isfinite(budget) and budget > 0.0):
        raise ValueError(f"budget must be in (0, inf), got {budget}")
    outcome = a ** np.arange(g + 1.0)
    outcome[:-1] *= 1.0 - a
    share = outcome ** (1.0 / (1.0 + r))
    return np.asarray(budget * share / share.sum())
