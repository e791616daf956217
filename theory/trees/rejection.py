"""Verifiers in use for several drafts: recursive rejection, K-SEQ, and one path chosen greedily.

Recursive rejection tries the drafts in turn, each against the residual that the ones before it
left of the target:

    alpha = 1 - product of (1 - sum min(p_i, q)),   p_{i+1} = norm((p_i - q)_+)

K-SEQ keeps each draft with the same probability min(1, p/(rho q)), the least exact rho solving
1 - (1 - beta)^K = rho beta, beta = sum min(q, p/rho).

Block verification of one of several drafted paths, chosen greedily.

    Q_K(path) = (A + q)^K - A^K        A: draft's mass of the paths ranked below, q: its own

K paths are drafted independently. At each depth the paths that carry the highest ranked next token
stay, so that the path left is the largest of K in lexicographic order and the law above holds for
every prefix. The rank of a token is that of p/q after the prefix. Block verification then runs on
this one path with Q_K in the place of the draft's law, which keeps the output exact.

Assumes: paths independent, each sampled from q; one order of the tokens after each prefix.
Wrong when: p = q. One path is then accepted whole, and the choice among several only skews it.
Source: arXiv:2602.16961 for choosing a path greedily and verifying it as a block (its abstract);
the order by p/q, the law Q_K and the mean are derived here and tested by enumeration of all paths.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import ArrayLike, NDArray

from ..domain import Floats, bisect, check
from ..either import at_least_once, demand
from ..formula import Number, equation, symbolic
from .several import distribution_pair
from .verification import block_weight_step, distribution, markov_models, two_token_overlap


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
    short, over = np.maximum(p - q, 0.0), np.maximum(q - p, 0.0)
    later = short * at_least_once(q, k - 1.0) + over * at_least_once(1.0 - q, k - 1.0)
    return two_token_overlap(p, q) + later


@equation(r"\alpha_K", group="several drafts and verification", kept_mass=0.4, drafts=3)
def kseq_acceptance(kept_mass: Number, drafts: Number) -> Number:
    """Acceptance of K drafts that are each kept with probability min(1, p/(rho q)).

    Assumes: drafts drawn independently from q; beta taken at the least exact rho.
    Wrong when: rho is below the root of 1 - (1 - beta)^K = rho beta; the output is then biased.
    Source: arXiv:2310.15141.
    """
    return at_least_once(kept_mass, drafts)


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
    _, rho = bisect(lambda rho: at_least_once(kept(rho), k) <= rho * kept(rho), 1.0, float(k))
    return float(at_least_once(kept(rho), k)), float(rho)


@equation("Q_K", group="several drafts and verification", mass_below=0.5, draft_mass=0.2, drafts=3)
def chosen_path_mass(mass_below: Number, draft_mass: Number, drafts: Number) -> Number:
    """Probability that the highest ranked of K independent drafts starts with a given prefix.

    Assumes: drafts from one law; A + q <= 1; prefixes of equal length are ranked.
    Wrong when: the drafts are distinct by construction.
    Source: derived here as the law of a maximum, used for the greedy choice of arXiv:2602.16961.
    Returns: in [0, 1]; written as (A + q)^K (1 - e^(-K ln(1 + q / A))), which keeps the digits of a
    small q.
    """
    if symbolic(mass_below, draft_mass):
        return (mass_below + draft_mass) ** drafts - mass_below**drafts
    a, q, k = np.broadcast_arrays(mass_below, draft_mass, drafts)
    demand(a + q <= 1.0 + 1e-12, "mass_below + draft_mass must be in [0, 1]", a + q)
    with np.errstate(divide="ignore", invalid="ignore"):
        rise = np.where(q > 0.0, np.log1p(q / a), 0.0)
    share = -np.expm1(-k * rise)  # of the drafts at or below the prefix, those with one at it
    return np.minimum((a + q) ** k * share, 1.0)


def ranked_tokens(p: ArrayLike, q: ArrayLike) -> NDArray[np.int64]:
    """Tokens in rising order of p/q, (V,), those of q = 0 last; of equals the first comes first.

    p, q: distributions of target and draft, (V,). Raises ValueError otherwise.
    """
    target, draft = distribution("p", p), distribution("q", q)
    ratio = np.divide(target, draft, out=np.full(target.shape, np.inf), where=draft > 0.0)
    return np.asarray(np.argsort(ratio, kind="stable"))


def chosen_token_law(
    p: ArrayLike, q: ArrayLike, *, below: float, mass: float, drafts: int
) -> tuple[Floats, Floats]:
    """(law of the chosen path's next token, mass ranked below each prefix then), both (V,).

    p, q: next-token laws of target and draft after the prefix, (V,); below, mass: the draft's
    probability of the paths ranked below the prefix and of itself, > 0. Raises ValueError
    outside their ranges.
    """
    target, draft = distribution("p", p), distribution("q", q)
    order = ranked_tokens(target, draft)
    under = np.empty(draft.size)
    under[order] = below + mass * np.append(0.0, np.cumsum(draft[order])[:-1])
    room = np.minimum(under, 1.0)
    joint = np.asarray(chosen_path_mass(room, np.minimum(mass * draft, 1.0 - room), drafts))
    return joint / joint.sum(), under


def multipath_tokens(
    target: ArrayLike,
    draft: ArrayLike,
    gamma: int,
    *,
    drafts: int,
    target_start: ArrayLike,
    draft_start: ArrayLike,
) -> float:
    """Exact mean tokens per round, bonus token included, of the greedy choice among K paths.

    1 + sum over depths of E[h_i] under the chosen path's law. target, draft: next-token laws of
    Markov models by last token, (V, V); gamma: whole, V^gamma <= 1e5, since every path is
    enumerated; drafts: paths K, whole >= 1; target_start, draft_start: laws of the first token,
    (V,). K = 1 is block verification. Raises ValueError otherwise.
    """
    p, q, p0, q0 = markov_models(target, draft, target_start, draft_start)
    length = int(check("gamma", gamma, whole=True))
    paths = int(check("drafts", drafts, whole=True))
    if length * np.log(p0.size) > np.log(1e5):
        raise ValueError(f"V^gamma must be in [1, 1e5], got {p0.size}^{length}")

    def below(
        law: Floats, proposed: Floats, depth: int, under: float, mass: float, weight: float
    ) -> float:
        if depth == length:
            return 0.0
        chosen, unders = chosen_token_law(law, proposed, below=under, mass=mass, drafts=paths)
        steps = np.asarray(block_weight_step(weight, law, chosen))
        total = 0.0
        for i in np.flatnonzero((chosen > 0.0) & (steps > 0.0)):
            rest = below(p[i], q[i], depth + 1, unders[i], mass * proposed[i], float(steps[i]))
            total += float(chosen[i]) * (float(steps[i]) + rest)
        return total

    return 1.0 + below(p0, q0, 0, 0.0, 1.0, 1.0)
