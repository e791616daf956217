"""The rules themselves: exact enumeration on tiny vocabularies, against the target's law."""

from __future__ import annotations

from itertools import combinations, product
from typing import Any

import numpy as np
import pytest
import round_laws
from howspec.sim.verify.kernels import alias_tables, excess
from howspec.sim.verify.pairs import Pair, k_seq_constants, perturbed_logits, prepare, zipf
from howspec.sim.verify.rules import RULES, Rule, complete_tree
from howspec.theory.limits.rejections import total_variation
from howspec.theory.trees.verification import sampled_from
from hypothesis import assume, given, settings
from hypothesis import strategies as st

LOPSIDED = np.array([-1, 0, 0, 1, 1, 2])  # two children, the first with two, the second with one


@st.composite
def weights(draw: Any, size: int) -> Any:
    """A distribution with ties and zeros."""
    values = draw(st.lists(st.integers(0, 12), min_size=size, max_size=size))
    assume(sum(values) > 0)
    return np.array(values) / sum(values)


@st.composite
def models(draw: Any, size: int = 3) -> Pair:
    """A Markov pair, or one for independent positions."""
    if draw(st.booleans()):
        return Pair(draw(weights(size)), draw(weights(size)))
    rows = [[draw(weights(size)) for _ in range(size)] for _ in range(2)]
    return Pair(np.array(rows[0]), np.array(rows[1]))


def assert_lossless(pair: Pair, law: round_laws.Law, *, length: int, start: int = 0) -> None:
    assert sum(law.values()) == pytest.approx(1.0, abs=1e-13)
    found = round_laws.emitted_law(pair, law, length=length, start=start)
    for path in product(range(pair.vocabulary), repeat=length):
        wanted = round_laws.path_probability(pair, path, start=start)
        assert abs(found.get(path, 0.0) - wanted) < 1e-13, path


@given(models(), st.integers(0, 3), st.integers(0, 2))
@settings(max_examples=25)
def test_token_verification_emits_the_law_of_the_target(pair: Pair, gamma: int, start: int) -> None:
    law = round_laws.token_law(pair, gamma=gamma, start=start)
    assert_lossless(pair, law, length=gamma + 1, start=start)


@given(models(), st.integers(0, 3), st.integers(0, 2))
@settings(max_examples=25)
def test_block_verification_emits_the_law_of_the_target(pair: Pair, gamma: int, start: int) -> None:
    law = round_laws.block_law(pair, gamma=gamma, start=start)
    assert_lossless(pair, law, length=gamma + 1, start=start)


@pytest.mark.parametrize("rule", RULES)
@given(models(), st.integers(0, 2))
@settings(max_examples=12)
def test_a_draft_tree_emits_the_law_of_the_target(rule: Rule, pair: Pair, start: int) -> None:
    law = round_laws.tree_law(pair, parents=LOPSIDED, rule=rule, start=start)
    assert_lossless(pair, law, length=3, start=start)


@pytest.mark.parametrize("rule", RULES)
@given(weights(4), weights(4), st.integers(1, 3))
@settings(max_examples=25)
def test_several_drafts_of_a_position_emit_the_law_of_the_target(
    rule: Rule, p: Any, q: Any, drafts: int
) -> None:
    emitted = np.zeros(4)
    for (_, token), chance in round_laws.sibling_law(p, q, drafts=drafts, rule=rule).items():
        emitted[token] += chance
    assert abs(emitted - p).max() < 1e-13


def accepted_share(p: Any, q: Any, drafts: int, rule: Rule) -> float:
    law = round_laws.sibling_law(p, q, drafts=drafts, rule=rule)
    return sum(chance for (index, _), chance in law.items() if index >= 0)


def optimum(p: Any, q: Any, drafts: int) -> float:
    """The best that independent drafts allow: min over sets S of p(S) + 1 - q(S)^K."""
    sets = [list(s) for n in range(p.size + 1) for s in combinations(range(p.size), n)]
    return float(min(p[s].sum() + 1.0 - q[s].sum() ** drafts for s in sets))


@given(weights(4), weights(4), st.integers(1, 3))
def test_multi_draft_rules_are_ordered_naive_recursive_k_seq_optimum(
    p: Any, q: Any, drafts: int
) -> None:
    naive, recursive, distinct, k_seq = (
        accepted_share(p, q, drafts, r)
        for r in ("naive", "recursive", "recursive_distinct", "k_seq")
    )
    assert naive <= recursive + 1e-13
    assert recursive <= k_seq + 1e-13
    assert k_seq <= optimum(p, q, drafts) + 1e-13
    assert k_seq >= (1.0 - np.exp(-1.0)) * optimum(p, q, drafts) - 1e-13
    assert recursive <= distinct + 1e-13
    if drafts == 1:
        best = float(np.minimum(p, q).sum())
        assert [recursive, distinct, k_seq] == pytest.approx([best] * 3, abs=1e-13)


def test_neither_k_seq_nor_drafting_without_replacement_dominates_the_other() -> None:
    rng = np.random.default_rng(11)
    gaps = []
    for _ in range(200):
        p, q = rng.dirichlet(np.ones(3)), rng.dirichlet(np.full(3, 0.5))
        gaps.append(
            accepted_share(p, q, 2, "k_seq") - accepted_share(p, q, 2, "recursive_distinct")
        )
    assert min(gaps) < -1e-3
    assert max(gaps) > 1e-3


@given(models(), st.integers(1, 3), st.integers(0, 2))
@settings(max_examples=40)
def test_block_verification_survives_with_the_weight_of_the_block(
    pair: Pair, gamma: int, start: int
) -> None:
    law = round_laws.block_law(pair, gamma=gamma, start=start)
    token = round_laws.token_law(pair, gamma=gamma, start=start)
    wanted = 0.0  # sum over i of E[h_i], h_i = min(1, h_{i-1} p/q)
    for length in range(1, gamma + 1):
        for path in product(range(pair.vocabulary), repeat=length):
            chance, h, last = 1.0, 1.0, start
            for x in path:
                p = pair.target[last] if pair.markov else pair.target
                q = pair.draft[last] if pair.markov else pair.draft
                chance *= float(q[x])
                h = min(1.0, h * float(p[x] / q[x])) if q[x] > 0.0 else 0.0
                last = x
            wanted += chance * h
    assert round_laws.accepted_mean(law) == pytest.approx(wanted, abs=1e-13)
    assert round_laws.accepted_mean(law) >= round_laws.accepted_mean(token) - 1e-13
    if gamma == 1:
        assert law.keys() == token.keys()
        assert all(abs(law[k] - token[k]) < 1e-13 for k in law)


def test_block_verification_of_two_tokens_reproduces_the_worked_example() -> None:
    pair = Pair(np.array([1 / 3, 2 / 3]), np.array([2 / 3, 1 / 3]))
    token = round_laws.token_law(pair, gamma=2)
    block = round_laws.block_law(pair, gamma=2)
    assert round_laws.accepted_mean(token) == pytest.approx(10 / 9, abs=1e-14)
    assert round_laws.accepted_mean(block) == pytest.approx(11 / 9, abs=1e-14)


@given(models(), st.integers(0, 3))
@settings(max_examples=15)
def test_a_tree_of_width_one_is_token_verification(pair: Pair, gamma: int) -> None:
    token = round_laws.token_law(pair, gamma=gamma)
    for rule in ("recursive", "recursive_distinct", "k_seq"):
        tree = round_laws.tree_law(pair, parents=complete_tree(1, gamma), rule=rule)
        for outcome in token.keys() | tree.keys():
            assert token.get(outcome, 0.0) == pytest.approx(tree.get(outcome, 0.0), abs=1e-13)


@given(weights(4), weights(4))
@settings(max_examples=40)
def test_a_greedy_draft_is_accepted_with_the_targets_probability_of_its_argmax(
    p: Any, q: Any
) -> None:
    pair = Pair(p, np.eye(4)[q.argmax()])
    mean = round_laws.accepted_mean(round_laws.token_law(pair, gamma=1))
    assert mean == pytest.approx(p[q.argmax()], abs=1e-14)
    block = round_laws.accepted_mean(round_laws.block_law(pair, gamma=3))
    token = round_laws.accepted_mean(round_laws.token_law(pair, gamma=3))
    assert block == pytest.approx(token, abs=1e-13)


def test_the_greedy_tree_keeps_the_mass_of_its_most_likely_tokens_and_is_best_or_worst() -> None:
    q = np.array([0.5, 0.3, 0.2])
    for p, place in ((np.array([0.7, 0.3, 0.0]), max), (np.array([0.05, 0.05, 0.9]), min)):
        kept = {rule: accepted_share(p, q, 2, rule) for rule in RULES}
        assert kept["top"] == pytest.approx(p[0] + p[1], abs=1e-15)
        assert place(kept, key=kept.__getitem__) == "top"


def test_verifying_a_greedy_draft_against_the_softmax_of_the_draft_is_not_lossless() -> None:
    p, q = np.array([0.5, 0.3, 0.2]), np.array([0.6, 0.3, 0.1])
    x = int(q.argmax())
    keep = min(1.0, p[x] / q[x])
    rest = np.maximum(p - q, 0.0)
    emitted = keep * np.eye(3)[x] + (1.0 - keep) * rest / rest.sum()
    assert 0.5 * abs(emitted - p).sum() > 0.3


@given(weights(4), weights(4), st.floats(0.05, 20.0))
def test_the_excess_by_binary_search_is_the_sum_of_positive_parts(p: Any, q: Any, c: float) -> None:
    tables = prepare(Pair(p, q))
    assert excess(tables, 0, c) == pytest.approx(np.maximum(p - c * q, 0.0).sum(), abs=1e-14)


@given(weights(4), weights(4), st.integers(1, 8))
def test_the_k_seq_constant_is_the_smallest_that_leaves_a_residual(
    p: Any, q: Any, drafts: int
) -> None:
    rho = float(k_seq_constants(prepare(Pair(p, q)), drafts)[0])
    beta = np.minimum(q, p / rho).sum()
    assert 1.0 <= rho <= drafts
    assert 1.0 - (1.0 - beta) ** drafts <= rho * beta + 1e-14
    slack = np.minimum(q, p / (0.999 * rho)).sum()
    assume(beta > 0.0 and 0.999 * rho >= 1.0)
    if 1.0 - rho * beta > 1e-9:  # where rejection is possible rho is determined
        assert 1.0 - (1.0 - slack) ** drafts > 0.999 * rho * slack


@pytest.mark.parametrize("vocabulary", [2, 7, 300])
def test_alias_tables_hold_the_distribution_and_never_an_impossible_token(vocabulary: int) -> None:
    rng = np.random.default_rng(vocabulary)
    rows = rng.dirichlet(np.full(vocabulary, 0.3), 300)
    rows[rows < 1e-4] = 0.0
    rows /= rows.sum(axis=1, keepdims=True)
    keep, alias = np.empty_like(rows), np.empty(rows.shape, np.int32)
    alias_tables(rows, keep, alias)
    law = keep / vocabulary
    for row, given_up in enumerate(1.0 - keep):
        np.add.at(law[row], alias[row], given_up / vocabulary)
    assert abs(law - rows).max() < 1e-13
    assert (law[rows == 0.0] == 0.0).all()


def test_a_complete_tree_numbers_its_levels_in_turn() -> None:
    assert complete_tree(2, 2).tolist() == [-1, 0, 0, 1, 1, 2, 2]
    assert complete_tree(1, 3).tolist() == [-1, 0, 1, 2]


# --- pairs of distributions --------------------------------------------------------------------
@given(st.integers(0, 2**32), st.floats(0.0, 0.8))
@settings(max_examples=40)
def test_perturbed_logits_reach_the_wanted_total_variation(seed: int, wanted: float) -> None:
    rng = np.random.default_rng(seed)
    logits = rng.normal(size=(12, 12))
    draft = perturbed_logits(rng, logits, total_variation=wanted)
    apart = total_variation(sampled_from(logits), sampled_from(draft))
    assert apart == pytest.approx(wanted, abs=1e-10)


def test_zipf_falls_with_the_rank() -> None:
    assert zipf(3) == pytest.approx(np.array([6, 3, 2]) / 11, abs=1e-15)
    assert zipf(4, exponent=0.0).tolist() == [0.25] * 4


def test_a_pair_is_normalised_to_rounding_and_knows_its_shape() -> None:
    single = np.array([0.1, 0.2, 0.7], np.float32)
    pair = Pair(single, single)
    assert pair.target.sum() == pytest.approx(1.0, abs=1e-15)
    assert (pair.vocabulary, pair.markov, pair.rows()[0].shape) == (3, False, (1, 3))
    assert Pair(np.eye(4), np.eye(4)).markov


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda rng: Pair([0.5, 0.4], zipf(2)), "target must sum to 1"),
        (lambda rng: Pair(zipf(2), [1.5, -0.5]), "draft must be in"),
        (lambda rng: Pair(zipf(3), zipf(4)), "share one vocabulary"),
        (lambda rng: Pair(zipf(3), np.eye(3)), "share one vocabulary"),
        (lambda rng: Pair([1.0], [1.0]), "share one vocabulary of 2 tokens or more"),
        (lambda rng: Pair(np.eye(3)[:2], np.eye(3)[:2]), r"\(V,\) or \(V, V\), got \(2, 3\)"),
        (lambda rng: zipf(1), "vocabulary must be an integer"),
        (lambda rng: zipf(3, exponent=-1.0), "exponent must be in"),
        (
            lambda rng: perturbed_logits(rng, np.zeros(2), total_variation=1.0),
            r"in \[0, 1\), got 1",
        ),
        (
            lambda rng: perturbed_logits(rng, np.zeros(2), total_variation=0.6),
            "total_variation 0.6 is out of the reach of noise",
        ),
    ],
)
def test_pairs_that_cannot_be_are_refused_in_one_line(call: Any, message: str) -> None:
    with pytest.raises(ValueError, match=message) as caught:
        call(np.random.default_rng(0))
    assert "\n" not in str(caught.value)
