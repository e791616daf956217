"""The exact law of one round, by enumeration of every draft: for tiny vocabularies.

Written from the definitions of the rules with whole distributions, sharing nothing with the
kernels, so that it can judge both the rules and the simulation. A law is a dictionary from the
outcome (emitted tokens, drafts accepted) to its probability; probabilities of equal outcomes add.
The work grows as V^(drafts of a node) and V^gamma.
"""

from __future__ import annotations

from itertools import product
from typing import Any, TypeAlias

import numpy as np
from howspec.sim.verify.pairs import Pair
from howspec.sim.verify.rules import Rule, checked_tree
from howspec.sim.verify.simulated import Law, accepted_mean, add, block_law
from howspec.theory.domain import Floats
from howspec.theory.trees.rejection import kseq
from howspec.theory.trees.verification import residual
from numpy.typing import ArrayLike

__all__ = [
    "Law", "accepted_mean", "block_law", "emitted_law", "path_probability", "random_pair",
    "token_law", "tree_law",
]  # fmt: skip

# (index of the accepted child or -1, token emitted) -> probability
Step: TypeAlias = dict[tuple[int, int], float]


def random_pair(
    rng: np.random.Generator, size: int, *, concentration: float = 1.0, markov: bool = False
) -> Pair:
    """Target and draft drawn from a symmetric Dirichlet law, a row a previous token with markov."""
    rows = size if markov else None
    target, draft = (rng.dirichlet(np.full(size, concentration), rows) for _ in range(2))
    return Pair(target, draft)


def token_law(pair: Pair, *, gamma: int, start: int = 0) -> Law:
    """Law of a round of token verification after the token start."""
    p, q = pair.after(start)
    if gamma == 0:
        return {((x,), 0): float(m) for x, m in enumerate(p) if m > 0.0}
    law: Law = {}
    keep = np.minimum(p, q)
    for x in np.flatnonzero(keep):
        for (tokens, accepted), m in token_law(pair, gamma=gamma - 1, start=int(x)).items():
            add(law, (int(x), *tokens), accepted + 1, float(keep[x]) * m)
    for y, m in enumerate(residual(p, q).tolist()):
        add(law, (y,), 0, (1.0 - float(keep.sum())) * m)
    return law


def tree_law(pair: Pair, *, parents: ArrayLike, rule: Rule, start: int = 0) -> Law:
    """Law of a round on a static draft tree after the token start."""
    nodes = checked_tree(parents)
    return _node_law(pair, [np.flatnonzero(nodes == v) for v in range(nodes.size)], 0, rule, start)


def _node_law(pair: Pair, children: list[Any], node: int, rule: Rule, context: int) -> Law:
    p, q = pair.after(context)
    if children[node].size == 0:
        return {((x,), 0): float(m) for x, m in enumerate(p) if m > 0.0}
    law: Law = {}
    for (index, x), chance in sibling_law(p, q, drafts=children[node].size, rule=rule).items():
        if index < 0:
            add(law, (x,), 0, chance)
            continue
        below = _node_law(pair, children, int(children[node][index]), rule, x)
        for (tokens, accepted), m in below.items():
            add(law, (x, *tokens), accepted + 1, chance * m)
    return law


def sibling_law(target: Floats, draft: Floats, *, drafts: int, rule: Rule) -> Step:
    """Law of (index of the accepted draft or -1, token emitted) at one position."""
    if rule == "naive":
        return _naive_law(target, draft, drafts)
    if rule == "top":
        likely = sorted(np.flatnonzero(draft).tolist(), key=lambda x: -draft[x])[:drafts]
        place = {x: index for index, x in enumerate(likely)}
        return {(place.get(x, -1), x): float(m) for x, m in enumerate(target) if m > 0.0}
    if rule == "k_seq":
        return _k_seq_law(target, draft, drafts)
    return _recursive_law(target, draft, drafts, 0, rule == "recursive_distinct")


def _recursive_law(p: Floats, q: Floats, drafts: int, index: int, distinct: bool) -> Step:
    """Draft one token, verify it against p, and go on with the residual and the draft left."""
    step: Step = {}
    if index == drafts or q.sum() == 0.0:
        for y, m in enumerate(p):
            _gain(step, (-1, y), float(m))
        return step
    for x in np.flatnonzero(q):
        keep = min(1.0, float(p[x] / q[x]))
        _gain(step, (index, int(x)), float(q[x]) * keep)
        if keep == 1.0:
            continue
        left = q.copy()
        if distinct:
            left[x] = 0.0
            left /= left.sum() if left.any() else 1.0
        rest = _recursive_law(residual(p, q), left, drafts, index + 1, distinct)
        for outcome, m in rest.items():
            _gain(step, outcome, float(q[x]) * (1.0 - keep) * m)
    return step


def _k_seq_law(p: Floats, q: Floats, drafts: int) -> Step:
    rho = kseq(p, q, drafts=drafts)[1]
    with np.errstate(divide="ignore", invalid="ignore"):
        keep = np.where(q > 0.0, np.minimum(1.0, p / (rho * q)), 0.0)
    beta = float((q * keep).sum())
    reject_all = (1.0 - beta) ** drafts
    step: Step = {}
    for index, x in product(range(drafts), range(p.size)):
        _gain(step, (index, x), (1.0 - beta) ** index * float(q[x] * keep[x]))
    # What the accepted tokens have not yet given of p; its sum is reject_all.
    rest = np.maximum(p - q * keep * (1.0 - reject_all) / beta if beta > 0.0 else p, 0.0)
    for y, m in enumerate(rest / rest.sum() if rest.any() else p):
        _gain(step, (-1, y), reject_all * float(m))
    return step


def _naive_law(p: Floats, q: Floats, drafts: int) -> Step:
    step: Step = {}
    for y in range(p.size):
        for index in range(drafts):
            _gain(step, (index, y), float(p[y] * (1.0 - q[y]) ** index * q[y]))
        _gain(step, (-1, y), float(p[y] * (1.0 - q[y]) ** drafts))
    return step


def emitted_law(pair: Pair, law: Law, *, length: int, start: int = 0) -> dict[Any, float]:
    """Law of the first tokens when the round is followed by the target's own sampling.

    A lossless rule makes this the target's law of `length` tokens after start, and then, by
    repeating the argument round after round, the law of the whole stream.
    """
    found: dict[Any, float] = {}
    for (tokens, _), chance in law.items():
        head = tokens[:length]
        for tail in product(range(pair.vocabulary), repeat=length - len(head)):
            path = head + tail
            m = chance * path_probability(pair, path, start=start, skip=len(head))
            found[path] = found.get(path, 0.0) + m
    return found


def path_probability(pair: Pair, path: tuple[int, ...], *, start: int = 0, skip: int = 0) -> float:
    """Probability that the target emits the path after start, given its first `skip` tokens."""
    chance, last = 1.0, start
    for i, x in enumerate(path):
        chance *= float(pair.after(last)[0][x]) if i >= skip else 1.0
        last = x
    return chance


def _gain(step: Step, outcome: tuple[int, int], chance: float) -> None:
    if chance > 0.0:
        step[outcome] = step.get(outcome, 0.0) + chance
