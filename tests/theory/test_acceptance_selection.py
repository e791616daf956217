"""The choice of an acceptance law: honest under independence, right when it does not hold."""

from __future__ import annotations

import numpy as np
import pytest
from howspec.theory.acceptance import (
    BetaRequestAcceptance,
    BetaRoundAcceptance,
    DepthAcceptance,
    MarkovAcceptance,
    RoundCounts,
    choose_law,
    depth_test,
    dispersion_test,
    draw_requests,
    hazards,
    lag_one_test,
    round_counts,
)
from howspec.theory.acceptance.law import count_accepted
from scipy.stats import chi2, kstest, norm

TESTS = {"dispersion": dispersion_test, "lag one": lag_one_test, "depth": depth_test}


def _independent(rng: np.random.Generator, requests: int = 40, rounds: int = 30) -> RoundCounts:
    accepted = count_accepted(rng.random((requests * rounds, 4)) < 0.7)
    return round_counts(accepted, 4, request=np.repeat(np.arange(requests), rounds))


@pytest.mark.parametrize("test", TESTS.values(), ids=TESTS)
def test_p_values_are_uniform_under_independent_acceptance(test) -> None:
    rng = np.random.default_rng(17)
    p = np.array([test(_independent(rng)).p_value for _ in range(500)])
    assert kstest(p, "uniform").pvalue > 1e-4
    for level in (0.01, 0.05, 0.2):
        error = np.sqrt(level * (1 - level) / p.size)
        assert abs((p < level).mean() - level) < 4 * error


def test_the_choice_leaves_independence_at_most_at_its_level() -> None:
    rng, repeats, level = np.random.default_rng(23), 250, 0.2
    wrong = 0
    for _ in range(repeats):
        counts = _independent(rng)
        lowest = min(t(counts).p_value for t in TESTS.values())
        wrong += lowest < level / 3
    assert wrong / repeats < level + 4 * np.sqrt(level * (1 - level) / repeats)
    assert choose_law(_independent(rng), level=0.01).family == "independent"


def _chains(rng: np.random.Generator) -> RoundCounts:
    law, requests, rounds = MarkovAcceptance(0.8, 0.4), 40, 80
    parts = [law.draw(rng, gamma=5, rounds=rounds) for _ in range(requests)]
    return round_counts(np.concatenate(parts), 5, request=np.repeat(np.arange(requests), rounds))


def _rounds_of(law) -> RoundCounts:
    accepted = law.draw(np.random.default_rng(31), gamma=6, rounds=6000)
    return round_counts(accepted, 6, request=np.repeat(np.arange(60), 100))


@pytest.mark.parametrize(
    ("counts", "family"),
    [
        (_rounds_of(DepthAcceptance(0.7)), "independent"),
        (_rounds_of(DepthAcceptance(0.85, 0.9)), "depth"),
        (_rounds_of(BetaRoundAcceptance(3, 1.5)), "beta per round"),
        (_chains(np.random.default_rng(4)), "markov"),
        (
            draw_requests(
                np.random.default_rng(6), BetaRequestAcceptance(6, 3),
                gamma=5, length=250, requests=60,
            ),
            "beta per request",
        ),
    ],
    ids=["independent", "depth", "beta per round", "markov", "beta per request"],
)  # fmt: skip
def test_each_law_is_recognised_from_its_own_rounds(counts: RoundCounts, family: str) -> None:
    chosen = choose_law(counts, level=0.01)
    assert chosen.family == family
    if family == "independent":
        assert chosen.law is chosen.independent
    else:
        assert max(chosen.scores, key=lambda name: chosen.scores[name]) == family
        assert chosen.scores[family] > 0


def test_each_departure_shows_in_its_own_test() -> None:
    falling = depth_test(_rounds_of(DepthAcceptance(0.85, 0.9)))
    rising = depth_test(_rounds_of(BetaRoundAcceptance(3, 1.5)))
    assert falling.effect < 0 < rising.effect
    assert max(falling.p_value, rising.p_value) < 1e-6
    assert lag_one_test(_rounds_of(BetaRoundAcceptance(3, 1.5))).p_value > 1e-3
    chains = lag_one_test(_chains(np.random.default_rng(5)))
    assert chains.effect > 0
    assert chains.p_value < 1e-6
    fleet = draw_requests(
        np.random.default_rng(6), BetaRequestAcceptance(6, 3), gamma=5, length=250, requests=60
    )
    assert dispersion_test(fleet).effect > 2
    # Requests that differ for good do not look like bursts: each is held against its own mean.
    assert lag_one_test(fleet).p_value > 1e-3


def test_statistics_by_hand() -> None:
    counts = round_counts([2, 0, 3, 1], 3, request=[0, 0, 1, 1])
    alpha = 6 / 9
    decided = 2 * (1 + alpha + alpha**2)  # expected in two rounds of three tokens
    total = ((2 - 4 * alpha) ** 2 + (4 - 5 * alpha) ** 2) / decided / (alpha * (1 - alpha))
    test = dispersion_test(counts)
    assert (test.effect, test.statistic) == (pytest.approx(total), pytest.approx(total))
    assert test.p_value == pytest.approx(chi2.sf(total, 1))
    three = dispersion_test(round_counts([2, 0, 3, 1, 0], 3, request=[0, 0, 1, 1, 2]))
    kept, tried, pooled = np.array([2, 4, 0]), np.array([4, 5, 1]), 6 / 10
    decided = np.array([2, 2, 1]) * (1 + pooled + pooled**2)
    total = ((kept - pooled * tried) ** 2 / decided).sum() / (pooled * (1 - pooled))
    assert (three.effect, three.statistic) == (pytest.approx(total / 2), pytest.approx(total))
    assert three.p_value == pytest.approx(chi2.sf(total, 2))
    # Positions: 3 of 4, 2 of 3, 1 of 2 decided tokens accepted.
    tried, kept = np.array([4, 3, 2]), np.array([3, 2, 1])
    total = ((kept - tried * alpha) ** 2 / tried).sum() / (alpha * (1 - alpha))
    test = depth_test(counts, least=1)
    assert test.statistic == pytest.approx(total)
    assert test.p_value == pytest.approx(chi2.sf(total, 2))
    centred = np.arange(3) - (np.arange(3) * tried).sum() / 9
    assert test.effect == pytest.approx((centred * kept).sum() / (centred**2 * tried).sum())
    assert hazards(counts) == pytest.approx([3 / 4, 2 / 3, 1 / 2])
    # With fewer trials than asked for, deep positions join the one above.
    pooled = depth_test(counts, least=3)
    total = ((3 - 4 * alpha) ** 2 / 4 + (3 - 5 * alpha) ** 2 / 5) / (alpha * (1 - alpha))
    assert pooled.statistic == pytest.approx(total)


def test_lag_one_moments_are_those_over_all_orders() -> None:
    from itertools import permutations

    values = [3, 0, 1, 0, 2]
    x = np.array(values) - np.mean(values)
    circular = [float(np.sum(np.array(o) * np.roll(o, -1))) for o in permutations(x)]
    seen = float(np.sum(x * np.roll(x, -1)))
    z = (seen - np.mean(circular)) / np.std(circular)
    test = lag_one_test(round_counts(values, 3))
    assert test.statistic == pytest.approx(z)
    assert test.p_value == pytest.approx(2 * norm.sf(abs(z)))
    assert test.effect == pytest.approx((seen - np.mean(circular)) / np.sum(x**2))
    # Two requests add up, whatever order their rounds are listed in.
    both = lag_one_test(round_counts(values + values, 3, request=[0] * 5 + [1] * 5))
    assert both.statistic == pytest.approx(2 * z / np.sqrt(2))


def test_without_requests_blocks_of_rounds_stand_for_them() -> None:
    calm, wild = np.tile([3, 0, 0, 0], 100), np.repeat([3, 0, 0, 0], 100)
    assert dispersion_test(round_counts(calm, 3)).effect < 0.5
    assert dispersion_test(round_counts(wild, 3)).p_value < 1e-6
    assert dispersion_test(round_counts(calm[:19], 3)).p_value == 1
    # A rest shorter than a block joins the last whole one: 45 rounds are two blocks.
    rest = np.tile([3, 1, 0], 15)
    halves = np.repeat([0, 1], [20, 25])
    named, blocks = dispersion_test(round_counts(rest, 3, request=halves)), round_counts(rest, 3)
    assert dispersion_test(blocks) == named


def test_counts_that_say_nothing_choose_independence() -> None:
    for accepted, gamma in (([3, 3, 3], 3), ([0, 0, 0], 3), ([1, 0, 1, 1], 1), ([2], 3)):
        chosen = choose_law(round_counts(accepted, gamma))
        assert chosen.family == "independent"
        kept, decided = sum(accepted), sum(min(a + 1, gamma) for a in accepted)
        assert float(np.asarray(chosen.independent.alpha)) == pytest.approx(kept / decided)
