r"""Verifiers in use for several drafts: recursive rejection and K-SEQ.

Recursive rejection tries the drafts in turn, each against the residual that the ones before it
left of the target:

    alpha = 1 - product of (1 - sum min(p_i, q)),   p_{i+1} = norm((p_i - q)_+)

K-SEQ keeps each draft with the same probability min(1, p/(rho q)), the least exact rho solving
1 - (1 - beta)^K = rho beta, beta = sum min(q, p/rho).
"""

from __future__ import annotations

import numpy as np
from numpy.typing import ArrayLike

from ..domain import Floats, check
from ..formula import Number, equation, symbolic
from ..roots import bisect
from .several import distribution_pair, missed
from .verification import two_token_overlap


@equation(r"\alpha_K", group="several drafts and verification", target_mass=0.7, draft_mass=0.4,
          drafts=3)  # fmt: skip
def two_token_recursive_rejection(
    target_mass: Number, draft_mass: Number, drafts: Number
) -> Number:
    """Acceptance of K drafts tried one after the other, each against what is left of the target.

    After a rejection the target's residual is all on the token that the draft gives too little.

    Assumes: drafts drawn independently from q; two tokens.
    Wrong when: drafts are drawn without replacement; then two drafts are always enough.
    Source: derived here; the recursion is that of arXiv:2401.06706.
    Returns: summed as the first draft's overlap and what the later ones add, which does not cancel
    for a small acceptance.
    """
    p, q, k = target_mass, draft_mass, drafts
    if symbolic(target_mass, draft_mass):
        import sympy

        missing = sympy.Max(p - q, 0) * (1 - q) ** (k - 1) + sympy.Max(q - p, 0) * q ** (k - 1)
        return 1 - missing
    k = drafts - 1.0
    later = np.maximum(p - q, 0.0) * missed(q, k) + np.maximum(q - p, 0.0) * missed(1.0 - q, k)
    return two_token_overlap(p, q) + later


@equation(r"\alpha_K", group="several drafts and verification", kept_mass=0.4, drafts=3)
def kseq_acceptance(kept_mass: Number, drafts: Number) -> Number:
    """Acceptance of K drafts that are each kept with probability min(1, p/(rho q)).

    Assumes: drafts drawn independently from q; beta taken at the least exact rho.
    Wrong when: rho is below the root of 1 - (1 - beta)^K = rho beta; the output is then biased.
    Source: arXiv:2310.15141.
    """
    return missed(kept_mass, drafts)


def recursive_rejection(p: ArrayLike, q: ArrayLike, *, drafts: int) -> float:
    """Acceptance of K independent drafts tried in turn, each against the residual, in [0, 1].

    1 - product of (1 - sum min(p_i, q)) with p_{i+1} = norm((p_i - q)_+). Arguments and errors as
    in :func:`drafts_optimum`. Source: arXiv:2401.06706.
    """
    target, draft = distribution_pair(p, q)
    accepted, reached = 0.0, 1.0
    for _ in range(int(check("drafts", drafts))):
        accepted += reached * float(np.minimum(target, draft).sum())
        left = np.maximum(target - draft, 0.0)
        missing = float(left.sum())
        if missing == 0.0:
            break
        reached *= missing
        target = left / missing
    return min(1.0, accepted)


def recursive_rejection_distinct(p: ArrayLike, q: ArrayLike, *, drafts: int) -> float:
    """Acceptance of K drafts drawn without replacement and tried in turn, in [0, 1].

    After a rejection of x the target becomes norm((p - q)_+) and the draft norm(q without x).
    Exact over all orders of drafts, so V^(K-1) <= 1e5. Arguments and errors as in
    :func:`drafts_optimum`. Source: arXiv:2402.14160 and arXiv:2401.06706.
    """
    target, draft = distribution_pair(p, q)
    k = int(check("drafts", drafts))
    if (k - 1) * np.log(target.size) > np.log(1e5):
        raise ValueError(f"V^(K-1) must be in [1, 1e5], got {target.size}^{k - 1}")
    return min(1.0, _distinct(target, draft, k))


def _distinct(target: Floats, draft: Floats, drafts: int) -> float:
    shared = np.minimum(target, draft)
    accepted = float(shared.sum())
    left = np.maximum(target - draft, 0.0)
    missing = float(left.sum())
    if drafts == 1 or missing == 0.0:
        return accepted
    left = left / missing
    for x in np.flatnonzero(draft > shared):  # x drafted and rejected
        rest = np.where(np.arange(draft.size) == x, 0.0, draft)
        total = float(rest.sum())
        if total > 0.0:
            again = _distinct(left, rest / total, drafts - 1)
            accepted += float(draft[x] - shared[x]) * again
    return accepted


def kseq(p: ArrayLike, q: ArrayLike, *, drafts: int) -> tuple[float, float]:
    """(acceptance, rho) of K-SEQ at the least rho that keeps the output exact, rho in [1, K].

    Each draft in turn is kept with probability min(1, p/(rho q)); rho solves
    1 - (1 - beta)^K = rho beta with beta = sum min(q, p/rho). Arguments and errors as in
    :func:`drafts_optimum`. Source: arXiv:2310.15141.
    """
    target, draft = distribution_pair(p, q)
    k = check("drafts", drafts)

    def kept(rho: Floats) -> Floats:
        return np.asarray(np.minimum(draft, target / rho).sum().clip(max=1.0), np.float64)

    # 1 - (1 - beta)^K falls in rho and rho beta rises.
    _, rho = bisect(lambda rho: missed(kept(rho), k) <= rho * kept(rho), 1.0, float(k))
    return float(missed(kept(rho), k)), float(rho)
