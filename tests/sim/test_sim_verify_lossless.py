"""The simulated rules: joint laws of whole rounds, losslessness at size, rates and their errors."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
import round_laws
from howspec.sim.rounds.estimate import Estimate
from howspec.sim.verify import rules as verify
from howspec.sim.verify.law import (
    Rounds,
    chi_square,
    detection_power,
    position_test,
    ratio_test,
    token_test,
)
from howspec.sim.verify.pairs import Pair, perturbed_logits, zipf
from howspec.sim.verify.rules import RULES, complete_tree
from howspec.theory.trees.verification import overlap, residual, sampled_from
from round_laws import random_pair
from scipy.stats import kstest

LOPSIDED = np.array([-1, 0, 0, 0, 1, 1, 2, 4])
LEAST_P = 1e-4


def simulate(name: str, pair: Pair, rounds: int, seed: int = 0, **options: Any) -> Rounds:
    rng = np.random.default_rng([seed, rounds])
    rule: Any = {"rule": name}
    if name in RULES:
        options = {"parents": LOPSIDED} | options
        return verify.tree_rounds(rng, pair, rounds=rounds, **rule, **options)
    return verify.chain_rounds(rng, pair, rounds=rounds, **({"gamma": 3} | rule | options))


def exact_law(name: str, pair: Pair, start: int) -> round_laws.Law:
    if name in RULES:
        return round_laws.tree_law(pair, parents=LOPSIDED, rule=name, start=start)
    law = round_laws.token_law if name == "token" else round_laws.block_law
    return law(pair, gamma=3, start=start)


def zipf_pair(vocabulary: int, total_variation: float, seed: int = 0) -> Pair:
    """Zipf target over shuffled tokens, the last token the most probable, and a noisy draft."""
    rng = np.random.default_rng(seed)
    p = zipf(vocabulary)
    p = np.append(rng.permutation(p[1:]), p[0])
    logits = np.log(p)
    return Pair(p, sampled_from(perturbed_logits(rng, logits, total_variation=total_variation)))


def small_pairs() -> dict[str, Pair]:
    rng = np.random.default_rng(5)
    markov = random_pair(rng, 3, concentration=0.7, markov=True)
    holes = Pair(
        np.array([[0.5, 0.5, 0.0], [0.2, 0.3, 0.5], [0.0, 0.6, 0.4]]),
        np.array([[0.0, 0.7, 0.3], [0.5, 0.0, 0.5], [0.9, 0.1, 0.0]]),
    )
    scarce = Pair(np.array([0.3, 0.3, 0.4]), np.array([0.97, 0.02, 0.01]))
    rounding = Pair(np.array([0.2, 0.3, 0.5]), np.array([1.0, 1e-17, 2e-17]))  # 1 - q[0] is 0
    return {
        "rounding": rounding,
        "markov": markov,
        "greedy": Pair(markov.target, np.eye(3)[markov.draft.argmax(axis=1)]),
        "holes": holes,
        "scarce": scarce,
        "equal": Pair(markov.target, markov.target),
    }


SMALL = small_pairs()
NAMES = ("token", "block", *RULES)


def outcome_counts(run: Rounds, vocabulary: int) -> Any:
    """Counts of (context at the start of a round, emitted tokens), and the code of an outcome."""
    positions = run.positions()
    base = vocabulary + 1
    digits = (run.tokens + 1).astype(np.int64) * base**positions
    starts = np.flatnonzero(positions == 0)
    codes = np.add.reduceat(digits, starts)
    contexts = run.previous()[starts].astype(np.int64)
    size = base ** (run.depth + 1)
    cells = np.bincount(contexts * size + codes, minlength=vocabulary * size)
    return cells.reshape(vocabulary, size)


@pytest.mark.parametrize("pair", SMALL.values(), ids=SMALL)
@pytest.mark.parametrize("name", NAMES)
def test_whole_rounds_have_the_law_found_by_enumeration(name: str, pair: Pair) -> None:
    run = simulate(name, pair, 60_000, seed=1)
    counts = outcome_counts(run, pair.vocabulary)
    law = np.zeros(counts.shape)
    for context in range(pair.vocabulary):
        for (tokens, accepted), chance in exact_law(name, pair, context).items():
            assert len(tokens) == accepted + 1
            code = sum((x + 1) * (pair.vocabulary + 1) ** i for i, x in enumerate(tokens))
            law[context, code] += chance
    keep = counts.sum(axis=0) + law.sum(axis=0) > 0
    assert chi_square(counts[:, keep], law[:, keep]).p_value > LEAST_P


@pytest.mark.parametrize("vocabulary", [2, 400, 50_000])
@pytest.mark.parametrize("name", NAMES)
def test_emitted_tokens_have_the_law_of_the_target(name: str, vocabulary: int) -> None:
    pair = zipf_pair(vocabulary, 0.25)
    run = simulate(name, pair, 50_000, seed=2)
    assert token_test(run, pair).p_value > LEAST_P
    if vocabulary == 2:
        # Adjacent tokens, without overlap, against the product of the law with itself.
        even = run.tokens[: run.tokens.size // 2 * 2].astype(np.int64)
        cells = np.bincount(2 * even[::2] + even[1::2], minlength=4)
        product = np.outer(pair.target, pair.target).ravel()
        assert chi_square(cells, product).p_value > LEAST_P


@pytest.mark.parametrize("vocabulary", [2, 12, 150])
@pytest.mark.parametrize("name", NAMES)
def test_transitions_have_the_law_of_a_markov_target(name: str, vocabulary: int) -> None:
    rng = np.random.default_rng(vocabulary)
    pair = random_pair(rng, vocabulary, concentration=0.5, markov=True)
    run = simulate(name, pair, 60_000, seed=3, start=1)
    assert token_test(run, pair).p_value > LEAST_P
    assert position_test(run, pair).p_value > LEAST_P
    assert ratio_test(run, pair, groups=4).p_value > LEAST_P


def decoy_last(pair: Pair) -> Pair:
    """The same pair with its vocabulary reordered: last, the likeliest token with q > p.

    A defect that gives residual draws to that token is the hardest to see on a single token.
    """
    decoy = int(np.where(pair.draft > pair.target, pair.target, -1.0).argmax())
    order = np.append(np.delete(np.arange(pair.vocabulary), decoy), decoy)
    return Pair(pair.target[order], pair.draft[order])


@pytest.mark.parametrize("vocabulary", [2, 400, 50_000])
@pytest.mark.parametrize("name", ["token", "block", "recursive", "recursive_distinct", "k_seq"])
def test_one_percent_of_bias_in_the_residual_is_caught(name: str, vocabulary: int) -> None:
    two = Pair(np.array([0.75, 0.25]), np.array([0.1, 0.9]))
    pair = decoy_last(two if vocabulary == 2 else zipf_pair(vocabulary, 0.7))
    options: dict[str, Any] = {"gamma": 1}
    if name in RULES:
        # Two distinct drafts of two tokens leave nothing to a residual.
        options = {"parents": np.array([-1, 0] if vocabulary == 2 else [-1, 0, 0])}
    sound = simulate(name, pair, 500_000, seed=4, **options)
    biased = simulate(name, pair, 500_000, seed=4, residual_bias=0.01, **options)
    assert ratio_test(sound, pair).p_value > LEAST_P
    assert ratio_test(biased, pair).p_value < LEAST_P
    if vocabulary <= 400:
        assert token_test(biased, pair).p_value < LEAST_P


def test_the_share_of_biased_runs_caught_is_the_predicted_power() -> None:
    pair = random_pair(np.random.default_rng(8), 5)
    alpha, runs, rounds = overlap(pair.target, pair.draft), 300, 20_000
    per_round = 1.0 + alpha
    decoy = np.eye(5)[-1] - residual(pair.target, pair.draft)
    law = pair.target + 0.01 * (1.0 - alpha) / per_round * decoy
    n = int(rounds * per_round)
    bias_runs = [
        simulate("token", pair, rounds, seed=k, gamma=1, residual_bias=0.01) for k in range(runs)
    ]
    caught = np.mean([token_test(run, pair).p_value < 0.05 for run in bias_runs])
    power = detection_power(pair.target, law, tokens=n, level=0.05)
    assert 0.15 < power < 0.9, "a case in which neither outcome is certain"
    assert abs(caught - power) < 4.0 * np.sqrt(power * (1.0 - power) / runs)


def test_p_values_of_lossless_runs_are_uniform() -> None:
    pair = random_pair(np.random.default_rng(9), 6, markov=True)
    runs = [simulate("block", pair, 3_000, seed=k) for k in range(300)]
    for test in (token_test, position_test):
        assert kstest([test(run, pair).p_value for run in runs], "uniform").pvalue > LEAST_P


@pytest.mark.parametrize("vocabulary", [2, 400, 50_000])
def test_every_position_accepts_with_one_minus_the_total_variation(vocabulary: int) -> None:
    pair = zipf_pair(vocabulary, 0.3)
    for rate in simulate("token", pair, 200_000, seed=5, gamma=4).position_acceptance():
        assert rate.se < 0.01
        assert abs(rate.mean - 0.7) < 4.0 * rate.se


@pytest.mark.parametrize("vocabulary", [3, 50_000])
def test_a_greedy_draft_is_accepted_with_the_probability_of_its_argmax(vocabulary: int) -> None:
    pair = zipf_pair(vocabulary, 0.3)
    wanted = pair.target[pair.draft.argmax()]
    certain = (np.arange(vocabulary) == pair.draft.argmax()).astype(float)
    run = simulate("token", Pair(pair.target, certain), 100_000, gamma=2)
    for rate in run.position_acceptance():
        assert abs(rate.mean - wanted) < 4.0 * rate.se


def test_rejections_per_token_are_the_total_variation_averaged_over_target_text() -> None:
    pair = random_pair(np.random.default_rng(4), 12, markov=True)
    values, vectors = np.linalg.eig(pair.target.T)
    share = np.real(vectors[:, np.argmax(values.real)])
    distance = 1.0 - overlap(pair.target, pair.draft)
    # At gamma = 200 a bonus token is out of reach: every round ends with a rejection.
    run = simulate("token", pair, 30_000, gamma=200)
    mean = run.tokens_per_round
    assert not run.complete.any()
    assert abs(mean.mean - share.sum() / (share @ distance)) < 4.0 * mean.se


def test_block_verification_accepts_more_than_token_verification() -> None:
    for vocabulary, tv in ((2, 0.2), (400, 0.3), (50_000, 0.5)):
        pair = zipf_pair(vocabulary, tv)
        block = simulate("block", pair, 200_000, gamma=6).mean_accepted
        token = simulate("token", pair, 200_000, gamma=6).mean_accepted
        error = np.hypot(block.se, token.se)
        assert block.mean > token.mean + 4.0 * error


def test_multi_draft_rules_keep_their_order_at_fifty_thousand_tokens() -> None:
    pair = zipf_pair(50_000, 0.5)
    kept: dict[str, Estimate] = {}
    for rule in RULES:
        kept[rule] = simulate(rule, pair, 100_000, parents=complete_tree(4, 1)).mean_accepted
    for less, more in (
        ("naive", "recursive"),
        ("recursive", "k_seq"),
        ("recursive", "recursive_distinct"),
    ):
        error = np.hypot(kept[less].se, kept[more].se)
        assert kept[less].mean < kept[more].mean + 4.0 * error
    single = overlap(pair.target, pair.draft)
    assert kept["recursive"].mean > single + 4.0 * kept["recursive"].se


@pytest.mark.parametrize("name", ["token", "recursive"])
@pytest.mark.parametrize("pair", [SMALL["markov"], SMALL["scarce"]], ids=["markov", "iid"])
def test_errors_of_repeated_runs_have_the_reported_size(name: str, pair: Pair) -> None:
    runs = [simulate(name, pair, 4_000, seed=k) for k in range(250)]
    for rates in (
        [run.mean_accepted for run in runs],
        [run.tokens_per_round for run in runs],
        [run.survival()[1] for run in runs],
        [run.position_acceptance()[1] for run in runs],
    ):
        values = np.array([r.mean for r in rates])
        errors = np.array([r.se for r in rates])
        ratio = values.std(ddof=1) / np.sqrt((errors**2).mean())
        assert abs(ratio - 1.0) < 4.0 / np.sqrt(2.0 * len(runs))


def test_positions_and_previous_tokens_follow_the_rounds() -> None:
    run = Rounds(
        np.array([4, 1, 2, 0, 3], np.int32),
        np.array([1, 0, 1], np.int32),
        np.array([True, False, False]),
        start=2,
        depth=1,
        independent=True,
    )
    assert run.positions().tolist() == [0, 1, 0, 0, 1]
    assert run.previous().tolist() == [2, 4, 1, 2, 0]
    assert run.mean_accepted.mean == pytest.approx(2 / 3)
    assert run.tokens_per_round.mean == pytest.approx(5 / 3)
    assert run.position_acceptance()[0].mean == pytest.approx(2 / 3)


def test_a_round_that_ends_at_a_shallow_leaf_does_not_count_as_a_rejection() -> None:
    pair = Pair(np.array([0.6, 0.4]), np.array([0.4, 0.6]))
    tree = np.array([-1, 0, 0, 1])  # only the first child of the root has a child
    run = verify.tree_rounds(np.random.default_rng(0), pair, parents=tree, rounds=200_000)
    rate = run.position_acceptance()[1]
    assert abs(rate.mean - 0.8) < 4.0 * rate.se
    assert rate.mean > run.survival()[1].mean / run.survival()[0].mean + 0.05


def test_the_same_generator_gives_the_same_run() -> None:
    pair = SMALL["markov"]
    first, again = (simulate("block", pair, 500, seed=7) for _ in range(2))
    assert (first.tokens == again.tokens).all()
    assert not np.array_equal(first.tokens, simulate("block", pair, 500, seed=8).tokens)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"gamma": -1}, r"gamma must be an integer in \[0, inf\), got -1"),
        ({"gamma": float("nan")}, r"gamma must be an integer in \[0, inf\), got nan"),
        ({"rounds": 0}, r"rounds must be an integer in \[1, inf\), got 0"),
        ({"start": 3}, r"start must be an integer in \[0, 2\], got 3"),
        ({"start": -1}, r"start must be an integer in \[0, inf\), got -1"),
        ({"residual_bias": 1.5}, r"residual_bias must be in \[0, 1\], got 1.5"),
        ({"residual_bias": float("nan")}, r"residual_bias must be in \[0, 1\], got nan"),
    ],
)
def test_bad_arguments_are_refused_in_one_line(options: dict[str, Any], message: str) -> None:
    arguments: dict[str, Any] = {"gamma": 2, "rounds": 10} | options
    with pytest.raises(ValueError, match=message):
        verify.chain_rounds(np.random.default_rng(0), SMALL["markov"], **arguments)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"parents": [0, 0]}, "parents must begin with -1"),
        ({"parents": [-1, 0, 2]}, r"parent of node 2 must be in \[0, 1\], got 2"),
        ({"parents": [-1, -1]}, r"parent of node 1 must be in \[0, 0\], got -1"),
        ({"parents": [-1.0, 0.0]}, "one-dimensional array of integers"),
        ({"parents": []}, "one-dimensional array of integers"),
        ({"rule": "best"}, "rule must be one of recursive, .* got 'best'"),
    ],
)
def test_bad_trees_are_refused_in_one_line(options: dict[str, Any], message: str) -> None:
    arguments: dict[str, Any] = {"parents": complete_tree(2, 1), "rounds": 10} | options
    with pytest.raises(ValueError, match=message):
        verify.tree_rounds(np.random.default_rng(0), SMALL["markov"], **arguments)


def test_bad_trees_and_tests_say_what_is_wrong() -> None:
    with pytest.raises(ValueError, match=r"width must be an integer in \[1, inf\), got 0"):
        complete_tree(0, 1)
    with pytest.raises(ValueError, match="enough for two cells"):
        chi_square(np.array([1, 1]), np.array([0.5, 0.5]))
    with pytest.raises(ValueError, match="two cells"):
        detection_power(np.array([0.5, 0.5]), np.array([0.4, 0.6]), tokens=3)
    with pytest.raises(ValueError, match="shape"):
        chi_square(np.array([1, 1, 1]), np.array([0.5, 0.5]))


def test_rare_cells_are_pooled_and_a_thin_pool_joins_the_next_cell() -> None:
    counts = np.array([1, 52, 3, 44])
    thick = chi_square(counts, np.array([0.03, 0.5, 0.04, 0.43]))  # 3 and 4 expected: a pool of 7
    wanted = (52 - 50) ** 2 / 50 + (44 - 43) ** 2 / 43 + (4 - 7) ** 2 / 7
    assert (thick.statistic, thick.freedom) == (pytest.approx(wanted), 2)
    thin = chi_square(counts, np.array([0.02, 0.5, 0.01, 0.47]))  # a pool of 3 joins the 47
    wanted = (52 - 50) ** 2 / 50 + (48 - 50) ** 2 / 50
    assert (thin.statistic, thin.freedom) == (pytest.approx(wanted), 1)


def test_a_draft_mass_too_small_to_divide_by_counts_as_zero() -> None:
    pair = Pair(np.array([0.2, 0.3, 0.5]), np.array([1.0, 1e-310, 0.0]))
    run = simulate("recursive_distinct", pair, 20_000, parents=np.array([-1, 0, 0]))
    assert token_test(run, pair).p_value > LEAST_P
    mean = run.mean_accepted
    assert abs(mean.mean - 0.2) < 4.0 * mean.se


def test_a_token_that_the_target_cannot_emit_fails_the_test_outright() -> None:
    law = np.array([0.5, 0.5, 0.0])
    assert chi_square(np.array([5000, 5000, 1]), law).p_value == 0.0
    assert detection_power(law, np.array([0.5, 0.49, 0.01]), tokens=1000) == 1.0
