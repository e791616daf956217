"""The fast sampler of independent rounds against integers, closed forms, and a planted bias."""

from __future__ import annotations

import numpy as np
import pytest
from howspec.sim.rounds import iid
from howspec.sim.rounds.estimate import counts_estimate
from howspec.theory import DepthAcceptance, tokens_per_round, tokens_variance
from howspec.theory.rounds import tokens_generating_function, tokens_pmf, tokens_survival
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray
from scipy.stats import chi2_contingency, chisquare

MASK = 2**64 - 1
ROUNDS = 10**7


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


def worst_z(counts: NDArray[np.int64], alpha: float) -> float:
    """The largest number of standard errors by which a histogram misses a closed form."""
    gamma = counts.size - 1
    n = np.arange(1.0, gamma + 2.0)
    mean = tokens_per_round(alpha, gamma)
    gaps = [
        counts_estimate(n, counts).z(mean),
        counts_estimate((n - mean) ** 2, counts).z(tokens_variance(alpha, gamma)),
        counts_estimate(0.5**n, counts).z(tokens_generating_function(alpha, gamma, 0.5)),
    ]
    for k in range(gamma + 1):
        gaps.append(counts_estimate(n > k, counts).z(tokens_survival(alpha, k)))
        gaps.append(counts_estimate(n == k + 1, counts).z(tokens_pmf(alpha, gamma)[k]))
    return float(np.abs(gaps).max())


def test_the_words_are_those_of_splitmix64() -> None:
    published = [6457827717110365317, 3203168211198807973, 9817491932198370423]
    assert reference_words(1234567, 3) == published
    start = int(iid.start_word(generator(3)))
    assert iid.words(generator(3), count=50).tolist() == reference_words(start, 50)


@settings(max_examples=40)
@given(
    rates=st.lists(st.floats(0.0, 1.0), max_size=20),
    seed=st.integers(0, 2**32),
    workers=st.integers(1, 3),
)
def test_each_round_counts_the_thresholds_above_its_word(
    rates: list[float], seed: int, workers: int
) -> None:
    survival = np.cumprod([1.0, *rates])
    start = int(iid.start_word(generator(seed)))
    limits = [round(float(s) * 2**62) for s in survival[1:]]
    want = [sum((w >> 2) < t for t in limits) for w in reference_words(start, 200)]
    got = iid.draw_accepted(generator(seed), survival, rounds=200, workers=workers)
    assert got.tolist() == want


@pytest.mark.parametrize("gamma", [1, 7, 8, 9, 40, 255])
def test_workers_and_histograms_change_nothing(gamma: int) -> None:
    survival = survival_of(0.97, gamma)
    one = iid.draw_accepted(generator(5), survival, rounds=50_001)
    two = iid.draw_accepted(generator(5), survival, rounds=50_001, workers=2)
    assert np.array_equal(one, two)
    for workers in (1, 2, 5):
        counts = iid.count_accepted(generator(5), survival, rounds=50_001, workers=workers)
        assert np.array_equal(counts, np.bincount(one, minlength=gamma + 1))


def test_successive_calls_draw_different_rounds() -> None:
    rng, survival = generator(1), survival_of(0.5, 8)
    first, second = (iid.draw_accepted(rng, survival, rounds=10_000) for _ in range(2))
    table = np.histogram2d(first, second, bins=(np.arange(6), np.arange(6)))[0]
    assert chi2_contingency(table).pvalue > 1e-4


@pytest.mark.parametrize("lag", [1, 2, 8, 1024])
def test_neighbouring_rounds_are_independent(lag: int) -> None:
    accepted = iid.draw_accepted(generator(2), survival_of(0.7, 5), rounds=1_000_000)
    pair = 6 * accepted[:-lag].astype(int) + accepted[lag:]
    table = np.bincount(pair, minlength=36).reshape(6, 6)
    assert chi2_contingency(table).pvalue > 1e-4


@pytest.mark.parametrize(("alpha", "gamma"), [(0.05, 3), (0.5, 1), (0.8, 5), (0.95, 20)])
def test_every_closed_form_of_a_round_agrees_within_four_standard_errors(
    alpha: float, gamma: int
) -> None:
    rng = generator(20 + gamma)
    counts = iid.count_accepted(rng, survival_of(alpha, gamma), rounds=ROUNDS)
    assert chisquare(counts, ROUNDS * tokens_pmf(alpha, gamma)).pvalue > 1e-4
    assert worst_z(counts, alpha) < 4.0


@pytest.mark.parametrize("factor", [0.999, 1.001])
def test_the_same_check_catches_a_bias_of_a_thousandth(factor: float) -> None:
    survival = survival_of(0.8 * factor, 5)
    assert worst_z(iid.count_accepted(generator(4), survival, rounds=ROUNDS), 0.8) > 4.0


@pytest.mark.parametrize("alpha", [0.0, 1.0])
def test_certain_outcomes_are_certain(alpha: float) -> None:
    for gamma in (0, 1, 9):
        accepted = iid.draw_accepted(generator(6), survival_of(alpha, gamma), rounds=5000)
        assert (accepted == (gamma if alpha else 0)).all()
        assert worst_z(np.bincount(accepted, minlength=gamma + 1), alpha) == 0.0


def test_counts_drawn_at_once_have_the_same_law() -> None:
    survival = survival_of(0.8, 5)
    total = sum(iid.draw_counts(generator(s), survival, rounds=10**6) for s in range(10))
    assert worst_z(np.asarray(total), 0.8) < 4.0
    simulated = iid.count_accepted(generator(7), survival, rounds=10**7)
    assert chi2_contingency(np.array([total, simulated])).pvalue > 1e-4


def test_no_rounds_give_empty_results() -> None:
    survival = survival_of(0.8, 3)
    assert iid.draw_accepted(generator(0), survival, rounds=0).shape == (0,)
    assert iid.count_accepted(generator(0), survival, rounds=0, workers=2).tolist() == [0] * 4


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
        iid.draw_accepted(generator(0), survival, rounds=10)  # type: ignore[arg-type]


@pytest.mark.parametrize("bad", [-1, 1.5, float("nan"), "many"])
def test_counts_that_are_no_whole_numbers_are_refused(bad: object) -> None:
    with pytest.raises(ValueError, match="rounds must be"):
        iid.draw_accepted(generator(0), [1.0, 0.5], rounds=bad)  # type: ignore[arg-type]
    with pytest.raises(ValueError, match="workers must be"):
        iid.draw_accepted(generator(0), [1.0, 0.5], rounds=1, workers=bad)  # type: ignore[arg-type]
