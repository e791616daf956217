r"""Block verification of one of several drafted paths, chosen greedily.

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

from ..domain import Floats, check
from ..formula import Number, equation, symbolic
from .verification import block_weight_step, distribution, markov_models


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
    a, q = mass_below, draft_mass
    k = drafts
    a, q, k = np.broadcast_arrays(a, q, k)
    if (a + q > 1.0 + 1e-12).any():
        raise ValueError(
            f"mass_below + draft_mass must be in [0, 1], got {float((a + q).max()):.12g}"
        )
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
