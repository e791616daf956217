"""A rule of verification of `howspec simulate`: rounds on explicit distributions, and their law.

The target is Zipf's law over a vocabulary, the draft its logits with noise that leaves the overlap
which was asked for; positions are alike and independent.
"""

from __future__ import annotations

from itertools import product
from typing import TYPE_CHECKING, Any, TypeAlias

import numpy as np

from ...theory import tokens_per_round
from ...theory.trees.rejection import kseq, recursive_rejection, recursive_rejection_distinct
from ...theory.trees.several import membership
from ...theory.trees.verification import sampled_from
from .law import Rounds, token_test
from .pairs import Pair, perturbed_logits, zipf
from .rules import CHAINS, RULES, chain_rounds, complete_tree, tree_rounds

if TYPE_CHECKING:
    from ...theory import AcceptanceLaw, CostLaw

VOCABULARY = 1000
_NODES = 20_000  # of a tree
_ENUMERATED = 5_000  # blocks whose law is summed up one by one
_SETS = 12  # tokens of a vocabulary whose sets are summed up one by one
# (emitted tokens, drafts accepted) -> probability
Law: TypeAlias = dict[tuple[tuple[int, ...], int], float]


def rule_rounds(
    rng: np.random.Generator,
    rule: str,
    law: AcceptanceLaw,
    cost: CostLaw,
    *,
    gamma: int,
    width: int | None,
    vocabulary: int | None,
    rounds: int,
    batch: int,
) -> dict[str, Any]:
    """Tokens a round and speed-up of a rule, beside token verification and the rule's own law.

    law: acceptance at one rate, the overlap of target and draft; width: drafts at each position, of
    the rules that take several (2); gamma: positions drafted. p_value: of the test that all emitted
    tokens have the target's law; expected_tokens_per_round: by theory, None where nothing short of
    sampling gives it. Raises ValueError for a rule that is not known and numbers out of range.
    """
    if rule not in (*CHAINS, *RULES):
        raise ValueError(f"rule must be one of {', '.join((*CHAINS, *RULES))}, got {rule!r}")
    if rule in CHAINS and width is not None:
        raise ValueError(f"width goes with rules of several drafts, got {width} with {rule}")
    size = VOCABULARY if vocabulary is None else vocabulary
    if not 2 <= size <= 100_000:
        raise ValueError(f"vocabulary must be an integer in [2, 100000], got {size}")
    if gamma < 1:
        raise ValueError(f"gamma must be a whole number >= 1 with a rule, got {gamma}")
    alpha = _rate(law)
    wide = 1 if rule in CHAINS else 2 if width is None else width
    if wide < 1 or sum(wide**k for k in range(gamma + 1)) > _NODES:
        raise ValueError(f"width must be >= 1 and its tree of depth {gamma} of at most {_NODES} "
                         f"nodes, got {wide}")  # fmt: skip
    logits = np.log(zipf(size))
    noisy = perturbed_logits(rng, logits, total_variation=1.0 - alpha)
    pair = Pair(sampled_from(logits), sampled_from(noisy))
    found = _run(rng, rule, pair, gamma, wide, rounds)
    times = cost.round_time(gamma, batch=batch)
    ratio = float(times[0] / times[gamma])
    mean, single = found.tokens_per_round, float(tokens_per_round(alpha, gamma))
    several = "siblings are drafted and verified at no cost here: costs are those of one path"
    return {
        "tokens_per_round": {"mean": mean.mean, "se": mean.se},
        "speedup": {"mean": mean.mean * ratio, "se": mean.se * ratio},
        "rule": rule, "width": wide, "vocabulary": size, "alpha": alpha,
        "expected_tokens_per_round": _expected(rule, pair, alpha, gamma, wide),
        "token_verification_tokens_per_round": single,
        "alpha_by_position": [e.mean if e.n else None for e in found.position_acceptance()],
        "p_value": token_test(found, pair).p_value,
        "tokens": int(found.tokens.size),
        "rounds": rounds,
        "notes": [several] if wide > 1 else [],
    }  # fmt: skip


def _rate(law: AcceptanceLaw) -> float:
    kept = law.survival(3)
    alpha = float(kept[1])
    if not np.allclose(kept, alpha ** np.arange(4.0), rtol=1e-9, atol=0.0):
        raise ValueError("a rule is simulated at one rate: acceptance must be a number in (0, 1)")
    if not 0.0 < alpha < 1.0:
        raise ValueError(f"acceptance must be in (0, 1) with a rule, got {alpha:g}")
    return alpha


def _run(
    rng: np.random.Generator, rule: str, pair: Pair, gamma: int, width: int, rounds: int
) -> Rounds:
    for chain in CHAINS:
        if rule == chain:
            return chain_rounds(rng, pair, gamma=gamma, rounds=rounds, rule=chain)
    several = next(r for r in RULES if r == rule)
    return tree_rounds(rng, pair, parents=complete_tree(width, gamma), rounds=rounds, rule=several)


def _expected(rule: str, pair: Pair, alpha: float, gamma: int, width: int) -> float | None:
    """Mean tokens a round by theory; positions are alike, so one position's acceptance decides."""
    p, q = pair.target, pair.draft
    kept: float | None = None
    match rule:
        case "token":
            kept = alpha
        case "block" if pair.vocabulary**gamma <= _ENUMERATED:
            return 1.0 + accepted_mean(block_law(pair, gamma=gamma))
        case "naive":
            kept = membership(p, q, drafts=width)
        case "top":
            kept = float(p[np.argsort(-q, kind="stable")[:width]].sum())
        case "k_seq":
            kept = kseq(p, q, drafts=width)[0]
        case "recursive":
            kept = recursive_rejection(p, q, drafts=width)
        case "recursive_distinct" if width < pair.vocabulary <= _SETS:
            kept = recursive_rejection_distinct(p, q, drafts=width)
    return None if kept is None else float(tokens_per_round(kept, gamma))


def block_law(pair: Pair, *, gamma: int, start: int = 0) -> Law:
    """Law of a round of block verification after the token start, by enumeration of every draft.

    Written from the definition with whole distributions, sharing nothing with the kernels; the work
    grows as V^gamma.
    """
    law: Law = {}
    for block in product(range(pair.vocabulary), repeat=gamma):
        chance, weights, passing = _block_tests(pair, block, start)
        if chance == 0.0:
            continue
        later = 1.0  # no later position passes
        for i in range(gamma, -1, -1):
            last = block[i - 1] if i else start
            p, q = pair.after(last)
            stop = later * passing[i]
            later *= 1.0 - passing[i]
            excess = np.maximum(weights[i] * p - q, 0.0)
            end = excess / excess.sum() if i < gamma and excess.sum() > 0.0 else p
            for x, m in enumerate(end):
                add(law, (*block[:i], x), i, chance * stop * float(m))
    return law


def _block_tests(
    pair: Pair, block: tuple[int, ...], start: int
) -> tuple[float, list[float], list[float]]:
    """P(block drafted), the weights h_0..h_gamma and the chances that each position passes."""
    chance, weights, last = 1.0, [1.0], start
    passing = [1.0]
    for i, x in enumerate(block):
        p, q = pair.after(last)
        chance *= float(q[x])
        if chance == 0.0:
            break
        weights.append(min(1.0, weights[-1] * float(p[x] / q[x])))
        p, q = pair.after(x)
        s = float(np.maximum(weights[-1] * p - q, 0.0).sum())
        if i + 1 == len(block):
            passing.append(weights[-1])
        else:
            spread = s + 1.0 - weights[-1]
            passing.append(s / spread if spread > 0.0 else 1.0)
        last = x
    return chance, weights, passing


def accepted_mean(law: Law) -> float:
    """Mean of the accepted drafts of a law."""
    return sum(accepted * m for (_, accepted), m in law.items())


def add(law: Law, tokens: tuple[int, ...], accepted: int, chance: float) -> None:
    """Add the probability of an outcome to a law."""
    if chance > 0.0:
        law[tokens, accepted] = law.get((tokens, accepted), 0.0) + chance
