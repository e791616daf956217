"""Drafting the next round while the target verifies this one: with a flush, or for every outcome.

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
"""

from __future__ import annotations

import numpy as np

from ..domain import Floats, check, check_gamma_max
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


def best_overlapped_gamma(
    alpha: float, cost_ratio: float, *, gamma_max: int = 64, stopped: bool = False
) -> int:
    """The whole gamma in 1..gamma_max with the largest overlapped speed-up; 0 if none beats 1.

    alpha: in [0, 1]; cost_ratio: >= 0 [target step], scalars; stopped: whether a rejection stops
    the draft that runs, or lets it finish. The speed-up has a kink at gamma = 1/c, so all are
    tried. Raises ValueError outside the ranges.
    """
    top = int(check_gamma_max(gamma_max))
    law = stopped_overlap_speedup if stopped else overlapped_speedup
    values = np.atleast_1d(law(alpha, np.arange(1.0, top + 1.0), cost_ratio))
    best = int(np.argmax(values))
    return best + 1 if values[best] > 1.0 else 0


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
