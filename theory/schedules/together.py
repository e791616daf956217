"""Drafting and verifying side by side: while the target verifies, or for a batch at once.

Drafting the next round while the target verifies this one: with a flush, or for every outcome.

    S = E' / (max(1, gamma c) + (1 - alpha^gamma) gamma c),   E' = (1 - alpha^gamma) / (1 - alpha)
    S = E' / (alpha^gamma max(1, gamma c) + (1 - alpha^gamma) (1 + gamma c))   where it is stopped

The draft continues from its own last token, so an accepted round yields gamma tokens and no bonus
token. After a rejection what was drafted meanwhile is thrown away and drafted anew. The rejection
is known at time 1; where a draft takes longer, it is either finished first (the first line) or
stopped at once (the second). For gamma c <= 1 the two are one.

Drafting in advance for every likely outcome of the verification, and looking the draft up.

    S = (h E_h + (1 - h) E_m) / (h max(1, T_p) + (1 - h)(1 + T_b))

h: share of rounds whose outcome was foreseen; E_h, E_m: tokens of a round after a hit and after a
miss; T_p: time of drafting in advance, hidden behind the verification; T_b: time of the back-up
draft, which is not. If missing with f guesses has probability f^-r, the best guesses fall
geometrically along the draft.

A budget of verified tokens shared by the requests of a batch.

Token k of request r reaches the output with probability s_rk, its survival. Of all choices of n
tokens the n largest survivals are worth most, and since survival never rises along a request they
are prefixes of the drafts, so the choice can be verified (arXiv:2502.15197). How many to take
follows from the measured time of a pass over n tokens.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike, NDArray

from ..domain import Floats, as_floats, check
from ..either import larger
from ..formula import Number, equation
from ..rounds import geometric


@equation(r"S_\parallel", group="schedules and cascades", least={"gamma": 1}, alpha=0.8, gamma=4,
          cost_ratio=0.1)  # fmt: skip
def overlapped_speedup(alpha: Number, gamma: Number, cost_ratio: Number) -> Number:
    """Speed-up when drafting overlaps with verifying and a rejection flushes the finished draft.

    Not always above the sequential one: the bonus token is lost, and gamma must be tuned anew.

    Assumes: independent acceptance, gamma >= 1, two devices that do not slow each other, verifying
    as long as a plain step.
    Wrong when: the first draft token is verified early, as arXiv:2408.11850 does; it is then a
    lower bound.
    Source: derived here by renewal reward.
    Returns: gamma / max(1, gamma c) at alpha = 1.
    """
    tokens, drafting = geometric(alpha, gamma), gamma * cost_ratio
    rejected = (1 - alpha) * tokens  # 1 - alpha^gamma without cancellation
    return tokens / (larger(1, drafting) + rejected * drafting)


@equation(r"S_{\parallel,\mathrm{stop}}", group="schedules and cascades", least={"gamma": 1},
          alpha=0.8, gamma=4, cost_ratio=0.4)  # fmt: skip
def stopped_overlap_speedup(alpha: Number, gamma: Number, cost_ratio: Number) -> Number:
    """Speed-up with overlapped drafting where a rejection stops the draft that it makes useless.

    Larger than where the draft is finished first if gamma c > 1, and the same otherwise.

    Assumes: independent acceptance, gamma >= 1, two devices that do not slow each other, verifying
    as long as a plain step; a running draft can be stopped between two of its steps at no cost.
    Wrong when: draft steps are long beside a plain step, so that stopping waits for one to end.
    Source: derived here by renewal reward.
    """
    tokens, drafting = geometric(alpha, gamma), gamma * cost_ratio
    rejected = (1 - alpha) * tokens
    return tokens / (alpha**gamma * larger(1, drafting) + rejected * (1 + drafting))


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


def _survival(survival: ArrayLike) -> Floats:
    s = check("alpha", survival, label="survival")
    if s.ndim != 2:
        raise ValueError(f"survival must have shape (requests, positions), got {s.shape}")
    if np.any(np.diff(s, axis=1) > 0.0):
        raise ValueError("survival must not rise along a request")
    return s


def _order(s: Floats) -> NDArray[np.int64]:
    """Flat indices by falling survival; of equals the shallower position first, then the request.

    The shallower position first keeps every choice a prefix, also where survivals are equal.
    """
    positions = np.broadcast_to(np.arange(s.shape[1]), s.shape).ravel()
    requests = np.broadcast_to(np.arange(s.shape[0])[:, None], s.shape).ravel()
    return np.asarray(np.lexsort((requests, positions, -s.ravel())), dtype=np.int64)


def budgeted_lengths(survival: ArrayLike, budget: int) -> NDArray[np.int64]:
    """How many draft tokens of each request to verify, given room for ``budget`` in all.

    survival: s_rk of draft tokens k = 1..gamma, shape (requests, gamma), in [0, 1] and not rising
    along a request (pad shorter drafts with 0); budget: whole number >= 0 [token]. Returns lengths
    of shape (requests,), which maximise the expected accepted tokens; tokens that never survive
    are left out. Raises ValueError outside these ranges.
    """
    s = _survival(survival)
    room = int(check("gamma", budget, label="budget", whole=True))
    chosen = _order(s)[:room]
    chosen = chosen[s.ravel()[chosen] > 0.0]
    return np.bincount(chosen // max(s.shape[1], 1), minlength=s.shape[0]).astype(np.int64)


@dataclass(frozen=True)
class BatchBudget:
    """The best number of draft tokens of a batch: ``budget`` in all, ``lengths`` per request.

    tokens: expected tokens emitted by the batch in the round, the bonus tokens included; rate:
    tokens per unit of time.
    """

    budget: int
    lengths: NDArray[np.int64]
    tokens: float
    rate: float


def best_budget(survival: ArrayLike, round_time: ArrayLike) -> BatchBudget:
    """The number of draft tokens with the most tokens per time, for any curve of round times.

    survival: as in :func:`budgeted_lengths`; round_time: time of the round with n = 0, 1, ... draft
    tokens in all, shape (m + 1,), > 0, m <= requests x gamma. Every n is tried, so steps and knees
    of the curve are no obstacle. Raises ValueError outside these ranges.
    """
    s = _survival(survival)
    time = as_floats("round_time", round_time)
    if time.ndim != 1 or not 1 <= time.size <= s.size + 1:
        raise ValueError(f"round_time must have 1 to {s.size + 1} entries, got {time.shape}")
    if not (np.isfinite(time).all() and (time > 0.0).all()):
        raise ValueError("round_time must be in (0, inf)")
    gains = s.ravel()[_order(s)][: time.size - 1]
    tokens = s.shape[0] + np.concatenate([[0.0], np.cumsum(gains)])
    n = int(np.argmax(tokens / time))
    lengths = budgeted_lengths(s, n)
    return BatchBudget(n, lengths, float(tokens[n]), float(tokens[n] / time[n]))
