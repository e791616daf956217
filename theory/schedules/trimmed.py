r"""A draft with a trimmed vocabulary: a cheaper head against tokens it can never propose.

    c = c_body + c_head f,   alpha = alpha_full * coverage <= coverage

f is the share of the vocabulary that is kept and coverage the target's probability on it.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import ArrayLike

from ..domain import check, unwrap
from ..either import when_drafting
from ..formula import Number, equation
from ..rounds import geometric


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


def best_vocabulary(
    coverage: ArrayLike,
    *,
    alpha: float,
    gamma: float,
    body_cost: float,
    head_cost: float,
    verify_slope: float = 0.0,
    overhead: float = 0.0,
) -> tuple[int, float]:
    """(tokens to keep, speed-up) for a measured coverage of the 1, 2, ..., V likeliest tokens.

    coverage: non-decreasing, shape (V,), in [0, 1]; the other arguments as in
    :func:`trimmed_speedup`, scalars. Raises ValueError outside these ranges.
    """
    pi = check("coverage", coverage)
    if pi.ndim != 1 or pi.size == 0 or np.any(np.diff(pi) < 0.0):
        raise ValueError("coverage must be a non-empty, non-decreasing 1-d array")
    values = np.asarray(
        trimmed_speedup(
            alpha,
            gamma,
            coverage=pi,
            kept=np.arange(1.0, pi.size + 1.0) / pi.size,
            body_cost=body_cost,
            head_cost=head_cost,
            verify_slope=verify_slope,
            overhead=overhead,
        )
    )
    best = int(np.argmax(values))
    return best + 1, float(values[best])
