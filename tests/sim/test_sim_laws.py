"""Rounds of every acceptance law by simulation, against closed forms, and a planted bias."""

from __future__ import annotations

from dataclasses import dataclass, field

import numpy as np
import pytest
from howspec.sim.rounds.laws import (
    by_law,
    by_survival,
    confirm,
    draw_accepted,
    simulate_tokens,
    start_word,
    words,
)
from howspec.theory import (
    AcceptanceLaw,
    AffineCost,
    DepthAcceptance,
    tokens_by_gamma,
    tokens_per_round,
    tokens_variance,
)
from howspec.theory.acceptance import (
    BetaRequestAcceptance,
    BetaRoundAcceptance,
    MarkovAcceptance,
    PositionalAcceptance,
)
from howspec.theory.rounds import tokens_generating_function, tokens_pmf, tokens_survival
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray
from scipy.stats import chi2_contingency, chisquare

MASK = 2**64 - 1
ROUNDS = 10**7
INDEPENDENT = [
    DepthAcceptance(0.8),
    DepthAcceptance(0.9, 0.9),
    PositionalAcceptance(np.array([0.8, 0.7, 0.75, 0.6]), extension="last"),
    BetaRoundAcceptance(4.0, 1.5),
]
DEPENDENT = [BetaRequestAcceptance(6.0, 2.5), MarkovAcceptance(0.85, 0.35)]


# --- one word a round --------------------------------------------------------------------------


def mixed(z: int) -> int:
    """SplitMix64's mixing of its state, in Python's integers."""
    z = ((z ^ (z >> 30)) * 0xBF58476D1CE4E5B9) & MASK
    z = ((z ^ (z >> 27)) * 0x94D049BB133111EB) & MASK
    return z ^ (z >> 31)


def reference_words(start: int, count: int) -> list[int]:
    return [mixed((start + (i + 1) * 0x9E3779B97F4A7C15) & MASK) for i in range(count)]


def survival_of(alpha: float, gamma: int) -> NDArray[np.float64]:
    return DepthAcceptance(alpha).survival(gamma)


def generator(seed: int) -> np.random.Generator:
    return np.random.default_rng(seed)


def counted(seed: int, survival: NDArray[np.float64]) -> NDArray[np.int64]:
    accepted = draw_accepted(generator(seed), survival, rounds=ROUNDS)
    return np.bincount(accepted, minlength=survival.size)


def worst_z(counts: NDArray[np.int64], alpha: float) -> float:
    """The largest number of standard errors by which a histogram misses a closed form."""
    gamma, total = counts.size - 1, counts.sum()
    n = np.arange(1.0, gamma + 2.0)
    mean = tokens_per_round(alpha, gamma)
    forms = [
        (n, mean),
        ((n - mean) ** 2, tokens_variance(alpha, gamma)),
        (0.5**n, tokens_generating_function(alpha, gamma, 0.5)),
        *((n > k, tokens_survival(alpha, k)) for k in range(gamma + 1)),
        *((n == k + 1, tokens_pmf(alpha, gamma)[k]) for k in range(gamma + 1)),
    ]
    worst = 0.0
    for values, expected in forms:
        found = counts @ values / total
        spread = counts @ (values - found) ** 2 / (total - 1.0) / total
        gap = abs(found - expected)
        if gap > 1e-12:
            worst = max(worst, float(gap / np.sqrt(spread)) if spread > 0.0 else np.inf)
    return worst


def test_the_words_are_those_of_splitmix64() -> None:
    published = [6457827717110365317, 3203168211198807973, 9817491932198370423]
    assert reference_words(1234567, 3) == published
    start = int(start_word(generator(3)))
    assert words(generator(3), count=50).tolist() == reference_words(start, 50)


@settings(max_examples=40)
@given(
    rates=st.lists(st.floats(0.0, 1.0), max_size=20),
    seed=st.integers(0, 2**32),
)
def test_each_round_counts_the_thresholds_above_its_word(rates: list[float], seed: int) -> None:
    survival = np.cumprod([1.0, *rates])
    start = int(start_word(generator(seed)))
    limits = [round(float(s) * 2**62) for s in survival[1:]]
    want = [sum((w >> 2) < t for t in limits) for w in reference_words(start, 200)]
    got = draw_accepted(generator(seed), survival, rounds=200)
    assert got.tolist() == want


def test_successive_calls_draw_different_rounds() -> None:
    rng, survival = generator(1), survival_of(0.5, 8)
    first, second = (draw_accepted(rng, survival, rounds=10_000) for _ in range(2))
    table = np.histogram2d(first, second, bins=(np.arange(6), np.arange(6)))[0]
    assert chi2_contingency(table).pvalue > 1e-4


@pytest.mark.parametrize("lag", [1, 2, 8, 1024])
def test_neighbouring_rounds_are_independent(lag: int) -> None:
    accepted = draw_accepted(generator(2), survival_of(0.7, 5), rounds=1_000_000)
    pair = 6 * accepted[:-lag].astype(int) + accepted[lag:]
    table = np.bincount(pair, minlength=36).reshape(6, 6)
    assert chi2_contingency(table).pvalue > 1e-4


@pytest.mark.parametrize(("alpha", "gamma"), [(0.05, 3), (0.5, 1), (0.8, 5), (0.95, 20)])
def test_every_closed_form_of_a_round_agrees_within_four_standard_errors(
    alpha: float, gamma: int
) -> None:
    counts = counted(20 + gamma, survival_of(alpha, gamma))
    assert chisquare(counts, ROUNDS * tokens_pmf(alpha, gamma)).pvalue > 1e-4
    assert worst_z(counts, alpha) < 4.0


@pytest.mark.parametrize("factor", [0.999, 1.001])
def test_the_same_check_catches_a_bias_of_a_thousandth(factor: float) -> None:
    assert worst_z(counted(4, survival_of(0.8 * factor, 5)), 0.8) > 4.0


@pytest.mark.parametrize("alpha", [0.0, 1.0])
def test_certain_outcomes_are_certain(alpha: float) -> None:
    for gamma in (0, 1, 9):
        accepted = draw_accepted(generator(6), survival_of(alpha, gamma), rounds=5000)
        assert (accepted == (gamma if alpha else 0)).all()
        assert worst_z(np.bincount(accepted, minlength=gamma + 1), alpha) == 0.0


@pytest.mark.parametrize(
    ("survival", "message"),
    [
        ([0.9, 0.5], "survival must start at 1"),
        ([1.0, 0.5, 0.6], "survival must start at 1"),
        ([1.0, float("nan")], "survival must start at 1"),
        ([1.0, -0.1], "survival must start at 1"),
        ([], "gamma <= 255"),
        (np.ones(257), "gamma <= 255"),
        (np.ones((2, 2)), "gamma <= 255"),
    ],
)
def test_a_survival_that_is_none_is_refused(survival: object, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        draw_accepted(generator(0), survival, rounds=10)  # type: ignore[arg-type]


@pytest.mark.parametrize("bad", [-1, 1.5, float("nan"), "many"])
def test_counts_that_are_no_whole_numbers_are_refused(bad: object) -> None:
    with pytest.raises(ValueError, match="rounds must be"):
        draw_accepted(generator(0), [1.0, 0.5], rounds=bad)  # type: ignore[arg-type]


# --- every law, and predictions confirmed -----------------------------------------------------
@pytest.mark.parametrize("gamma", [1, 6])
@pytest.mark.parametrize("law", [*INDEPENDENT, *DEPENDENT], ids=lambda x: type(x).__name__)
def test_simulated_tokens_agree_with_the_law(law: object, gamma: int) -> None:
    found = simulate_tokens(np.random.default_rng(gamma), law, gamma=gamma, rounds=200_000)  # type: ignore[arg-type]
    assert abs(found.z(float(tokens_by_gamma(law, gamma)[-1]))) < 4.0  # type: ignore[arg-type]
    assert found.n == 64


@pytest.mark.parametrize("law", INDEPENDENT, ids=lambda x: type(x).__name__)
def test_both_ways_of_drawing_have_one_distribution(law: object) -> None:
    drawn = [
        np.bincount(draw(generator(i), law, 5, 200_000), minlength=6)  # type: ignore[arg-type]
        for i, draw in enumerate((by_law, by_survival), 1)
    ]
    assert chi2_contingency(np.array(drawn)).pvalue > 1e-4


@dataclass(frozen=True)
class Recording:
    """Accepts nothing and notes how many rounds it was asked for."""

    asked: list[int] = field(default_factory=list)
    shape: tuple[int, ...] = ()

    def survival(self, gamma: int) -> NDArray[np.float64]:
        return np.eye(1, gamma + 1)[0]

    def draw(self, rng: np.random.Generator, *, gamma: int, rounds: int) -> NDArray[np.int64]:
        self.asked.append(rounds)
        return np.zeros(rounds, np.int64)


def test_memory_is_that_of_one_stretch() -> None:
    law = Recording()
    found = simulate_tokens(generator(0), law, gamma=3, rounds=1002, batches=4)
    assert law.asked == [250] * 4
    assert (found.mean, found.se, found.n) == (1.0, 0.0, 4)


@pytest.mark.parametrize("alpha", [0.2, 0.6, 0.9])
@pytest.mark.parametrize("decay", [0.9, 1.0, 1.1])
def test_simulated_rounds_confirm_the_predicted_speedup(alpha: float, decay: float) -> None:
    result = confirm(
        np.random.default_rng(7),
        DepthAcceptance(alpha, decay),
        cost=AffineCost(0.07, 0.01, 0.1),
        gamma=5,
        rounds=200_000,
    )
    assert abs(result.z) < 4
    assert result.speedup == pytest.approx(result.predicted, rel=0.01)


@dataclass(frozen=True)
class _Biased(DepthAcceptance):
    """Claims one survival and draws from another: 1 % too many acceptances."""

    def draw(self, rng, *, gamma, rounds):  # type: ignore[no-untyped-def]
        return DepthAcceptance(float(self.alpha) * 1.01).draw(rng, gamma=gamma, rounds=rounds)


def test_a_bias_of_one_percent_in_the_draws_is_noticed() -> None:
    law = _Biased(0.8)
    result = confirm(np.random.default_rng(7), law, cost=AffineCost(0.05), gamma=5, rounds=400_000)
    assert abs(result.z) > 4


def test_rounds_that_cannot_vary_give_no_z_and_no_warning() -> None:
    for alpha, gamma in ((0.0, 3), (1.0, 3), (0.5, 0)):
        result = confirm(
            np.random.default_rng(0),
            DepthAcceptance(alpha),
            cost=AffineCost(0.1),
            gamma=gamma,
            rounds=100,
        )
        assert result.z == 0.0
        assert result.tokens_se == 0.0


@pytest.mark.parametrize(
    "law", [DepthAcceptance(0.7), MarkovAcceptance(0.95, 0.1), MarkovAcceptance(0.99, 0.01)]
)
def test_the_standard_error_is_that_of_repeated_means(law: AcceptanceLaw) -> None:
    # Rounds of a bursty law follow each other: their errors are not those of independent rounds.
    runs = [
        confirm(np.random.default_rng(i), law, cost=AffineCost(0.1), gamma=4, rounds=32_000)
        for i in range(60)
    ]
    z = np.array([r.z for r in runs])
    assert 0.7 < z.std() < 1.35
    errors = np.array([r.tokens_se for r in runs])
    assert np.std([r.tokens_per_round for r in runs]) == pytest.approx(errors.mean(), rel=0.3)


def test_laws_with_arrays_and_too_few_rounds_are_refused() -> None:
    rng = np.random.default_rng(0)
    with pytest.raises(ValueError, match="single laws"):
        confirm(rng, DepthAcceptance(np.array([0.5, 0.6])), cost=AffineCost(0.1), gamma=2)
    with pytest.raises(ValueError, match=r"rounds must be an integer in \[64, inf\), got 1"):
        simulate_tokens(rng, DepthAcceptance(0.5), gamma=2, rounds=1)
