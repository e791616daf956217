r"""Several draft tokens for one position: the most that any verifier can accept, and what some do.

    alpha*_K = min over sets S of tokens of  p(S) + 1 - q(S)^K      (K independent drafts)

The best set is a prefix of the tokens in rising order of p/q, so that sorting finds it. No exact
verifier exceeds alpha*_K: neither membership and Gumbel coupling here, nor those of `rejection`.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import ArrayLike

from ..domain import Floats, check
from ..either import at_least_once, smaller
from ..formula import Number, equation
from .verification import distribution


@equation(r"\alpha^*_K", group="several drafts and verification", target_mass=0.9, draft_mass=0.4,
          drafts=3)  # fmt: skip
def two_token_drafts_optimum(target_mass: Number, draft_mass: Number, drafts: Number) -> Number:
    """The most that K independent drafts can be accepted over a vocabulary of two tokens.

    Assumes: drafts drawn independently from q; the output has law p exactly.
    Wrong when: drafts are drawn without replacement or differ in law.
    Source: derived here by max-flow; the transport problem is posed in arXiv:2410.18234.
    """
    p, q, k = target_mass, draft_mass, drafts
    return smaller(1, p + at_least_once(1 - q, k), (1 - p) + at_least_once(q, k))


@equation("m(x)", group="several drafts and verification", target_mass=0.3, draft_mass=0.2,
          drafts=4)  # fmt: skip
def membership_share(target_mass: Number, draft_mass: Number, drafts: Number) -> Number:
    """One token's share in the acceptance of sampling the target and looking among K drafts.

    Assumes: drafts independent of each other and of the target's sample.
    Wrong when: the target's sample is coupled to the drafts, which accepts more.
    Source: derived here; summed over the tokens it is the acceptance.
    """
    return target_mass * at_least_once(draft_mass, drafts)


@equation(r"\alpha_G", group="several drafts and verification", alpha=0.8)
def coupling_floor(alpha: Number) -> Number:
    """The least that Gumbel coupling accepts when verification with rejection accepts alpha.

    Assumes: both models sample by the same exponential races.
    Wrong when: the draft's randomness is not shared with the target.
    Source: the form of the bound is that of arXiv:2408.07978; checked here numerically.
    """
    return alpha / (2 - alpha)


@equation(r"\alpha(x)", group="several drafts and verification", target_mass=0.2, draft_mass=0.1,
          hub_mass=0.4)  # fmt: skip
def hub_share(target_mass: Number, draft_mass: Number, hub_mass: Number) -> Number:
    """Accepted probability of a token x in pairs of drafts that all hold the likeliest, the hub.

    The pair is (x, hub) with x from the draft, and (hub, x) with x from the rest where the draft
    gives the hub itself, so that x is in the pair with probability q / (1 - q_hub). The hub takes
    what is left of every pair, up to its own p: summed over the tokens the acceptance is
    p_hub + sum of these shares, the most that any exact verifier accepts of such pairs.

    Assumes: two drafts a position, the hub the draft's likeliest token.
    Wrong when: the draft is certain of the hub (q_hub = 1); nothing else is then drafted.
    Source: arXiv:2411.05289 has the pairs and their linear program; the sum is derived here by
    letting the hub absorb what is left.
    """
    return smaller(target_mass, draft_mass / (1 - hub_mass))


def hub_acceptance(p: ArrayLike, q: ArrayLike) -> float:
    """Acceptance of SpecHub's pairs of drafts, p_hub + sum of min(p, q / (1 - q_hub)), in [0, 1].

    Arguments and errors as in :func:`drafts_optimum`; where the draft is certain of the hub it is
    p_hub. Source: arXiv:2411.05289; see the formula.
    """
    target, draft = distribution_pair(p, q)
    hub = int(draft.argmax())
    if draft[hub] >= 1.0:
        return float(target[hub])
    shares = np.asarray(hub_share(target, draft, draft[hub]))
    return float(min(1.0, target[hub] + np.delete(shares, hub).sum()))


def distribution_pair(p: ArrayLike, q: ArrayLike) -> tuple[Floats, Floats]:
    """p and q as distributions over one vocabulary, shape (V,), or ValueError."""
    target, draft = distribution("p", p), distribution("q", q)
    if target.ndim != 1 or target.shape != draft.shape:
        raise ValueError(f"p and q must have one shape (V,), got {target.shape} and {draft.shape}")
    return target, draft


def _ratio(target: Floats, draft: Floats) -> Floats:
    """p/q, inf where only the target has mass, 0 where neither has."""
    with np.errstate(divide="ignore", invalid="ignore", over="ignore"):
        return np.where(draft > 0.0, target / draft, np.where(target > 0.0, np.inf, 0.0))


def drafts_optimum(p: ArrayLike, q: ArrayLike, *, drafts: int) -> float:
    """alpha*_K: the most that any exact verifier accepts of K independent drafts, in [0, 1].

    p, q: distributions of target and draft, (V,); drafts: whole number >= 1. Raises ValueError
    otherwise. O(V log V); the sums run over positive terms on either side of the cut, so that a
    small acceptance keeps its digits. Source: derived here by max-flow (arXiv:2410.18234,
    arXiv:2502.18779 pose the problem).
    """
    target, draft = distribution_pair(p, q)
    k = check("drafts", drafts)
    order = np.argsort(_ratio(target, draft), kind="stable")
    inside = np.cumsum(target[order])
    outside = np.append(np.cumsum(draft[order][::-1])[::-1][1:], 0.0)
    return float(min(1.0, (inside + at_least_once(np.minimum(outside, 1.0), k)).min()))


def drafts_optimum_distinct(p: ArrayLike, q: ArrayLike, *, drafts: int) -> float:
    """The most that any exact verifier accepts of K drafts drawn without replacement, in [0, 1].

    As :func:`drafts_optimum` with q(S)^K replaced by the chance that all K drafts are in S. All
    sets are tried, for at most 16 tokens. Where fewer than K tokens have mass, all are drafted.
    Raises ValueError otherwise. Source: derived here by max-flow.
    """
    target, draft = distribution_pair(p, q)
    size = target.size
    if size > 16:
        raise ValueError(f"p must hold in [1, 16] tokens for all sets to be tried, got {size}")
    k = min(int(check("drafts", drafts)), int((draft > 0.0).sum()))
    chance = _drawn_sets(draft, k)
    masses = np.zeros(1)
    for x in range(size):  # p(S) over all sets S as bit masks, and sums over subsets of S
        masses = np.concatenate([masses, masses + target[x]])
        halves = chance.reshape(-1, 2, 1 << x)
        halves[:, 1] += halves[:, 0]
    return float(min(1.0, (masses + 1.0 - chance.ravel()).min()))


def _drawn_sets(draft: Floats, drafts: int) -> Floats:
    """Chance that the first ``drafts`` draws without replacement make each set (bit mask)."""
    size = draft.size
    chance = np.zeros(1 << size)
    chance[0] = 1.0
    for _ in range(drafts):
        grown = np.zeros_like(chance)
        for drawn in np.flatnonzero(chance):
            left = [x for x in range(size) if not drawn >> x & 1]
            total = draft[left].sum()
            for x in left:
                grown[drawn | 1 << x] += chance[drawn] * draft[x] / total
        chance = grown
    return chance


def membership(p: ArrayLike, q: ArrayLike, *, drafts: int) -> float:
    """Acceptance of sampling the target and looking for its token among K drafts, in [0, 1].

    sum of p (1 - (1 - q)^K). Arguments and errors as in :func:`drafts_optimum`.
    """
    target, draft = distribution_pair(p, q)
    return float(min(1.0, np.sum(membership_share(target, draft, drafts))))


def gumbel_coupling(p: ArrayLike, q: ArrayLike) -> float:
    """Chance that both models pick one token when they share exponential races, in [0, 1].

    sum over j of 1 / sum over i of max(p_i/p_j, q_i/q_j). Needs no knowledge of q to verify.
    p, q: distributions, (V,), else ValueError. O(V log V): in the order of p/q each inner sum is
    a tail of p and a head of q. Source: arXiv:2408.07978.
    """
    target, draft = distribution_pair(p, q)
    both = (target > 0.0) & (draft > 0.0)
    order = np.argsort(_ratio(target, draft), kind="stable")
    a, b, seen = target[order], draft[order], both[order]
    tail = np.cumsum(a[::-1])[::-1]
    head = np.cumsum(b) - b
    with np.errstate(divide="ignore", invalid="ignore", over="ignore"):
        terms = np.where(seen, 1.0 / (tail / a + head / b), 0.0)
    return float(min(1.0, terms.sum()))
