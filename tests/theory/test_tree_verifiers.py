"""Traversal and greedy multi-path verification against the enumeration of all drafts."""

from __future__ import annotations

import itertools

import mpmath
import numpy as np
import pytest
from exact import at_digits, probabilities, relative_error
from howspec.theory.trees import drafts_optimum, recursive_rejection, rejection, several
from howspec.theory.trees.block import (
    block_gain,
    block_next_token,
    block_stop_law,
    traversal_endings,
    traversal_gain,
)
from howspec.theory.trees.verification import overlap
from hypothesis import given
from hypothesis import strategies as st

V = 2


def rows(rng: np.random.Generator, size: int = V) -> np.ndarray:
    """A Markov model: the first token's law, then the next one's by last token."""
    return rng.dirichlet(np.full(size, 0.8), size + 1)


def chance(model: np.ndarray, text: tuple[int, ...]) -> float:
    laws = [model[0], *(model[1 + x] for x in text)]
    return float(np.prod([laws[i][x] for i, x in enumerate(text)]))


def starts(p: np.ndarray, q: np.ndarray) -> dict[str, np.ndarray]:
    return {"target_start": p[0], "draft_start": q[0]}


# Parents in order, then the widths of the complete tree they make.
TREES = [([-1, 0], [1, 1]), ([-1, -1], [2]), ([-1, 0, 0, -1, 3, 3], [2, 2]), ([-1, 0, 0], [1, 2])]


@pytest.mark.parametrize(("parents", "widths"), TREES)
@pytest.mark.parametrize("seed", range(3))
def test_a_traversed_tree_emits_the_targets_law_and_its_mean_is_exact(
    parents: list[int], widths: list[int], seed: int
) -> None:
    rng = np.random.default_rng(seed)
    p, q = rows(rng), rows(rng)
    depth = len(widths)
    output = dict.fromkeys(itertools.product(range(V), repeat=depth + 1), 0.0)
    accepted = 0.0
    for tokens in itertools.product(range(V), repeat=len(parents)):
        texts: list[tuple[int, ...]] = []
        drafted = 1.0
        for token, parent in zip(tokens, parents, strict=True):
            before = texts[parent] if parent >= 0 else ()
            drafted *= q[1 + before[-1] if before else 0][token]
            texts.append((*before, token))
        at = [0, *(1 + x for x in tokens)]
        ends = traversal_endings(p[at], q[at], tokens, parents=parents)
        assert sum(e.probability for e in ends) == pytest.approx(1.0, abs=1e-13)
        for end in ends:
            path = texts[end.node] if end.node >= 0 else ()
            accepted += drafted * end.probability * len(path)
            for text in output:
                if text[: len(path)] == path:
                    rest = chance(p, text) / chance(p, text[: len(path) + 1])
                    output[text] += drafted * end.probability * end.law[text[len(path)]] * rest
    for text, mass in output.items():
        assert mass == pytest.approx(chance(p, text), abs=1e-13)
    gain = traversal_gain(p[1:], q[1:], widths, **starts(p, q))
    assert gain.block == pytest.approx(1.0 + accepted, rel=1e-12)


@pytest.mark.parametrize("seed", range(5))
def test_traversal_is_block_verification_on_a_chain_and_recursive_rejection_on_siblings(
    seed: int,
) -> None:
    rng = np.random.default_rng(seed)
    p, q = rows(rng, 3), rows(rng, 3)
    chain = traversal_gain(p[1:], q[1:], [1, 1, 1], **starts(p, q))
    block = block_gain(p[1:], q[1:], 3, **starts(p, q))
    assert chain.block == pytest.approx(block.block, rel=1e-12)
    assert chain.token == pytest.approx(block.token, rel=1e-12)
    flat = traversal_gain(p[1:], q[1:], [3], **starts(p, q))
    assert flat.block == pytest.approx(1.0 + recursive_rejection(p[0], q[0], drafts=3), rel=1e-12)
    assert flat.token == pytest.approx(flat.block, rel=1e-12)
    tree = traversal_gain(p[1:], q[1:], [2, 2], **starts(p, q))
    assert tree.block >= tree.token - 1e-12


@pytest.mark.parametrize("drafts", [1, 2, 3])
@pytest.mark.parametrize("seed", range(3))
def test_the_chosen_path_emits_the_targets_law_and_its_mean_is_exact(
    drafts: int, seed: int
) -> None:
    rng = np.random.default_rng(seed)
    p, q, gamma = rows(rng), rows(rng), 2
    paths = list(itertools.product(range(V), repeat=gamma))
    weight = dict.fromkeys(paths, 0.0)
    for drawn in itertools.product(paths, repeat=drafts):
        left = list(drawn)
        for i in range(gamma):
            before = 1 + left[0][i - 1] if i else 0
            rank = np.argsort(rejection.ranked_tokens(p[before], q[before]))
            best = max(left, key=lambda path, i=i, rank=rank: rank[path[i]])[i]  # type: ignore[misc]
            left = [path for path in left if path[i] == best]
        weight[left[0]] += float(np.prod([chance(q, path) for path in drawn]))
    output = dict.fromkeys(itertools.product(range(V), repeat=gamma + 1), 0.0)
    accepted = 0.0
    for path, chosen in weight.items():
        laws, under, mass, joint = [], 0.0, 1.0, 1.0
        for i, x in enumerate(path):
            at = 1 + path[i - 1] if i else 0
            law, unders = rejection.chosen_token_law(
                p[at], q[at], below=under, mass=mass, drafts=drafts
            )
            under, mass, joint = unders[x], mass * q[at][x], joint * law[x]
            laws.append(law)
        assert joint == pytest.approx(chosen, abs=1e-14)
        target = p[[0, *(1 + x for x in path)]]
        for tau, stop in enumerate(block_stop_law(target, laws, path)):
            accepted += chosen * stop * tau
            following = block_next_token(target, laws, path, accepted=tau)
            for text in output:
                if text[:tau] == path[:tau]:
                    rest = chance(p, text) / chance(p, text[: tau + 1])
                    output[text] += chosen * stop * following[text[tau]] * rest
    for text, mass in output.items():
        assert mass == pytest.approx(chance(p, text), abs=1e-13)
    got = rejection.multipath_tokens(p[1:], q[1:], gamma, drafts=drafts, **starts(p, q))
    assert got == pytest.approx(1.0 + accepted, rel=1e-12)


@pytest.mark.parametrize("seed", range(8))
def test_one_chosen_draft_never_beats_the_best_transport_and_can_lose_to_one_path(
    seed: int,
) -> None:
    rng = np.random.default_rng(seed)
    p, q = rows(rng, 4), rows(rng, 4)
    for drafts in (1, 2, 4):
        got = rejection.multipath_tokens(p[1:], q[1:], 1, drafts=drafts, **starts(p, q)) - 1.0
        assert got <= drafts_optimum(p[0], q[0], drafts=drafts) + 1e-12
    one = rejection.multipath_tokens(p[1:], q[1:], 3, drafts=1, **starts(p, q))
    assert one == pytest.approx(block_gain(p[1:], q[1:], 3, **starts(p, q)).block, rel=1e-12)
    same = rejection.multipath_tokens(p[1:], p[1:], 2, drafts=2, **starts(p, p))
    assert overlap(p[0], p[0]) == pytest.approx(1.0)
    assert same < 3.0 - 1e-3


@pytest.mark.parametrize(("below", "mass", "drafts"), [(0.5, 0.2, 3), (0.3, 1e-9, 8), (0, 0.4, 2)])
def test_the_mass_of_the_chosen_prefix_is_the_law_of_a_maximum(
    below: float, mass: float, drafts: int
) -> None:
    point = {"mass_below": below, "draft_mass": mass, "drafts": drafts}
    exact = at_digits(rejection.chosen_path_mass, **point)
    assert relative_error(rejection.chosen_path_mass(**point), exact) < 1e-14


@given(probabilities(), probabilities(), st.integers(1, 60))
def test_kseq_and_membership_terms_equal_tests_one_by_one(
    beta: float, p: float, drafts: int
) -> None:
    with mpmath.workdps(400):
        accepted, reached = mpmath.mpf(0), mpmath.mpf(1)
        for _ in range(drafts):
            accepted += reached * mpmath.mpf(beta)
            reached *= 1 - mpmath.mpf(beta)
        assert relative_error(rejection.kseq_acceptance(beta, drafts), accepted) < 1e-14
        share = mpmath.mpf(p) * accepted
        assert relative_error(several.membership_share(p, beta, drafts), share) < 1e-14
