r"""Ceilings of a round: the entropy of the text, and the bandwidth of the memory.

    E[N] <= ln((k + 1)(V - 1) + 1) / H       drafts that say nothing of the randomness of the output
    E[N] <= (ln V + ln(k + 1)) / H_R         any draft, H_R the entropy that it leaves
    tokens/s <= E[N] / (time to read weights and cache)

Given its k drafted tokens a verifying pass ends in one of (k + 1)(V - 1) + 1 <= (k + 1) V ways, so
that the entropy of the way it ends, given the drafts, is at most the logarithm of that number. It
is also the sum, over the tokens that are emitted, of the entropy of each given those before it and
the drafts. Where the drafts are deterministic, or independent of what is emitted, this is H E[N].
A draft sampled from q is not: accepting it copies its randomness into the output, and what is left
of the entropy of a token, given the draft's, is H_R <= H only. With q = p nothing is left, and no
bound below gamma + 1 holds: p uniform on four tokens, q = (.35, .15, .25, .25) and gamma = 16 give
E[N] = 8.33 where the first line says 2.85.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import ArrayLike

from ..costs.roofline import memory_time
from ..domain import Floats, unwrap
from ..either import demand, log
from ..formula import Number, equation, symbolic
from ..rounds import geometric


@equation(r"\mathrm{E}[N]_{\max}", group="headroom", verified_nodes=64, vocabulary=32000,
          entropy=1.5)  # fmt: skip
def entropy_ceiling(verified_nodes: Number, vocabulary: Number, entropy: Number) -> Number:
    """Most tokens that a round emits on average with k draft tokens, chain or tree, chosen by rule.

    Assumes: next tokens independent with the same entropy; drafts deterministic, or independent of
    what the target emits (a greedy draft, a look-up table, the tree of likeliest paths).
    Wrong when: drafts are sampled and accepted with the probability min(1, p/q), which emits their
    own randomness (see `left_entropy_ceiling`); entropy varies with the context, and drafts go
    where it is low.
    Source: derived here by counting the ways a pass ends; for deterministic drafts over varying
    entropy arXiv:2512.11718 has a bound of the order of ln(k) / H.
    Returns: ln V / H >= 1 at k = 0. Not for sampled drafts.
    """
    return log((verified_nodes + 1) * (vocabulary - 1) + 1) / entropy


@equation(r"\mathrm{E}[N]_{\max}", group="headroom", verified_nodes=64, vocabulary=32000,
          left_entropy=0.8)  # fmt: skip
def left_entropy_ceiling(
    verified_nodes: Number, vocabulary: Number, left_entropy: Number
) -> Number:
    """Most tokens that a round emits on average with k draft tokens of any kind.

    H_R is the entropy that a token keeps once the drafts are known; it is H for drafts chosen by
    rule and 0 for a draft from the target's own distribution, accepted always.

    Assumes: every token of a round keeps at least the entropy H_R given the tokens before it and
    all drafts of the round.
    Wrong when: H_R varies with the context; drafts then go where it is low.
    Source: arXiv:2504.15475, as (log|Omega| + log(k + 1)) / H[R] in summaries of it; derived here
    from the entropy of the way a pass ends, given the drafts.
    """
    return (log(vocabulary) + log(verified_nodes + 1)) / left_entropy


@equation(r"\mathrm{E}[X]_{\max}", group="headroom", verified_nodes=64, entropy=1.5, log_moment=4.0)
def branching_ceiling(verified_nodes: Number, entropy: Number, log_moment: Number) -> Number:
    """Leading term, for many nodes, of the tokens that a deterministic draft tree predicts.

    (mu + mu_2) ln k / mu^2, mu the mean entropy and mu_2 the mean of (ln p)^2. For one and the same
    distribution at every node the exact leading constant is 1 / mu, which is smaller.

    Assumes: deterministic drafting, next-token distributions drawn independently at every node.
    Wrong when: k is small (a bounded term is left out), or drafts are sampled.
    Source: arXiv:2512.11718, abstract.
    Returns: an expansion, not a bound at small k.
    """
    mu = entropy
    if symbolic(verified_nodes, entropy):
        import sympy

        return (mu + log_moment) * sympy.log(verified_nodes) / mu**2
    k = verified_nodes
    demand(k >= 1.0, "verified_nodes must be an integer in [1, inf)", k)
    with np.errstate(invalid="ignore"):  # ln 1 over the smallest float
        value = (1.0 + log_moment / mu) * (np.log(k) / mu)
    return np.where(k == 1.0, 0.0, value)


@equation(r"\mathrm{tok/s}_{\max}", group="headroom", alpha=0.8, gamma=5, weight_bytes=16e9,
          kv_bytes=131072, batch=8, context=4000, bandwidth=3e12)  # fmt: skip
def hardware_ceiling(alpha: Number, gamma: Number, *, weight_bytes: Number, kv_bytes: Number,
                     bandwidth: Number, batch: Number = 1.0,
                     context: Number = 0.0) -> Number:  # fmt: skip
    """Tokens per second of one sequence cannot exceed E[N] per reading of weights and caches.

    Assumes: independent acceptance, every verifying pass reads all weights and caches once;
    drafting is free.
    Wrong when: only some experts are read, or weights stay in a cache on the chip.
    Source: derived here.
    """
    reading = memory_time(
        batch, context, weight_bytes=weight_bytes, kv_bytes=kv_bytes, bandwidth=bandwidth
    )
    return geometric(alpha, gamma + 1) / reading


def left_entropy_of(p: ArrayLike, q: ArrayLike) -> Any:
    """Entropy of the emitted token given the drafted one, under min(1, p/q) and residual [nat].

    p, q: distributions of target and draft over the last axis, (..., V), broadcast. At most the
    entropy of p, and 0 for p = q. Raises ValueError where they are no distributions.
    """
    from ..trees.verification import distribution, residual

    target, draft = np.broadcast_arrays(distribution("p", p), distribution("q", q))
    safe = np.where(draft > 0.0, draft, 1.0)
    kept = np.where(draft > 0.0, np.minimum(1.0, target / safe), 0.0)
    rest = residual(target, draft)  # zero where q > p, so a rejected token is never drawn again
    return unwrap(np.asarray((draft * (_binary(kept) + (1.0 - kept) * _entropy(rest))).sum(-1)))


def _entropy(p: Floats) -> Floats:
    safe = np.where(p > 0.0, p, 1.0)
    return np.asarray(-(p * np.log(safe)).sum(axis=-1, keepdims=True))


def _binary(x: Floats) -> Floats:
    return np.asarray(_entropy(np.stack([x, 1.0 - x], axis=-1))[..., 0])
