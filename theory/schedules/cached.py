r"""Drafting in advance for every likely outcome of the verification, and looking the draft up.

    S = (h E_h + (1 - h) E_m) / (h max(1, T_p) + (1 - h)(1 + T_b))

h: share of rounds whose outcome was foreseen; E_h, E_m: tokens of a round after a hit and after a
miss; T_p: time of drafting in advance, hidden behind the verification; T_b: time of the back-up
draft, which is not. If missing with f guesses has probability f^-r, the best guesses fall
geometrically along the draft.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import ArrayLike

from ..domain import Floats, check, unwrap
from ..formula import evaluates, formula
from ..symbols import register

register("hit_rate", "h", "share of rounds whose outcome had been drafted for", high=1.0)
register("hit_tokens", "E_h", "mean tokens of a round after a hit", unit="token", low=1.0)
register("miss_tokens", "E_m", "mean tokens of a round after a miss", unit="token", low=1.0)
register("advance_time", "T_p", "time of drafting in advance", unit="target step")
register("backup_time", "T_b", "time of the draft that follows a miss", unit="target step")
register("miss_exponent", "r", "exponent of the miss probability in the guesses", open_low=True)


@formula(
    "cached_speedup", r"S_\mathrm{cached}", group="schedules and cascades",
    hit_rate=0.8, hit_tokens=4.0, miss_tokens=2.5, advance_time=0.7, backup_time=0.2,
)  # fmt: skip
def CACHED_SPEEDUP(s: Any) -> Any:
    """Speed-up when the next draft is looked up among those made for the foreseen outcomes.

    Assumes: hits independent of how many tokens were accepted; a second device drafts.
    Wrong when: long acceptances are easier to foresee than rejections, or guessing slows the draft.
    Source: arXiv:2603.03251, the expected speed-up of the schedule; rederived here by renewal
    reward.
    """
    import sympy

    h = s.hit_rate
    tokens = h * s.hit_tokens + (1 - h) * s.miss_tokens
    return tokens / (h * sympy.Max(1, s.advance_time) + (1 - h) * (1 + s.backup_time))


@formula(
    "cached_batch_speedup", r"S_\mathrm{cached}(B)", group="schedules and cascades",
    hit_rate=0.8, hit_tokens=4.0, miss_tokens=2.5, advance_time=0.7, backup_time=0.2, batch=8,
)  # fmt: skip
def CACHED_BATCH_SPEEDUP(s: Any) -> Any:
    """The same for a batch that waits for all of its sequences: hidden only if every one hits.

    The share of rounds without a wait falls to h^B, while each sequence keeps its own tokens.

    Assumes: sequences hit independently, and the batch moves in step.
    Wrong when: sequences that missed are left out of the next round instead of waited for.
    Source: arXiv:2603.03251 notes the fall to h^B; the formula is derived here by renewal reward.
    """
    import sympy

    h, all_hit = s.hit_rate, s.hit_rate**s.batch
    tokens = h * s.hit_tokens + (1 - h) * s.miss_tokens
    return tokens / (all_hit * sympy.Max(1, s.advance_time) + (1 - all_hit) * (1 + s.backup_time))


@evaluates(CACHED_SPEEDUP)
def cached_speedup(
    hit_rate: ArrayLike,
    *,
    hit_tokens: ArrayLike,
    miss_tokens: ArrayLike,
    advance_time: ArrayLike,
    backup_time: ArrayLike,
) -> Any:
    """Speed-up of speculation with drafts made in advance.

    hit_rate: in [0, 1]; hit_tokens, miss_tokens: >= 1 [token]; times: >= 0 [target step]. Shapes
    broadcast. Raises ValueError outside these ranges.
    """
    h = check("hit_rate", hit_rate)
    tokens = h * check("hit_tokens", hit_tokens) + (1.0 - h) * check("miss_tokens", miss_tokens)
    hidden = h * np.maximum(1.0, check("advance_time", advance_time))
    return unwrap(tokens / (hidden + (1.0 - h) * (1.0 + check("backup_time", backup_time))))


@evaluates(CACHED_BATCH_SPEEDUP)
def cached_batch_speedup(
    hit_rate: ArrayLike,
    *,
    batch: ArrayLike,
    hit_tokens: ArrayLike,
    miss_tokens: ArrayLike,
    advance_time: ArrayLike,
    backup_time: ArrayLike,
) -> Any:
    """Speed-up of a batch in step with drafts made in advance; `cached_speedup` at batch 1.

    batch: >= 1; the rest as in :func:`cached_speedup`.
    """
    h = check("hit_rate", hit_rate)
    every = h ** check("batch", batch)
    tokens = h * check("hit_tokens", hit_tokens) + (1.0 - h) * check("miss_tokens", miss_tokens)
    hidden = every * np.maximum(1.0, check("advance_time", advance_time))
    return unwrap(tokens / (hidden + (1.0 - every) * (1.0 + check("backup_time", backup_time))))


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
