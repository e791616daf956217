"""Cheap drafters: the first layers of the target, part of its cache or vocabulary, the context.

The first layers of the target draft, and may be reused in verification.

    E[N] / (1 + gamma e) <= S <= E[N] / (1 + gamma e - e)

e is the share of the target's depth that drafts. If the verifying pass repeats it, a draft step
costs e and the pass 1; if it reuses the drafted tokens' first layers, the pass costs no less than
1 - e.

A draft that reads only part of the cache: cheap exactly where the cache dominates.

    c = (W_d + B kv n_d) / (W + B kv n)  ->  n_d / n  as B n grows

n_d of the n cached tokens are read by the draft. With a long context or a large batch the weights
no longer matter and the cost is the share of the cache.

A draft with a trimmed vocabulary: a cheaper head against tokens it can never propose.

    c = c_body + c_head f,   alpha = alpha_full * coverage <= coverage

f is the share of the vocabulary that is kept and coverage the target's probability on it.

Drafts copied from the context: n-gram tables, suffix trees, prompt look-up.

    S = (1 - m + m E[N]) / (1 - m + m (1 + gamma (c + b) + o))

m is the share of rounds in which the last tokens occur earlier, so that there is something to copy;
in the others the round is a plain step.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import ArrayLike

from ..domain import check, unwrap
from ..either import demand, when_drafting
from ..formula import Number, equation
from ..rounds import geometric


@equation(r"S_{\min}", group="schedules and cascades", least={"gamma": 1}, alpha=0.7, gamma=4,
          exit_share=0.25)  # fmt: skip
def self_speculation_lower(alpha: Number, gamma: Number, exit_share: Number) -> Number:
    """Speed-up of drafting with the first layers when verification repeats them.

    Assumes: independent acceptance, time proportional to depth.
    Wrong when: the output head, which every draft step reads, is not small against the layers.
    Source: derived here; the methods are those of arXiv:2309.08168 and arXiv:2404.16710.
    """
    return geometric(alpha, gamma + 1) / (1 + gamma * exit_share)


@equation(r"S_{\max}", group="schedules and cascades", least={"gamma": 1}, alpha=0.7, gamma=4,
          exit_share=0.25)  # fmt: skip
def self_speculation_upper(alpha: Number, gamma: Number, exit_share: Number) -> Number:
    """Speed-up of drafting with the first layers when verification takes all of them over.

    Not reached where reading weights sets the time: the last drafted token has not passed the first
    layers yet, so that their weights are read once more.

    Assumes: independent acceptance, time proportional to depth, gamma >= 1.
    Wrong when: the output head, which every draft step reads, is not small against the layers.
    Source: derived here; the methods are those of arXiv:2309.08168 and arXiv:2404.16710.
    """
    return geometric(alpha, gamma + 1) / (1 + gamma * exit_share - exit_share)


@equation("c", group="schedules and cascades", draft_weight_bytes=16e9, draft_cached=1000,
          weight_bytes=16e9, kv_bytes=131072, batch=32, context=32000)  # fmt: skip
def sparse_cache_cost(draft_cached: Number, context: Number, *, batch: Number, weight_bytes: Number,
                      draft_weight_bytes: Number, kv_bytes: Number) -> Number:  # fmt: skip
    """Draft step time of a drafter that reads part of the target's cache.

    Assumes: draft and target are bound by reading memory; draft and target cache alike per token.
    Wrong when: choosing what to read costs time, or the context is short.
    Source: derived here; the regime is that of arXiv:2408.11049.
    Returns: Draft step time of a drafter with a sparse cache [target step]. draft_cached: in [0,
    context] [token]; context: >= 0 [token]; batch: >= 1; weight_bytes: > 0, draft_weight_bytes,
    kv_bytes: >= 0 [byte]. Equal weights are self-speculation.
    """
    demand(draft_cached <= context, "draft_cached must be in [0, context]", draft_cached)
    draft = draft_weight_bytes + batch * kv_bytes * draft_cached
    return draft / (weight_bytes + batch * kv_bytes * context)


@equation(r"S_\mathrm{trimmed}", group="schedules and cascades", alpha=0.8, gamma=5, coverage=0.95,
          kept=0.25, body_cost=0.02, head_cost=0.04, verify_slope=0.01, overhead=0.05)  # fmt: skip
def trimmed_speedup(alpha: Number, gamma: Number, *, coverage: Number, kept: Number,
                    body_cost: Number, head_cost: Number, verify_slope: Number = 0.0,
                    overhead: Number = 0.0) -> Number:  # fmt: skip
    """Speed-up of a draft that keeps a share of the vocabulary; alpha is the untrimmed acceptance.

    Assumes: acceptance falls by the factor coverage, as it does where the draft is as good on the
    kept tokens as on all; independent acceptance; the head's time proportional to its tokens.
    Wrong when: draft and target disagree most on rare tokens; trimming then costs less than this.
    Source: derived here.
    Returns: coverage = kept = 1 is the untrimmed draft; the overhead is paid only when speculating.
    """
    per_token = body_cost + head_cost * kept + verify_slope
    cost = 1 + gamma * per_token + when_drafting(gamma, overhead)
    return geometric(alpha * coverage, gamma + 1) / cost


def trimmed_acceptance(p: ArrayLike, q: ArrayLike, kept: ArrayLike) -> Any:
    """Exact acceptance of a draft restricted to the kept tokens: sum of min(p, rescaled q).

    p, q: target and draft distributions over the last axis; kept: boolean mask of shape (V,), with
    some draft probability on it. Never above the target's probability of the kept tokens.
    Raises ValueError otherwise.
    """
    target, draft = check("alpha", p, label="p"), check("alpha", q, label="q")
    mask = np.asarray(kept, dtype=bool)
    if target.shape[-1:] != mask.shape or draft.shape[-1:] != mask.shape:
        raise ValueError(f"kept must have the shape of the vocabulary, got {mask.shape}")
    for name, value in (("p", target), ("q", draft)):
        if not np.allclose(value.sum(axis=-1), 1.0, atol=1e-9):
            raise ValueError(f"{name} must sum to 1 along the last axis")
    left = draft[..., mask]
    total = left.sum(axis=-1, keepdims=True)
    if np.any(total <= 0.0):
        raise ValueError("the draft must give the kept tokens a probability in (0, 1]")
    return unwrap(np.asarray(np.minimum(target[..., mask], left / total).sum(axis=-1)))


@equation(r"S_\mathrm{lookup}", group="schedules and cascades", match=0.4, alpha=0.6, gamma=5,
          cost_ratio=0.001, verify_slope=0.02, overhead=0.05)  # fmt: skip
def lookup_speedup(match: Number, alpha: Number, gamma: Number, *, cost_ratio: Number = 0.0,
                   verify_slope: Number = 0.0, overhead: Number = 0.0) -> Number:  # fmt: skip
    """Speed-up when only matched rounds speculate; alpha is the acceptance given a match.

    Assumes: a match says nothing about the next round's; independent acceptance given a match.
    Wrong when: matches and acceptance come in bursts, as in copied passages.
    Source: derived here by renewal reward.
    Returns: 1 at match = 0 and at gamma = 0; costs are paid in matched rounds only.
    """
    cost = 1 + gamma * (cost_ratio + verify_slope) + when_drafting(gamma, overhead)
    return (1 - match + match * geometric(alpha, gamma + 1)) / (1 - match + match * cost)
